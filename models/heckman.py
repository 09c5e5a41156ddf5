r"""Hierarchical selection model: values missing because of what they are.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    y_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j + σ_j e_{ij}

    y_{ij} \text{ is seen if } \text{selection\_intercept} + x_{ij}γ + z_{ij} a_j + u_{ij} > 0

    (e, u) \sim N\Bigl(0, \begin{pmatrix}1 & ρ_j\\ ρ_j & 1\end{pmatrix}\Bigr),\quad
    \log σ_j = \log σ + s_j,\quad \operatorname{atanh} ρ_j = \operatorname{atanh} ρ + r_j

    (b_j, a_j, s_j, r_j) \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

(Heckman 1976, with effects by cluster as in Muñoz, Efthimiou, Audigier, de Jong & Debray 2023, but
as one hierarchical model and not cluster by cluster.) A predictor coded −3 is in the selection
only, −4 in the outcome only. ``heckman.binary`` has a probit outcome without σ (bivariate probit).
Without a cluster the effects are absent.

A cluster in which nothing at all is seen says nothing of selection: by default its rows are outside
the likelihood, and its values are drawn with effects from the population of clusters.

Priors
------
==========================  =====================================================
``intercept``               Normal(mean of y, 2.5 s_y); binary: Normal(0, 2.5)
``beta``                    Normal(0, 2.5 s_y / s_x)
``selection_intercept``     Normal(0, 1.5): ±3 on the probit scale is certainty
``selection_beta``          Normal(0, 1.5 / s_x)
``log_sigma``               Normal(log s_y, 1)
``atanh_rho``               Normal(0, 1): ρ within ±0.96 with 95 %, nearly uniform
``sd_…``                    HalfNormal(s_y), of slopes HalfNormal(0.5 s_y / s_z)
``selection_sd_…``          HalfNormal(1), of slopes HalfNormal(0.5 / s_z)
``sd_log_sigma``            HalfNormal(0.5)
``sd_atanh_rho``            HalfNormal(0.5)
``correlation``             LKJCorr(eta=2), of all effects; those of different random parts of a
                            formula are independent
==========================  =====================================================

The data hardly ever say much about ρ: its prior is an assumption to be defended, and
``model_options={"weight": {"rho": 0.5}}`` fixes it for a sensitivity analysis.

Draw
----
1. All four linear predictors (outcome, selection, log σ, atanh ρ) move as in
   :mod:`bayesimpute.sampling.linear`.
2. For an unseen value the selection's error is drawn below its threshold, and the outcome given it
   from N(η + σρu, σ²(1 − ρ²)), which is exact.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design, Kernel, Occasion, Words
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.groupings import designs_of, named, priors_of
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.selection import (
    DRAWN,
    SEEN,
    UNSEEN,
    VALUE_ONLY,
    BinarySelectionLikelihood,
    SelectionLikelihood,
)
from bayesimpute.sampling.selection_kernel import (
    DEFAULTS,
    known_of,
    parts_of,
    rows_of_selection,
    selected_clusters,
    selection_kernel,
    selection_units,
    within,
)
from bayesimpute.sampling.textbook import Columns, RowModel, correlated, effect_scale, values_of

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "transitions": 4,
        "tune": 60,
        "rho": None,
        "select_whole_clusters": False,
        "selection_only": (),
        "outcome_only": (),
        "pmm": False,
        "donors": 5,
    }
)


#: What is known of rows, and its name in the readable model.
NAMES = {SEEN: "seen", UNSEEN: "unseen", DRAWN: "unseen, drawn", VALUE_ONLY: "drawn"}


@dataclass(frozen=True, eq=False)
class Predictors:
    """Linear predictors of rows, (row,) each.

    Attributes
    ----------
    outcome, selection
        Of the two equations.
    log_sigma, atanh_rho
        Of the spread and of the correlation.
    """

    outcome: Any
    selection: Any
    log_sigma: Any
    atanh_rho: Any


def selection_equation(occasion: Occasion, outcome: str, weight: str = "", sd: str = "") -> str:
    """Write the outcome, then what the models share, of errors over the root of a weight."""
    by, given = "_j" if occasion.intercept else "", occasion.options["rho"]
    rho = f"ρ{by}" if given is None else f"{given:g}"
    spread = [rf"\log\;{sd}"] if sd else []
    spread += [] if given is not None else [rf"\operatorname{{atanh}}\;{rho}"]
    further = f"[{', '.join(spread)}]" if by and spread else ""
    return (
        rf"{outcome} \\ s_$row = $selection + u_$row{weight} \\ "
        rf"$y\text{{ is seen if }}s_$row > 0 \\ "
        rf"(e_$row, u_$row) \sim N(\mathbf{{0}}, \text{{SDs 1, correlation }}{rho}) \\ "
        rf"$effects{further}"
    )


def _equation(occasion: Occasion) -> str:
    sd = "σ_j" if occasion.intercept else "σ"
    return selection_equation(occasion, rf"$y = $predictor + {sd}\,e_$row", sd=sd)


def _binary_equation(occasion: Occasion) -> str:
    outcome = r"$star = $predictor + e_$row \\ $y = $last\text{ if }$star > 0"
    return selection_equation(occasion, outcome)


class Heckman:
    """Selection model of a numeric target.

    Options
    -------
    rho
        Fixes ρ, between −1 and 1; default, ρ is estimated, with a prior.
    selection_only, outcome_only
        Terms of a formula that are in one equation only, as codes −3 and −4 say it in a matrix.
    select_whole_clusters
        Whether a cluster without any observed value counts as selected against (default False).
    pmm, donors
        Whether a drawn value is replaced by one of the `donors` (5) nearest observed ones.
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"weight": "heckman"}  # code the exclusion restriction −3 in predictors=
    """

    words = Words(
        _equation,
        "Not missing at random: whether a value is seen depends on the value "
        "itself, through errors of outcome and selection that correlate by ρ. "
        "Predictors: {x}",
        "A missing value is drawn given that it was not seen.",
        name="a Heckman selection model",
    )
    kinds = frozenset({Kind.NUMERIC})
    #: Of its outcome, once it is complete.
    fitted_as = "gaussian"
    options = OPTIONS
    #: Codes −3 and −4 have a meaning here.
    two_equations = True
    #: Option by which values are copied from donors.
    copied_by = "pmm"
    binary = False
    likelihood: Any = SelectionLikelihood

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows that count for selection."""
        import pymc as pm

        with pm.Model(coords=design.coords) as model:
            rows = self.row_model(design, priors, options)
            for known, name in NAMES.items():
                counted = rows.known == known
                if known in (SEEN, UNSEEN) or counted.any():
                    self._add(rows, design, counted, known, name)
        return model

    @staticmethod
    def _add(rows: RowModel, design: Design, counted: Any, known: float, name: str) -> None:
        """Add rows of which the same is known to the current PyMC model."""
        import pymc as pm

        chosen, y = design.rows(counted), None
        latent = None if rows.latent is None else rows.latent[np.flatnonzero(counted)]
        groupings = tuple((each.z, each.cluster) for each in chosen.groupings)
        columns = Columns(chosen.x, chosen.z, chosen.cluster, latent, groupings=groupings)
        if known != UNSEEN:
            row, suffix = rows.distribution(columns), "" if known == SEEN else f" ({name})"
            y = pm.Data(f"y{suffix}", values_of(row, chosen.y))
            title = f"{design.target}_observed{suffix}"
            model = pm.modelcontext(None)
            model.register_rv(row, title, observed=y, dims=(f"{name}_row",))
        if known != VALUE_ONLY and rows.factor is not None:
            pm.Potential(name, rows.factor(columns, y, known).sum())

    def row_model(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> RowModel:
        """Add the parameters to the current PyMC model."""
        import pymc as pm

        check_rho(design.target, options["rho"])
        counted = rows_of_selection(design, options["select_whole_clusters"])
        units = selection_units(design, counted, self.binary)
        parts = parts_of(design, self.likelihood.further, options["rho"])
        model = pm.modelcontext(None)
        model.add_coords(
            {
                "outcome_predictor": list(parts.outcome),
                "selection_predictor": list(parts.selection),
            }
        )

        given = design, units, parts, options["rho"], priors, counted
        predictors = _linear_predictors(self.binary, *given)
        latent = self._latent(design, counted, priors)

        def distribution(columns: Columns) -> Any:
            return self._outcome(predictors(columns), columns.latent)

        def factor(columns: Columns, values: Any, known: float) -> Any:
            at = predictors(columns)
            if known == UNSEEN:
                return self._unseen(at, columns.latent)
            return self._selection(at, columns.latent, values, known)

        known = known_of(design, selected_clusters(design, options["select_whole_clusters"]))
        known = np.where(counted, known, np.nan)
        return RowModel(distribution, parts.effects, factor, latent, known)

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictors.

        Raises
        ------
        SpecificationError
            If ρ is fixed at a value beyond its bounds, or a prior cannot be used.
        """
        check_rho(design.target, options["rho"])
        likelihood = self.likelihood(options["rho"])
        return selection_kernel(design, likelihood, priors, options, self.positive())

    def positive(self) -> Mapping[str, Any]:
        """Give default priors of positive parameters of the likelihood's own: none."""
        return {}

    def _latent(self, design: Design, counted: Any, priors: Mapping[str, Any]) -> Any:
        """Give what is held of each row beside its value: nothing."""
        return None

    def _outcome(self, at: Predictors, latent: Any) -> Any:
        """Distribution of values."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.Normal.dist(at.outcome, pt.exp(at.log_sigma))

    def _selection(self, at: Predictors, latent: Any, values: Any, known: float) -> Any:
        """Log probability of being seen or not, given the value."""
        import pytensor.tensor as pt

        e = (values - at.outcome) / pt.exp(at.log_sigma)
        t = at.atanh_rho
        return log_normal_share(known * (at.selection * pt.cosh(t) + e * pt.sinh(t)))

    def _unseen(self, at: Predictors, latent: Any) -> Any:
        """Log probability of not being seen, whatever the value."""
        return log_normal_share(-at.selection)


class HeckmanBinary(Heckman):
    """Selection model of a target with two categories: a bivariate probit.

    Options
    -------
    rho, selection_only, outcome_only, select_whole_clusters, transitions, tune
        As for :class:`Heckman`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"smokes": "heckman.binary"}  # bi.impute(df, cluster=..., method=method)
    """

    words = Words(
        _binary_equation,
        "Not missing at random: a probit model of two categories, whose error "
        "correlates by ρ with that of being seen. Predictors: {x}",
        "A missing value is drawn given that it was not seen.",
        name="a probit selection model",
    )
    kinds = frozenset({Kind.BINARY})
    fitted_as = "binomial"
    options: Mapping[str, Any] = MappingProxyType(
        {name: value for name, value in OPTIONS.items() if name not in ("pmm", "donors")}
    )
    copied_by = ""
    binary = True
    likelihood = BinarySelectionLikelihood

    def _latent(self, design: Design, counted: Any, priors: Mapping[str, Any]) -> Any:
        """Give the place of each outcome's error within its category, as a share, (row,)."""
        import pymc as pm
        import pytensor.tensor as pt

        held = np.flatnonzero(design.fit)
        return pt.set_subtensor(pt.zeros(len(design.y))[held], pm.Uniform("place", shape=held.size))

    def _outcome(self, at: Predictors, latent: Any) -> Any:
        """Distribution of categories."""
        import pymc as pm

        return pm.Bernoulli.dist(pm.math.invprobit(at.outcome))

    def _selection(self, at: Predictors, latent: Any, values: Any, known: float) -> Any:
        """Log probability of being seen or not, given the error that `latent` places."""
        import pymc as pm
        import pytensor.tensor as pt

        zero = pm.math.invprobit(-at.outcome)  # chance of category 0
        lower, upper = pt.where(values > 0.5, zero, 0.0), pt.where(values > 0.5, 1.0, zero)
        e = pm.math.probit(pt.clip(lower + latent * (upper - lower), 1e-12, 1 - 1e-12))
        t = at.atanh_rho
        return log_normal_share(known * (at.selection * pt.cosh(t) + e * pt.sinh(t)))


def _linear_predictors(
    binary: bool,
    design: Design,
    units: Any,
    parts: Any,
    rho: float | None,
    priors: Mapping[str, Any],
    fit: Any,
) -> Callable[[Columns], Predictors]:
    """Add the parameters of all linear predictors; gives these by the columns of rows."""
    import pymc as pm
    import pytensor.tensor as pt

    def prior(name: str, default: Any, dims: Any = None) -> Any:
        return attach(priors.get(name, default), name, dims)

    def fixed_part(prefix: str, centre: float, spread: float, names: Any) -> Callable[..., Any]:
        equation = prefix.removesuffix("_") or "outcome"
        intercept = prior(f"{prefix}intercept", pm.Normal.dist(centre, spread))
        if not names:
            return lambda columns: intercept + pt.zeros_like(columns.cluster)
        keep = np.flatnonzero(within(design.predictors, design.equations_x, equation))
        default = pm.Normal.dist(0, spread / units.scale_x[keep])
        beta = prior(f"{prefix}beta", default, f"{equation}_predictor")
        return lambda columns: intercept + (columns.x - units.centre_x)[:, keep] @ beta

    fixed = (
        fixed_part("", units.centre_y, DEFAULTS.outcome_sd * units.scale_y, parts.outcome),
        fixed_part("selection_", 0.0, DEFAULTS.selection_sd, parts.selection),
    )
    further: dict[str, Any] = {"log_sigma": pt.zeros(())}
    if not binary:
        default = pm.Normal.dist(np.log(units.scale_y), DEFAULTS.log_sigma_sd)
        further["log_sigma"] = prior("log_sigma", default)
        pm.Deterministic("sigma", pt.exp(further["log_sigma"]))
    if rho is None:
        further["atanh_rho"] = prior("atanh_rho", pm.Normal.dist(0, DEFAULTS.atanh_rho_sd))
        pm.Deterministic("rho", pt.tanh(further["atanh_rho"]))
    else:
        further["atanh_rho"] = pt.constant(np.arctanh(rho))
    designs = designs_of(design)
    effects = [
        _effects(each, replace(units, **_of_z(each, fit)), parts_of(each, parts.further, None), own)
        for each, own in zip(designs, priors_of(priors, designs), strict=True)
    ]

    def of(columns: Columns) -> Predictors:
        found = [part(columns) for part in fixed]
        if columns.offset is not None:
            found[0] = found[0] + columns.offset
        rest = dict(further)
        by_grouping = ((columns.z, columns.cluster), *columns.groupings)
        for made, each, (z, cluster) in zip(effects, designs, by_grouping, strict=True):
            if made is None:
                continue
            effect, its, centre = made
            own, z, first = effect[cluster], z - centre, 0
            equations = ("outcome", "selection")
            for k, names in enumerate((its.outcome_effects, its.selection_effects)):
                keep = within(each.random_effects, each.equations_z, equations[k])
                of_equation = z[:, np.flatnonzero(keep)] * own[:, first : first + len(names)]
                found[k] = found[k] + of_equation.sum(axis=1)
                first += len(names)
            for k, name in enumerate(its.further_effects):
                rest[name] = rest[name] + own[:, first + k]
        rows = {name: value + pt.zeros_like(columns.cluster) for name, value in rest.items()}
        return Predictors(found[0], found[1], rows["log_sigma"], rows["atanh_rho"])

    return of


def check_rho(target: str, rho: Any) -> None:
    """Refuse a correlation that is none.

    Raises
    ------
    SpecificationError
        Naming the target.
    """
    if rho is not None and not (isinstance(rho, int | float) and -1 < rho < 1):
        raise SpecificationError(
            f"model_options of {target!r}: rho={rho!r} must be a number between −1 and 1 (both "
            "excluded), or None to estimate it."
        )


def _of_z(design: Design, fit: Any) -> dict[str, Any]:
    """Centres and scales of a grouping's columns, over the rows that count."""
    over = Units.of(replace(design, fit=fit, y=np.zeros(len(design.y))))
    return {"centre_z": over.centre_z, "scale_z": over.scale_z}


def _effects(design: Design, units: Any, parts: Any, priors: Mapping[str, Any]) -> Any:
    """Effects by cluster of all equations, (cluster, effect), their parts, and centres of z."""
    import pymc as pm
    import pytensor.tensor as pt

    if not design.random_effects:
        return None
    label = partial(named, grouping=design.grouping) if design.grouping else str
    further = label("cluster") in pm.modelcontext(None).coords
    cluster, effect = (label(d) if further else d for d in ("cluster", "effect"))
    pm.modelcontext(None).add_coord(effect, list(parts.effects))
    scales: dict[str, float] = {}
    for prefix, names, scale in (
        ("sd_", parts.outcome_effects, units.scale_y),
        ("selection_sd_", parts.selection_effects, 1.0),
    ):
        for name in names:
            z = units.scale_z[design.random_effects.index(name)]
            scales[f"{prefix}{name}"] = effect_scale(name) * scale / z
    scales |= {f"sd_{name}": DEFAULTS.spread_scale for name in parts.further_effects}
    sd = pt.stack(
        [
            attach(priors.get(name, pm.HalfNormal.dist(float(scale))), label(name))
            for name, scale in scales.items()
        ]
    )
    standard = pm.Normal(label("standard_effect"), dims=(cluster, effect))
    made = correlated(standard, parts.effects, parts.blocks, priors, label) * sd
    return made, parts, units.centre_z


def log_normal_share(x: Any) -> Any:
    """Logarithm of Φ."""
    import pymc as pm

    return pm.logcdf(pm.Normal.dist(), x)
