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
``sd_…``                    HalfNormal(s_y / s_z)
``selection_sd_…``          HalfNormal(1 / s_z)
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
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design, Kernel, Words
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.selection import BinarySelectionLikelihood, SelectionLikelihood
from bayesimpute.sampling.selection_kernel import (
    DEFAULTS,
    parts_of,
    rows_of_selection,
    selection_kernel,
    selection_units,
    within,
)
from bayesimpute.sampling.textbook import correlated

#: ``prior(name, default)`` gives a parameter its prior, the user's if there is one.
Prior = Callable[..., Any]

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


@dataclass(frozen=True, eq=False)
class Rows:
    """What the textbook model's likelihood is made of.

    Attributes
    ----------
    outcome, selection
        Linear predictors, (row,).
    further
        Those of log σ and atanh ρ, (row,) each.
    seen, unseen
        Positions of the rows whose value is seen, and of the others.
    y
        Seen values, (seen_row,).
    """

    outcome: Any
    selection: Any
    further: Mapping[str, Any]
    seen: Any
    unseen: Any
    y: Any


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
        "heckman",
        "{y} = {predictor} + ε_{row};  seen if {selection} + u_{row} > 0;  "
        "corr(ε_{row}, u_{row}) = {rho}{effects}",
        "Not missing at random: whether a value is seen depends on the value "
        "itself, through errors of outcome and selection that correlate by ρ. "
        "Predictors: {x}",
        "A missing value is drawn given that it was not seen.",
    )
    kinds = frozenset({Kind.NUMERIC})
    options = OPTIONS
    #: Codes −3 and −4 have a meaning here.
    two_equations = True
    binary = False
    likelihood: Any = SelectionLikelihood

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows that count for selection."""
        import pymc as pm
        import pytensor.tensor as pt

        check_rho(design.target, options["rho"])
        counted = rows_of_selection(design, options["select_whole_clusters"])
        units = selection_units(design, counted, self.binary)
        parts = parts_of(design, self.likelihood.further, options["rho"])
        rows = design.rows(counted)
        seen, unseen = np.flatnonzero(rows.fit), np.flatnonzero(~rows.fit)
        coords = {
            **design.coords,
            "outcome_predictor": list(parts.outcome),
            "selection_predictor": list(parts.selection),
            "effect": list(parts.effects),
        }
        with pm.Model(coords=coords) as model:
            x = rows.x - units.centre_x
            y = pm.Data("y", rows.y[seen], dims="seen_row")
            cluster = pm.Data("cluster_index", rows.cluster, dims="row")

            def prior(name: str, default: Any, dims: Any = None) -> Any:
                return attach(priors.get(name, default), name, dims)

            def fixed_part(prefix: str, centre: float, spread: float, names: Any) -> Any:
                equation = prefix.removesuffix("_") or "outcome"
                intercept = prior(f"{prefix}intercept", pm.Normal.dist(centre, spread))
                if not names:
                    return intercept + pt.zeros(len(rows.y))
                keep = within(design.predictors, design.equations_x, equation)
                default = pm.Normal.dist(0, spread / units.scale_x[keep])
                return intercept + x[:, keep] @ prior(
                    f"{prefix}beta", default, f"{equation}_predictor"
                )

            outcome = fixed_part(
                "", units.centre_y, DEFAULTS.outcome_sd * units.scale_y, parts.outcome
            )
            selection = fixed_part("selection_", 0.0, DEFAULTS.selection_sd, parts.selection)
            further: dict[str, Any] = {"log_sigma": pt.zeros(())}
            if not self.binary:
                default = pm.Normal.dist(np.log(units.scale_y), DEFAULTS.log_sigma_sd)
                further["log_sigma"] = prior("log_sigma", default)
                pm.Deterministic("sigma", pt.exp(further["log_sigma"]))
            if options["rho"] is None:
                default = pm.Normal.dist(0, DEFAULTS.atanh_rho_sd)
                further["atanh_rho"] = prior("atanh_rho", default)
                pm.Deterministic("rho", pt.tanh(further["atanh_rho"]))
            else:
                further["atanh_rho"] = pt.constant(np.arctanh(options["rho"]))
            if design.random_effects:
                effect = _effects(design, units, parts, priors)
                z = rows.z - units.centre_z
                first = 0
                for equation, names in (
                    ("outcome", parts.outcome_effects),
                    ("selection", parts.selection_effects),
                ):
                    keep = within(design.random_effects, design.equations_z, equation)
                    own = effect[cluster, first : first + len(names)]
                    first += len(names)
                    if equation == "outcome":
                        outcome = outcome + (z[:, keep] * own).sum(axis=1)
                    else:
                        selection = selection + (z[:, keep] * own).sum(axis=1)
                for k, name in enumerate(parts.further_effects):
                    further[name] = further[name] + effect[cluster, first + k]
            each = {name: pt.broadcast_to(v, (len(rows.y),)) for name, v in further.items()}
            self._likelihood(design.target, Rows(outcome, selection, each, seen, unseen, y), prior)
        return model

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
        return selection_kernel(design, self.likelihood(options["rho"]), priors, options)

    def _likelihood(self, target: str, rows: "Rows", prior: Prior) -> None:
        """Seen values with the share of their selection; unseen ones with theirs."""
        import pymc as pm
        import pytensor.tensor as pt

        seen, t = rows.seen, rows.further["atanh_rho"][rows.seen]
        sigma = pt.exp(rows.further["log_sigma"][seen])
        pm.Normal(f"{target}_observed", rows.outcome[seen], sigma, observed=rows.y, dims="seen_row")
        e = (rows.y - rows.outcome[seen]) / sigma
        at = rows.selection[seen] * pt.cosh(t) + e * pt.sinh(t)
        pm.Potential("seen", log_normal_share(at).sum())
        pm.Potential("unseen", log_normal_share(-rows.selection[rows.unseen]).sum())


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
        "heckman.binary",
        "{name}*_{row} = {predictor} + ε_{row},  {y} = last if {name}*_{row} > 0;"
        "  seen if {selection} + u_{row} > 0;  corr(ε_{row}, u_{row}) = "
        "{rho}{effects}",
        "Not missing at random: a probit model of two categories, whose error "
        "correlates by ρ with that of being seen. Predictors: {x}",
        "A missing value is drawn given that it was not seen.",
    )
    kinds = frozenset({Kind.BINARY})
    options: Mapping[str, Any] = MappingProxyType(
        {name: value for name, value in OPTIONS.items() if name not in ("pmm", "donors")}
    )
    binary = True
    likelihood = BinarySelectionLikelihood

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictors; see :meth:`Heckman.kernel`."""
        return super().kernel(design, priors, {**options, "pmm": False})

    def _likelihood(self, target: str, rows: "Rows", prior: Prior) -> None:
        """Seen categories: an outcome error for each row, the selection given it."""
        import pymc as pm
        import pytensor.tensor as pt

        outcome, y = rows.outcome[rows.seen], rows.y
        t = rows.further["atanh_rho"][rows.seen]
        u = pm.Uniform("place", shape=outcome.shape[0], dims="row[seen]")
        zero = pm.math.invprobit(-outcome)  # chance of category 0
        lower, upper = pt.where(y > 0.5, zero, 0.0), pt.where(y > 0.5, 1.0, zero)
        pm.Potential("category", pt.log(upper - lower).sum())
        e = pm.math.probit(pt.clip(lower + u * (upper - lower), 1e-12, 1 - 1e-12))
        at = rows.selection[rows.seen] * pt.cosh(t) + e * pt.sinh(t)
        pm.Potential("seen", log_normal_share(at).sum())
        pm.Potential("unseen", log_normal_share(-rows.selection[rows.unseen]).sum())


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


def _effects(design: Design, units: Any, parts: Any, priors: Mapping[str, Any]) -> Any:
    """Effects by cluster of all equations, (cluster, effect)."""
    import pymc as pm
    import pytensor.tensor as pt

    scales: dict[str, float] = {}
    for prefix, names, scale in (
        ("sd_", parts.outcome_effects, units.scale_y),
        ("selection_sd_", parts.selection_effects, 1.0),
    ):
        for name in names:
            z = units.scale_z[design.random_effects.index(name)]
            scales[f"{prefix}{name}"] = DEFAULTS.effect_scale * scale / z
    scales |= {f"sd_{name}": DEFAULTS.spread_scale for name in parts.further_effects}
    sd = pt.stack(
        [
            attach(priors.get(name, pm.HalfNormal.dist(float(scale))), name)
            for name, scale in scales.items()
        ]
    )
    standard = pm.Normal("standard_effect", dims=("cluster", "effect"))
    return correlated(standard, parts.effects, parts.blocks, priors) * sd


def log_normal_share(x: Any) -> Any:
    """Logarithm of Φ."""
    import pymc as pm

    return pm.logcdf(pm.Normal.dist(), x)
