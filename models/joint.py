r"""Several variables imputed together: multivariate normal on the latent scale, two levels.

Model
-----
For row i in cluster j and the variables (members) r = 1 … R of the block, with predictors and
random slopes centred at their observed means,

.. math::
    y^*_{ijr} = \text{intercept}_r + x_{ij} β_r + z_{ij} b_{jr} + ε_{ijr}

    (b_{j1}, …, b_{jR}) \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd)),\quad
    (ε_{ij1}, …, ε_{ijR}) \sim N(0, Σ)

A numeric member is its latent value. A member with two or with ordered categories 0 … K − 1 shows
the interval its latent value lies in; its residual SD is 1 (Albert & Chib 1993; Goldstein,
Carpenter, Kenward & Levin 2009),

.. math::
    y_{ijr} = k \iff c_{k-1} < y^*_{ijr} \le c_k,\qquad
    c_k = Φ^{-1}(\text{share}_0 + … + \text{share}_k)

Its intercept is 0, its cutpoints take that place. Variables of the block do not predict each other
in another way: their associations within and between clusters are Σ and C. This is the model of
R's pan and jomo, with proper priors that need no choice of degrees of freedom.

Priors
------
=========================  ================================================
``intercept``              Normal(mean of y, 2.5 s_y); numeric members
``share``                  uniform over all splits; members with categories
``beta``                   Normal(0, 2.5 s_y / s_x); s_y = 1 for categories
``sd_intercept``           HalfNormal(s_y)
``sd_<slope>``             HalfNormal(0.5 s_y / s_x)
``sigma``                  HalfNormal(s_y); numeric members
``correlation``            LKJCorr(eta=2), of all effects of a cluster
``residual_correlation``   LKJCorr(eta=2)
=========================  ================================================

All but ``share`` can be replaced, under the member's name; correlations under any one of them.

Draw
----
1. Of a row, unknown members are integrated out. In turn each member with categories is *judged*:
   its latent values are integrated out too (:mod:`bayesimpute.sampling.joint`), those of the
   others stand where they were drawn last. β, b and all scales move as in
   :mod:`bayesimpute.sampling.linear`, cutpoints by slice sampling; then the judged member's latent
   values are drawn from truncated normals. With one such member there is no data augmentation at
   all, with several each is free of its own in its turn.
2. What is missing of a row is drawn jointly given what is known of it, so imputed values of one row
   belong together.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.method import Array, Design, Kernel, Occasion, Words
from bayesimpute.sampling.gaussian import Units, blocks_of
from bayesimpute.sampling.groupings import designs_of, named, priors_of
from bayesimpute.sampling.joint import Members
from bayesimpute.sampling.joint_kernel import joint_kernel, shared_priors
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.textbook import Defaults, correlated, effect_scale

DEFAULTS = Defaults()


def _equation(occasion: Occasion) -> str:
    seen, predictor = r"$y = $star", "$predictor"
    if not occasion.numeric:
        seen, predictor = r"$y = k\text{ if }c_{k-1} \lt $star \le c_k", "$slopes"
    return (
        rf"$star = {predictor} + ε_$row \\ {seen} \\ $effects \\ "
        r"ε_$row\text{ of }($latent) \sim N(\mathbf{0}, Σ)"
    )


class Joint:
    """Joint model of all targets that have this method (and the same clusters and level).

    Options
    -------
    transitions
        Sweeps a visit, at least one for each member with categories (default 4).
    tune
        Sweeps of the one adaptation (default 60).

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"weight": "joint", "smokes": "joint"}  # bi.impute(df, cluster=..., method=method)
    """

    words = Words(
        _equation,
        "Imputed together with {block} by one multivariate normal model of latent"
        " values, whose means depend linearly on {x}",
        "What is missing of a row is drawn jointly, given what is known of it.",
        name="a joint multivariate normal model of latent values",
    )
    kinds = frozenset({Kind.NUMERIC, Kind.BINARY, Kind.ORDINAL})
    #: Has parameters for each category, but one slope for all.
    by_category, one_slope = True, frozenset({Kind.ORDINAL})
    #: That of one member alone, the others given, is not worked out.
    has_density = False
    options: Mapping[str, Any] = MappingProxyType({"transitions": 4, "tune": 60})
    #: Targets with this method become one block.
    block = True

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model: a latent value for each observed category."""
        import pymc as pm

        members = members_of(design)
        with pm.Model(coords=_coords(design, members)) as model:
            _observe(design, members, *_population(design, members, priors))
        return model

    def forward(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any], target: str
    ) -> tuple[Any, Any]:
        """Build the model without data.

        Returns
        -------
        model, value
            `value` is the member `target` in the rows where it is seen, categories as codes.
        """
        import pymc as pm

        members = members_of(design)
        k = members.names.index(target)
        with pm.Model(coords=_coords(design, members)) as model:
            eta, covariance, cutpoints = _population(design, members, priors)
            latent = pm.MvNormal("latent", eta, covariance, dims=("row", "member"))
            value: Any = latent[np.flatnonzero(design.members[k].fit), k]
            if k in cutpoints:
                value = (value[:, None] > cutpoints[k]).sum(axis=1)
            value = pm.Deterministic(f"{target}_observed", value, dims="row")
        return model, value

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the block.

        Raises
        ------
        SpecificationError
            If a prior cannot be used.
        """
        return joint_kernel(design, members_of(design), priors, DEFAULTS, options)


def _coords(design: Design, members: Members) -> dict[str, Any]:
    """Coordinates of the model; effects of one member stand next to each other."""
    effects = [f"{effect}[{name}]" for name in members.names for effect in design.random_effects]
    return {**design.coords, "member": list(members.names), "member_effect": effects}


def _population(
    design: Design, members: Members, priors: Mapping[str, Mapping[str, Any]]
) -> tuple[Any, Any, dict[int, Any]]:
    """Linear predictors (row, member), residual covariance, cutpoints by member."""
    import pymc as pm
    import pytensor.tensor as pt

    units, shared = Units.of(design), shared_priors(priors)
    size = len(members.names)
    x = pm.Data("x", design.x - units.centre_x, dims=("row", "predictor"))
    predictors: list[Any] = []
    residual_sds: list[Any] = []
    cutpoints: dict[int, Any] = {}
    for k, name in enumerate(members.names):
        own, scale = priors.get(name, {}), members.scale[k]

        def prior(
            parameter: str, default: Any, dims: Any = None, own: Any = own, name: str = name
        ) -> Any:
            return attach(own.get(parameter, default), f"{parameter}[{name}]", dims)

        eta: Any = pt.zeros(len(design.y))
        if members.categories[k]:
            share = pm.Dirichlet(f"share[{name}]", np.ones(len(members.categories[k])))
            below = pt.clip(pt.cumsum(share)[:-1], 1e-12, 1 - 1e-12)
            cutpoints[k] = pm.Deterministic(f"cutpoints[{name}]", pm.math.probit(below))
            residual_sds.append(pt.ones(()))
        else:
            eta = eta + prior("intercept", pm.Normal.dist(members.centre[k], 2.5 * scale))
            residual_sds.append(prior("sigma", pm.HalfNormal.dist(scale)))
        if design.predictors:
            default = pm.Normal.dist(0.0, 2.5 * scale / units.scale_x)
            eta = eta + x @ prior("beta", default, "predictor")
        predictors.append(eta)
    eta = pt.stack(predictors, axis=1)
    designs = designs_of(design)
    of_members = {name: priors_of(priors.get(name, {}), designs) for name in members.names}
    of_correlations = priors_of(shared, designs)
    for k, each in enumerate(designs):
        if each.random_effects:
            own = {name: given[k] for name, given in of_members.items()}
            eta = eta + _effects(each, members, own, of_correlations[k])
    factor = pt.stack(residual_sds)[:, None] * _residual_correlation(size, shared)
    return eta, factor @ factor.T, cutpoints


def _effects(
    design: Design,
    members: Members,
    priors: Mapping[str, Mapping[str, Any]],
    shared: Mapping[str, Any],
) -> Any:
    """Add the effects of one grouping; gives their part of linear predictors, (row, member)."""
    import pymc as pm
    import pytensor.tensor as pt

    label = partial(named, grouping=design.grouping) if design.grouping else str
    units, size = Units.of(design), len(members.names)
    # dims of the first grouping, and of a single one, are plain
    further = label("cluster") in pm.modelcontext(None).coords
    clusters, effects = (label(d) if further else d for d in ("cluster", "member_effect"))
    names = _coords(design, members)["member_effect"]
    pm.modelcontext(None).add_coord(effects, names)
    cluster = pm.Data(label("cluster_index") if further else "cluster_index", design.cluster)
    sds = [
        attach(
            priors[name].get(
                f"sd_{effect}", pm.HalfNormal.dist(float(effect_scale(effect) * scale / z))
            ),
            label(f"sd_{effect}[{name}]"),
        )
        for name, scale in zip(members.names, members.scale, strict=True)
        for effect, z in zip(design.random_effects, units.scale_z, strict=True)
    ]
    standard = pm.Normal(label("standard_effect"), dims=(clusters, effects))
    standard = correlated(standard, names, blocks_of(design) * size, shared, label)
    q = len(design.random_effects)
    effect = (standard * pt.stack(sds)).reshape((design.n_clusters, size, q))
    return ((design.z - units.centre_z)[:, None, :] * effect[cluster]).sum(axis=-1)


def _residual_correlation(size: int, priors: Mapping[str, Any]) -> Any:
    """Cholesky factor of the residuals' correlations."""
    import pymc as pm
    import pytensor.tensor as pt

    if size == 1:
        return pt.ones((1, 1))
    # a prior is written for any size: only its concentration counts
    given = priors.get("residual_correlation", pm.LKJCorr.dist(n=size, eta=2.0))
    lkj = pm.LKJCorr.dist(n=size, eta=given.owner.inputs[-1])
    factor = attach(lkj, "residual_correlation_factor")  # PyMC's LKJCorr is a Cholesky factor
    pm.Deterministic("residual_correlation", factor @ factor.T)
    return factor


def members_of(design: Design) -> Members:
    """Give the block's variables, with the scales that fix units and default priors."""
    categories = tuple(tuple(map(str, member.categories)) for member in design.members)
    centre, scale = [], []
    for member, labels in zip(design.members, categories, strict=True):
        y = member.y[member.fit]
        centre.append(0.0 if labels else float(y.mean()))
        scale.append(1.0 if labels else float(y.std()) or 1.0)
    names = tuple(member.target for member in design.members)
    return Members(names, categories, np.array(centre), np.array(scale))


def _observe(
    design: Design, members: Members, eta: Any, covariance: Any, cutpoints: Mapping[int, Any]
) -> None:
    """Likelihood of rows with the same members seen: numbers first, then latent values.

    A latent value is a truncated normal given those before it, drawn by its inverse distribution
    function; the potential is the mass of its interval (Geweke 1991).
    """
    import pymc as pm
    import pytensor.tensor as pt

    seen = np.column_stack([member.fit for member in design.members])
    for pattern in np.unique(seen[seen.any(axis=1)], axis=0):
        rows = np.flatnonzero((seen == pattern).all(axis=1))
        order = sorted(np.flatnonzero(pattern).tolist(), key=lambda k: bool(members.categories[k]))
        names = "+".join(members.names[k] for k in order)
        numbers = [k for k in order if not members.categories[k]]
        factor = pt.linalg.cholesky(covariance[np.ix_(order, order)])
        mean = eta[rows][:, order]
        noise: list[Any] = []
        if numbers:
            values = np.column_stack([design.members[k].y[rows] for k in numbers])
            n = len(numbers)
            pm.MvNormal(f"numbers[{names}]", mean[:, :n], chol=factor[:n, :n], observed=values)
            standard = pt.linalg.solve_triangular(
                factor[:n, :n], (values - mean[:, :n]).T, lower=True
            )
            noise = [standard[i] for i in range(n)]
        for at, k in enumerate(order):
            if k in cutpoints:
                code = design.members[k].y[rows].astype(np.int64)
                ends = pt.concatenate([[-20.0], cutpoints[k], [20.0]])
                centre = mean[:, at] + sum(
                    (factor[at, i] * noise[i] for i in range(at)), pt.zeros(len(rows))
                )
                lower = _normal_share((ends[code] - centre) / factor[at, at])
                upper = _normal_share((ends[code + 1] - centre) / factor[at, at])
                pm.Potential(f"seen[{members.names[k]}|{names}]", pt.log(upper - lower).sum())
                at_row = f"row[{members.names[k]}|{names}]"
                u = pm.Uniform(f"place[{members.names[k]}|{names}]", shape=len(rows), dims=at_row)
                noise.append(pm.math.probit(pt.clip(lower + u * (upper - lower), 1e-12, 1 - 1e-12)))


def _normal_share(at: Array) -> Any:
    """Φ, which PyMC spells as the inverse of the probit."""
    import pymc as pm

    return pm.math.invprobit(at)
