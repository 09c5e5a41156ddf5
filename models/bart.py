r"""Sums of regression trees: predictors that act in ways nobody has to know, BART.

Model
-----
For row i in cluster j, with predictors x of any kind,

.. math::
    η_{ij} = \text{intercept} + f(x_{ij}) + b_j,\quad
    f = \sum_{t=1}^{m} g_t,\quad b_j \sim N(0, \text{sd\_intercept}^2)

Each g is a small tree (Chipman, George & McCulloch 2010): a node at depth d is split with
probability :math:`0.95\,(1 + d)^{-2}`, by any predictor at any of up to 100 thresholds, and each
leaf adds a number :math:`N(0, \text{sd\_trees}^2 / m)`. Interactions, bends and steps need no
formula. What hangs on η is

===========================  ====================================================================
numbers                      :math:`y_{ij} \sim N(η_{ij}, σ^2)`
two categories, two numbers  :math:`P(y_{ij} = \text{second}) = Φ(η_{ij})` (probit)
ordered categories           :math:`P(y_{ij} \le k) = Φ(c_k - η_{ij})`, without an intercept
unordered categories         K predictors η; the category with the largest :math:`η_k + ε_k`,
                             :math:`ε_k \sim N(0, 1)` (a probit model without a reference category)
===========================  ====================================================================

Probits, because normal latent values leave trees and effects normal posteriors. Without a cluster
the b_j are absent; with several groupings there are such effects of each; for a level-2 target a
row is a cluster. There are no random slopes. A δ shifts η: of categories in units of the probit.

Priors
------
In units of the target's SD :math:`s_y` (1 for categories):

==================  ===========================================================
``intercept``       Normal(mean of y, 2.5 s_y); of categories Normal(0, 1.5)
``sd_trees``        HalfNormal(s_y), of categories HalfNormal(1.5): the SD of f(x) before any data
``sd_intercept``    HalfNormal(s_y)
``sigma``           HalfNormal(s_y)
``share``           Dirichlet(1, …, 1): chances of ordered categories where η is 0
==================  ===========================================================

Draw
----
1. Trees, effects and scales move by :mod:`bayesimpute.sampling.forest_kernel`: Metropolis–Hastings
   on the rules of each tree with its leaves integrated out, the rest exactly or by slices. Trees
   stay from visit to visit, and rows fall into them anew as their predictors are imputed.
2. A missing value is drawn from its distribution.

``model()`` is the same in PyMC with ``pymc_bart.BART`` (the extra ``bayesimpute[bart]``), whose
particle sampler is not used here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Kernel, Occasion, Words
from bayesimpute.sampling.forest import Grid, draw_forest, fitted, placed
from bayesimpute.sampling.forest_kernel import ForestKernel, ForestModel
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.groupings import designs_of, priors_of
from bayesimpute.sampling.latent import Latent, Numbers, Ordered, TwoCategories, Unordered, nodes
from bayesimpute.sampling.priors import attach, check_names, normal_moments
from bayesimpute.sampling.scales import scale_priors
from bayesimpute.sampling.variance_shares import VarianceShare

#: Scales of the priors of numbers in units of their SD, and of categories: of the intercept, and
#: of the trees.
OF_NUMBERS, OF_CATEGORIES = (2.5, 1.0), (1.5, 1.5)


def share_latent(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + σ²) of a model without predictors; of categories, of their latent values.

    Of unordered categories τ² is the mean over their utilities, whose errors have variance 1.
    """
    between = np.asarray(draws["sd_intercept"]) ** 2
    if between.ndim > 2:
        between = between.mean(axis=-1)
    return np.asarray(between / (between + draws.get("sigma", np.ones(())) ** 2))


def _equation(occasion: Occasion) -> str:
    trees = r" \\ $effects \\ f\text{: a sum of }$trees\text{ trees}"
    if occasion.kind is Kind.BINARY:
        return r"P($y = $last) = Φ($function)" + trees
    if occasion.kind is Kind.ORDINAL:
        return r"P($y \le k) = Φ(c_k - η_$row) \\ η_$row = $bend" + trees
    if occasion.kind is Kind.NOMINAL:
        return (
            r"$y = \operatorname{argmax}_k\;(η_{k} + ε_{k}) \\ η_{k} = $function[k] \\ "
            r"ε_{k} \sim N(0, 1)" + trees
        )
    return r"$y = $function + ε_$row \\ ε_$row \sim N(0, σ^2)" + trees


class Bart:
    """Sums of trees for a target of any kind, single-level or with a random intercept.

    Options
    -------
    trees
        Number of trees m of each linear predictor (default 50).
    transitions
        Sweeps of the sampler a visit (default 4).
    tune
        Sweeps before the chains start (default 200).

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"popular": "bart"}  # bi.impute(df, cluster="school", method=method)
    """

    words = Words(
        _equation,
        "A sum of regression trees (BART) in {x}, which finds interactions and bends by itself",
        "A missing value is drawn from the distribution around that sum.",
        name="Bayesian additive regression trees",
    )
    kinds = frozenset(Kind)
    #: Predictors act in any way and together, and by no coefficients.
    any_function = True
    #: Its kernel sees to the effects of all groupings.
    several_groupings = True
    share = VarianceShare(share_latent, "of the values, of categories of the latent values")
    options: Mapping[str, Any] = MappingProxyType({"trees": 50, "transitions": 4, "tune": 200})
    calibrated_too: Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]] = MappingProxyType(
        {
            "two categories": (("sporadic", "systematic"), {"kind": "binary"}),
            "ordered categories": (("sporadic", "systematic"), {"kind": "ordinal"}),
            "unordered categories": (("sporadic",), {"kind": "nominal"}),
            "nested groupings": (("sporadic", "systematic"), {"effects": "nested intercepts"}),
            "crossed groupings": (("sporadic", "systematic"), {"effects": "crossed intercepts"}),
            "ordered categories, crossed": (
                ("sporadic",),
                {"effects": "crossed intercepts", "kind": "ordinal"},
            ),
            "four predictors": (("sporadic",), {"predictors": 4}),
        }
    )

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give what it is calibrated on: intercepts by cluster, and few trees."""
        options = {"trees": 8, "transitions": 20}
        return {"options": options} if data == "level 2" else {
            "options": options, "effects": "intercept",
        }  # fmt: skip

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Build the kernel.

        Raises
        ------
        SpecificationError
            If slopes vary by cluster, an option is no number of trees, or a prior of the intercept
            is not normal.
        """
        latent, units, scale = _checked(design, priors, options)
        several = latent.equations > 1
        equations = latent.equations
        intercept = normal_moments(
            priors.get("intercept"), equations, units[0], scale[0] * units[1]
        )
        if intercept is None:
            raise SpecificationError(
                f"priors of {design.target!r}: 'bart' takes a normal prior on intercept."
            )
        categories = tuple(map(str, design.categories)) if several else ()
        plain: dict[str, float] = {}
        chosen: dict[str, Any] = {}
        given = _priors(design, priors)
        for name, own in _scales(design, latent, scale).items():
            for category in categories or ("",):
                key = f"{name}[{category}]" if category else name
                plain[key] = own
                if name in given:
                    chosen[key] = given[name]
        model = ForestModel(
            latent,
            Grid.of(design.x[design.fit]),
            options["trees"],
            *units,
            (intercept[0] - units[0]) / units[1],
            (intercept[1] / units[1]) ** 2,
            scale_priors(plain, chosen),
            categories,
            tuple(map(str, design.categories)) if latent.cutpoints else (),
            tuple(each.n_clusters for each in _grouped(design)),
            tuple(each.grouping for each in _grouped(design)) or ("",),
            tuple(bool(each.random_effects) for each in designs_of(design)),
        )
        return ForestKernel(model, options)

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target.

        Returns
        -------
        pymc.Model
            With data ``x, cluster_index, y``; each sum of trees is a ``pymc_bart.BART`` of the
            standardised target, times ``sd_trees``. Forwards it draws trees from their prior.

        Raises
        ------
        SpecificationError
            If pymc-bart is not installed, or as of `kernel`.
        """
        import pymc as pm
        import pytensor.tensor as pt

        latent, units, scale = _checked(design, priors, options)
        seen, grid = design.rows(design.fit), Grid.of(design.x[design.fit])
        several = latent.equations > 1
        dims = ("category",) if several else None
        with pm.Model(coords=design.coords) as model:
            x: Any = seen.x
            if design.predictors:
                x = pm.Data("x", seen.x, dims=("row", "predictor"))
            if latent.equations > 1 or latent.cutpoints:
                model.add_coord("category", [str(label) for label in design.categories])

            given = _priors(design, priors)

            def prior(name: str, default: Any) -> Any:
                return attach(given.get(name, default), name, dims)

            start: Any = pt.zeros(())
            if not latent.cutpoints:
                start = prior("intercept", pm.Normal.dist(units[0], scale[0] * units[1]))
            named = {
                name: prior(name, pm.HalfNormal.dist(own * units[1]))
                for name, own in _scales(design, latent, scale).items()
            }
            labels = [f"[{label}]" for label in design.categories] if several else [""]
            trees = [_trees(f"trees{label}", x, seen, grid, options["trees"]) for label in labels]
            f = pt.stack(trees, axis=-1) if several else trees[0]
            eta = start + named["sd_trees"] * f
            for each in _grouped(seen):
                further = f"|{each.grouping}" if each.grouping else ""
                # the dim of the first grouping, and of a single one, is plain
                axis = f"cluster{further}" if f"cluster{further}" in model.coords else "cluster"
                shape = (axis, *(dims or ()))
                standard = pm.Normal(f"standard_effect{further}", dims=shape)
                effect = named[f"sd_intercept{further}"] * standard
                index = pm.Data(f"cluster_index{further}", each.cluster, dims="row")
                eta = eta + pm.Deterministic(f"effect{further}", effect, dims=shape)[index]
            row = _distribution(latent, eta, named.get("sigma"))
            values = seen.y
            if isinstance(latent, TwoCategories):
                values = seen.y == latent.high
            if not latent.with_sigma:
                values = values.astype(np.int64)
            y = pm.Data("y", values, dims="row")
            model.register_rv(row, f"{design.target}_observed", observed=y, dims=("row",))
        return model


def _latent(design: Design) -> Latent:
    if design.kind is Kind.NUMERIC:
        values = np.unique(design.y[design.observed])
        return TwoCategories(*map(float, values)) if len(values) == 2 else Numbers()
    if design.kind is Kind.BINARY:
        return TwoCategories()
    if design.kind is Kind.ORDINAL:
        return Ordered(len(design.categories))
    return Unordered(len(design.categories))


def _grouped(design: Design) -> tuple[Design, ...]:
    """Give the design by each grouping that has effects; none without clusters."""
    return tuple(each for each in designs_of(design) if each.random_effects)


def _sd_names(design: Design) -> list[str]:
    names = [each.grouping for each in _grouped(design)]
    return [f"sd_intercept|{name}" if name else "sd_intercept" for name in names]


def _priors(design: Design, priors: Mapping[str, Any]) -> dict[str, Any]:
    """Priors by the names of the model: ``sd_intercept`` is of all groupings not named."""
    designs = designs_of(design)
    pairs = zip(priors_of(priors, designs), designs, strict=True)
    by_grouping = [own for own, each in pairs if each.random_effects]
    given = {name: prior for name, prior in priors.items() if "|" not in name}
    for own, name in zip(by_grouping, _sd_names(design), strict=True):
        if "sd_intercept" in own:
            given[name] = own["sd_intercept"]
    return given


def _scales(design: Design, latent: Latent, scale: tuple[float, float]) -> dict[str, float]:
    """Scales of the half-normal defaults, in computing units, in the order of the kernel's."""
    own = {"sd_trees": scale[1], **dict.fromkeys(_sd_names(design), 1.0)}
    if latent.with_sigma:
        own["sigma"] = 1.0
    return own


def _checked(
    design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Latent, tuple[float, float], tuple[float, float]]:
    """Give the latent values, centre and unit of the target, and the scales of the priors.

    Raises
    ------
    SpecificationError
        If the model cannot be had.
    """
    target, trees = design.target, options["trees"]
    effects = [name for each in designs_of(design) for name in each.random_effects]
    slopes = [name for name in effects if name != "intercept"]
    if slopes:
        raise SpecificationError(
            f"method of {target!r}: 'bart' has a random intercept beside its trees and no random "
            f"slopes, and {', '.join(map(repr, slopes))} is to have one. Code it 1 in place of 2 "
            "in the predictors (trees find by themselves where effects differ), or use 'normal'."
        )
    if not isinstance(trees, int) or isinstance(trees, bool) or trees < 1:
        raise SpecificationError(
            f"method of {target!r}: trees={trees!r} must be a whole number from 1."
        )
    latent = _latent(design)
    numbers = latent.with_sigma
    scale = OF_NUMBERS if numbers else OF_CATEGORIES
    known = [*_scales(design, latent, scale), *(["sd_intercept"] if design.groupings else [])]
    check_names(target, priors, known if latent.cutpoints else ["intercept", *known])
    units = Units.of(design)
    return latent, (units.centre_y, units.scale_y) if numbers else (0.0, 1.0), scale


def _trees(name: str, x: Any, seen: Design, grid: Grid, trees: int) -> Any:
    """Add a sum of trees with SD 1 to the current PyMC model, (row,)."""
    try:
        from pymc_bart import BART
    except ImportError as error:
        raise SpecificationError(
            f"The PyMC model of {seen.target!r} is written with pymc-bart, which is not installed; "
            "imputing does not need it. Install it by: pip install 'bayesimpute[bart]'."
        ) from error
    y = (seen.y - seen.y.mean()) / (seen.y.std() or 1.0)
    sum_of_trees = BART(name, x, y, m=trees, dims="row")
    codes = grid.codes(seen.x)

    def forwards(rng: np.random.Generator, *inputs: Any, size: Any = None) -> Array:
        forest = draw_forest(grid, trees, rng)
        return fitted(forest, placed(forest, codes))

    # each BART has a class of its own; without this it draws the mean of y before it is fitted
    type(sum_of_trees.owner.op).rng_fn = staticmethod(forwards)
    return sum_of_trees


def _distribution(latent: Latent, eta: Any, sigma: Any) -> Any:
    """Give the PyMC distribution of rows by η, (row,) or (row, category)."""
    import pymc as pm
    import pytensor.tensor as pt

    if latent.with_sigma:
        return pm.Normal.dist(eta, sigma)
    if latent.cutpoints:
        share = pm.Dirichlet("share", np.ones(latent.cutpoints + 1), dims="category")
        cutpoints = pm.Deterministic("cutpoints", pm.math.probit(pt.cumsum(share)[:-1]))
        return pm.OrderedProbit.dist(eta=eta, cutpoints=cutpoints)
    if latent.equations == 1:
        return pm.Bernoulli.dist(p=pm.math.invprobit(eta))
    at, weight = nodes()
    chances = []
    for k in range(latent.equations):
        others = [own for own in range(latent.equations) if own != k]
        ahead = eta[:, [k], None] + at - eta[:, others][:, :, None]
        chances.append((pm.math.invprobit(ahead).prod(axis=1) * weight).sum(axis=-1))
    chance = pt.stack(chances, axis=-1)
    return pm.Categorical.dist(p=chance / chance.sum(axis=-1, keepdims=True))
