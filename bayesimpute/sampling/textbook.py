r"""The linear predictor that the readable PyMC models share.

.. math::
    η_{ij} = \text{intercept} + (x_{ij} - \bar x)β + (z_{ij} - \bar z) b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd)),\quad C \sim LKJ(2)

For unordered categories there is one such predictor for each category but the reference, and C
joins the effects of all of them. Effects of different random parts of a formula are independent:
then C has such a matrix for each part, and zeros elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import Units, blocks_of
from bayesimpute.sampling.groupings import designs_of, named, priors_of
from bayesimpute.sampling.priors import attach, lkj_eta


@dataclass(frozen=True)
class Defaults:
    """Default priors of the linear predictor, for predictors with SD 1 and a unit of the target.

    Attributes
    ----------
    intercept_mean, intercept_sd
        Of the normal prior of the intercept; `intercept_sd` None where the model has none.
    beta_sd
        SD of the normal prior of a coefficient.
    """

    intercept_mean: float = 0.0
    intercept_sd: float | None = 2.5
    beta_sd: float = 2.5


#: Scales of the default half-normal priors of SDs between clusters, in the units of
#: :class:`Defaults`: of an intercept, and of a slope.
INTERCEPT_SCALE, SLOPE_SCALE = 1.0, 0.5


def effect_scale(effect: str) -> float:
    """Scale of the default prior of an effect's SD between clusters.

    Parameters
    ----------
    effect
        ``"intercept"``, or the predictor whose slope varies.
    """
    return INTERCEPT_SCALE if effect == "intercept" else SLOPE_SCALE


def plain_units(design: Design) -> Units:
    """Units of a design whose target is counted or categorical: it has no unit of its own."""
    units = Units.of(design)
    return Units(0.0, 1.0, units.centre_x, units.scale_x, units.centre_z, units.scale_z)


@dataclass(frozen=True, eq=False)
class Columns:
    """Rows as the readable models see them: numbers, data of PyMC, or symbols.

    Attributes
    ----------
    x, z
        Predictors (row, predictor), and columns with effects by cluster (row, random_effect).
    cluster
        Cluster of each row, (row,).
    latent
        What a model holds of each row beside its value, (row,); None for nothing.
    groupings
        ``(z, cluster)`` of each further grouping.
    event
        Of times: 1 where one ends with the event, 0 where it is censored, (row,).
    offset
        Added to the linear predictor as it is, (row,), or of unordered categories (row, category);
        None for nothing.
    """

    x: Any
    z: Any
    cluster: Any
    latent: Any = None
    event: Any = None
    offset: Any = None
    groupings: tuple[tuple[Any, Any], ...] = ()

    def rows(self, chosen: Any) -> "Columns":
        """Keep the chosen rows only."""
        kept = {
            each.name: None if (own := getattr(self, each.name)) is None else own[chosen]
            for each in fields(self)
            if each.name != "groupings"
        }
        return Columns(
            **kept, groupings=tuple((z[chosen], cluster[chosen]) for z, cluster in self.groupings)
        )


@dataclass(frozen=True, eq=False)
class RowModel:
    """What rows are, given their columns, in a PyMC model that holds the parameters.

    Attributes
    ----------
    distribution
        Columns -> PyMC distribution of the rows' values, (row,).
    effects
        Names of all effects by cluster, in the order of their correlation matrix.
    factor
        Of a model that also says whether a value is seen: ``factor(columns, values, known)`` is the
        log probability of that in each row, given its value. `known` is a code of
        :mod:`bayesimpute.sampling.selection` other than ``VALUE_ONLY``; without a value, `values`
        are None.
    latent
        What the PyMC model holds of each row of the design beside its value, (row,).
    known
        Of such a model: the code of each row of the design, (row,); NaN for rows that say nothing.
    """

    distribution: Callable[[Columns], Any]
    effects: tuple[str, ...] = ()
    factor: Callable[[Columns, Any, float], Any] | None = None
    latent: Any = None
    known: Any = None


@runtime_checkable
class Textbook(Protocol):
    """A method whose readable model can be asked of any rows; optional."""

    def row_model(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> RowModel:
        """Add the parameters to the current PyMC model; `design` fixes their priors."""
        ...


def data_columns(design: Design) -> Columns:
    """Add the columns of a design's rows to the current PyMC model, as data."""
    import pymc as pm

    x, z = design.x, design.z
    if design.predictors:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
    cluster = pm.Data("cluster_index", design.cluster, dims="row")
    if design.random_effects:
        z = pm.Data("z", design.z, dims=("row", "random_effect"))
    groupings = tuple(
        (
            pm.Data(f"z|{each.name}", each.z, dims=("row", f"random_effect|{each.name}")),
            pm.Data(f"cluster_index|{each.name}", each.cluster, dims="row"),
        )
        for each in design.groupings
    )
    return Columns(x, z, cluster, groupings=groupings)


def effect_names(design: Design, categories: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of the effects by cluster, those of one category next to each other."""
    each = categories or ("",)
    return tuple(f"{e}[{c}]" if c else e for c in each for e in design.random_effects)


def linear_predictor(
    design: Design,
    units: Units,
    priors: Mapping[str, Any],
    defaults: Defaults,
    categories: tuple[str, ...] = (),
) -> Callable[[Columns], Any]:
    """Add coefficients and effects to the current PyMC model; gives η by the columns of rows.

    Parameters
    ----------
    design
        Names and sizes.
    units
        Of the design the kernel has been built with.
    priors
        The user's, by parameter.
    defaults
        Of the others.
    categories
        Labels of the categories but the reference; empty for a single predictor a row. The model
        must have a dim ``"category"`` then.

    Returns
    -------
    Callable
        Columns -> (row,), or (row, category).
    """
    import pymc as pm
    import pytensor.tensor as pt

    def prior(name: str, default: Any, dims: Any = None) -> Any:
        return attach(priors.get(name, default), name, dims)

    several = ("category",) if categories else ()
    start: Any = pt.zeros(()) + units.centre_y
    if defaults.intercept_sd is not None:
        default = pm.Normal.dist(
            units.centre_y + units.scale_y * defaults.intercept_mean,
            units.scale_y * defaults.intercept_sd,
        )
        start = prior("intercept", default, several or None)
    beta = None
    if design.predictors:
        scale: Array = defaults.beta_sd * units.scale_y / units.scale_x
        size = np.broadcast_to(scale[:, None], (len(scale), len(categories)))
        default = pm.Normal.dist(0.0, size if categories else scale)
        beta = prior("beta", default, ("predictor", *several))
    designs = designs_of(design)
    units_of = [units, *(plain_units(each) for each in designs[1:])]
    effects = [
        _effects(
            each, replace(units, centre_z=own.centre_z, scale_z=own.scale_z), given, categories
        )
        for each, own, given in zip(designs, units_of, priors_of(priors, designs), strict=True)
    ]

    def of(columns: Columns) -> Any:
        eta = start if columns.offset is None else start + columns.offset
        if beta is not None:
            eta = eta + (columns.x - units.centre_x) @ beta
        if eta.ndim <= len(several):
            eta = eta + pt.zeros_like(columns.cluster)[:, *[None] * len(several)]
        by_grouping = ((columns.z, columns.cluster), *columns.groupings)
        for effect, own, (z, cluster) in zip(effects, units_of, by_grouping, strict=True):
            if effect is not None:
                z = z - own.centre_z
                each = (z[:, None, :] if categories else z) * effect[cluster]
                eta = eta + each.sum(axis=-1)
        return eta

    return of


def _effects(
    design: Design,
    units: Units,
    priors: Mapping[str, Any],
    categories: tuple[str, ...],
) -> Any:
    """Effects of each cluster, ([category,] random_effect); None without a cluster.

    Names of one grouping among several end with it, as ``sd_intercept|school`` does.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if not design.random_effects:
        return None
    label = partial(named, grouping=design.grouping) if design.grouping else str
    # dims of the first grouping, and of a single one, are plain
    further = label("cluster") in pm.modelcontext(None).coords
    clusters, effects = (label(d) if further else d for d in ("cluster", "random_effect"))
    scale = np.array([*map(effect_scale, design.random_effects)]) * units.scale_y / units.scale_z
    sd = pt.stack(
        [
            attach(
                priors.get(f"sd_{effect}", pm.HalfNormal.dist(float(s))),
                label(f"sd_{effect}"),
                "category" if categories else None,
            )
            for effect, s in zip(design.random_effects, scale, strict=True)
        ]
    )
    q, equations = len(design.random_effects), max(len(categories), 1)
    each = effects
    if categories:
        each = label("category_effect")
        pm.modelcontext(None).add_coord(each, np.arange(q * equations))
    standard = pm.Normal(label("standard_effect"), dims=(clusters, each))
    names = effect_names(design, categories)
    standard = correlated(standard, names, blocks_of(design) * equations, priors, label)
    if categories:
        # effects of one category stand next to each other
        by_category = standard.reshape((design.n_clusters, equations, q)) * sd.T
        return pm.Deterministic(label("effect"), by_category, dims=(clusters, "category", effects))
    return pm.Deterministic(label("effect"), standard * sd, dims=(clusters, effects))


def observed_model(
    design: Design,
    method: Textbook,
    priors: Mapping[str, Any],
    options: Mapping[str, Any],
    columns: Callable[[Design], Columns] = data_columns,
) -> Any:
    """Give the readable model of the rows that have a value, whose columns are data."""
    import pymc as pm

    seen = design.rows(design.fit)
    with pm.Model(coords=design.coords) as model:
        row = method.row_model(design, priors, options).distribution(columns(seen))
        y = pm.Data("y", values_of(row, seen.y), dims="row")
        model.register_rv(row, f"{design.target}_observed", observed=y, dims=("row",))
    return model


def values_of(row: Any, values: Array) -> Any:
    """Give values in the type of their distribution."""
    return values if row.dtype.startswith("float") else values.astype(np.int64)


def correlated(
    standard: Any,
    names: Sequence[str],
    blocks: Sequence[int],
    priors: Mapping[str, Any],
    label: Callable[[str], str] = str,
) -> Any:
    """Give independent effects the correlations of their blocks, each LKJ(2) or as in `priors`.

    The model holds the matrix as ``correlation``.

    Parameters
    ----------
    standard
        Standard normal, (cluster, effect).
    names
        Of the effects.
    blocks
        Number of the block of each.
    priors
        The user's; of another family than LKJ only where all effects are in one block.
    label
        Gives the names in the model.

    Raises
    ------
    SpecificationError
        If a prior of another family would correlate what is independent.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if not CorrelationBlocks(blocks, 2.0).count:
        return standard
    given, places = priors.get("correlation"), np.asarray(blocks)
    eta, several = lkj_eta(given, 2.0), len(set(blocks)) > 1
    if eta is None and several:
        raise SpecificationError(
            f"priors: {', '.join(names)} are not all in one random part, so their correlations "
            "take pm.LKJCorr.dist(n=2, eta=…); put them in one part for another family."
        )
    factor = pt.eye(len(blocks))
    for block in np.unique(places):
        own = np.flatnonzero(places == block)
        if len(own) > 1:
            name = f"correlation_factor[{names[own[0]]}]" if several else "correlation_factor"
            prior = given if eta is None else pm.LKJCorr.dist(n=len(own), eta=eta)
            # PyMC's LKJCorr is a Cholesky factor
            factor = pt.set_subtensor(factor[np.ix_(own, own)], attach(prior, label(name)))
    pm.Deterministic(label("correlation"), factor @ factor.T)
    return standard @ factor.T
