"""Visits of a model with an outcome equation and a selection equation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Parameters, Prediction, Visit
from bayesimpute.sampling.cluster_effects import Moved
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import Units, blocks_of
from bayesimpute.sampling.integrated import integrated_density
from bayesimpute.sampling.linear import LinearEffects, LinearPosterior
from bayesimpute.sampling.linear_draws import SelectionDraws
from bayesimpute.sampling.linear_parts import Equations, Point, curvature
from bayesimpute.sampling.priors import check_names, lkj_eta, normal_moments
from bayesimpute.sampling.row_draws import Moment
from bayesimpute.sampling.scales import scale_priors
from bayesimpute.sampling.selection import DRAWN, SEEN, UNSEEN, VALUE_ONLY, SelectionLikelihood
from bayesimpute.sampling.textbook import effect_scale

Rows = npt.NDArray[np.bool_]

#: Sweeps that bring a chain from its dispersed start to the posterior, at its first visit.
FIRST_SWEEPS = 8


@dataclass(frozen=True)
class SelectionDefaults:
    """Default priors, for predictors with SD 1 and an outcome with SD 1.

    Attributes
    ----------
    outcome_sd
        Of the normal priors of the outcome's intercept and coefficients.
    selection_sd
        Of the normal priors of the selection's: a probit of ±3 is certainty.
    log_sigma_sd, atanh_rho_sd
        Of the normal priors of log σ, and of atanh ρ: with 1, ρ is within ±0.96 with 95 %.
    spread_scale
        Scale of the half-normal priors of the SDs between clusters of log σ and atanh ρ.
    """

    outcome_sd: float = 2.5
    selection_sd: float = 1.5
    log_sigma_sd: float = 1.0
    atanh_rho_sd: float = 1.0
    spread_scale: float = 0.5


DEFAULTS = SelectionDefaults()


@dataclass(frozen=True, eq=False)
class SelectionUnits(Units):
    """Units whose target comes with whether it is seen."""

    def y(self, design: Design) -> Array:
        """Value in computing units (0 without one), what is known, and weight 1, (row, 3)."""
        known = design.columns["seen"]
        standard = np.where(known != UNSEEN, (design.y - self.centre_y) / self.scale_y, 0.0)
        return np.column_stack([standard, known, np.ones_like(known)])


@dataclass(frozen=True)
class Parts:
    """What the linear predictors after outcome and selection are, and which effects there are.

    Attributes
    ----------
    further
        Names: ``log_sigma``, ``atanh_rho``, of those that are not fixed.
    outcome, selection
        Predictors of each equation.
    outcome_effects, selection_effects
        Effects by cluster of each equation.
    further_effects
        Those of `further` that vary by cluster: all where the intercepts do.
    blocks
        Number of the block of each effect; `further` are in that of the intercepts.
    """

    further: tuple[str, ...]
    outcome: tuple[str, ...]
    selection: tuple[str, ...]
    outcome_effects: tuple[str, ...]
    selection_effects: tuple[str, ...]
    further_effects: tuple[str, ...]
    blocks: tuple[int, ...]

    @property
    def effects(self) -> tuple[str, ...]:
        """All effects by cluster, in the order of the sampler."""
        selection = (f"selection {effect}" for effect in self.selection_effects)
        return (*self.outcome_effects, *selection, *self.further_effects)


def within(names: tuple[str, ...], equations: tuple[str, ...], equation: str) -> Rows:
    """Which columns an equation has, (column,) bool."""
    labels = equations or ("both",) * len(names)
    return np.array([label in ("both", equation) for label in labels], dtype=bool)


def parts_of(design: Design, further: tuple[str, ...], fixed_rho: float | None) -> Parts:
    """Take the design's columns apart by equation; `further` are the other linear predictors."""

    def chosen(names: tuple[str, ...], equations: tuple[str, ...], equation: str) -> Any:
        keep = within(names, equations, equation)
        return tuple(name for name, kept in zip(names, keep, strict=True) if kept)

    x, z = (design.predictors, design.equations_x), (design.random_effects, design.equations_z)
    further = tuple(name for name in further if name != "atanh_rho" or fixed_rho is None)
    effects = {equation: chosen(*z, equation) for equation in ("outcome", "selection")}
    varying = further if "intercept" in design.random_effects else ()
    block = dict(zip(design.random_effects, blocks_of(design), strict=True))
    return Parts(
        further,
        chosen(*x, "outcome"),
        chosen(*x, "selection"),
        effects["outcome"],
        effects["selection"],
        varying,
        (
            *(block[name] for names in effects.values() for name in names),
            *(block["intercept"] for _ in varying),
        ),
    )


def rows_of_selection(design: Design, whole_clusters: bool) -> Rows:
    """Rows whose being seen or not counts, (row,) bool.

    Where a cluster has no observed value at all, that says nothing of its rows, unless the user
    says it does (`whole_clusters`). Of several groupings, each may say so.
    """
    usable = design.fit if design.usable is None else design.usable
    return (usable & selected_clusters(design, whole_clusters).have(design)) | design.fit


@dataclass(frozen=True, eq=False)
class SelectedClusters:
    """Clusters of whose rows being seen or not counts, by the name of their grouping.

    Attributes
    ----------
    masks
        (cluster,) bool each.
    """

    masks: Mapping[str, Rows]

    def have(self, design: Design) -> Rows:
        """Rows of the design that are in such clusters only, (row,) bool."""
        found = self.masks[design.grouping][design.cluster]
        for each in design.groupings:
            found = found & self.masks[each.name][each.cluster]
        return np.asarray(found)


def selected_clusters(design: Design, whole_clusters: bool) -> SelectedClusters:
    """Find the clusters of whose rows being seen or not counts."""
    rows = design.observed
    if whole_clusters or not design.random_effects:
        rows = rows | (design.fit if design.usable is None else design.usable)
    found = {design.grouping: np.bincount(design.cluster[rows], minlength=design.n_clusters) > 0}
    for each in design.groupings:
        found[each.name] = np.bincount(each.cluster[rows], minlength=each.n_clusters) > 0
    return SelectedClusters(found)


def known_of(design: Design, selected: SelectedClusters) -> Array:
    """Say of each row what is known, as the likelihood has it, (row,)."""
    live = np.zeros(len(design.y), dtype=bool) if design.live is None else design.live
    drawn = np.where(selected.have(design), DRAWN, VALUE_ONLY)
    # an observed value that is not learnt from is seen all the same
    seen = (_seen(design) | ~(design.draw | np.isnan(design.y))) & ~live
    return np.where(live, drawn, np.where(seen, SEEN, UNSEEN))


def _seen(design: Design) -> Rows:
    """Rows learnt from, and those of which an observed value is only asked for, (row,) bool."""
    return design.fit if design.asked is None else design.fit | design.asked


def selection_kernel(
    design: Design,
    likelihood: SelectionLikelihood,
    priors: Mapping[str, Any],
    options: Mapping[str, Any],
    positive: Mapping[str, Any] = MappingProxyType({}),
) -> "SelectionKernel":
    """Kernel of a selection model on a design.

    Parameters
    ----------
    design
        Fixes names, sizes and units.
    likelihood
        Of a row.
    priors, options
        Of the model.
    positive
        Default priors of the likelihood's positive extras.

    Raises
    ------
    SpecificationError
        If a prior is for no parameter of the model, or of a family it does not take.
    """
    rho = options["rho"]
    counted = rows_of_selection(design, options["select_whole_clusters"])
    units = selection_units(design, counted, "log_sigma" not in likelihood.further)
    parts = parts_of(design, likelihood.further, rho)
    p, q = len(design.predictors), len(design.random_effects)
    equations = likelihood.equations
    fixed = np.zeros((equations, p + 1), dtype=bool)
    varying = np.zeros((equations, q), dtype=bool)
    for r, equation in enumerate(("outcome", "selection")):
        fixed[r, 0] = True
        fixed[r, 1:] = within(design.predictors, design.equations_x, equation)
        varying[r] = within(design.random_effects, design.equations_z, equation)
    places = {"log_sigma": 2, "atanh_rho": equations - 1}
    intercept = np.array([name == "intercept" for name in design.random_effects], dtype=bool)
    for name in parts.further:
        fixed[places[name], 0] = True
        varying[places[name]] = intercept

    names = [f"sd_{e}" for e in parts.outcome_effects]
    names += [f"selection_sd_{e}" for e in parts.selection_effects]
    names += [f"sd_{name}" for name in parts.further_effects]
    known = ["intercept", "beta", "selection_intercept", "selection_beta", *parts.further, *names]
    known += positive
    if CorrelationBlocks(parts.blocks, 2.0).count:
        known.append("correlation")
    check_names(design.target, priors, known)

    mean, sd = np.zeros((equations, p + 1)), np.ones((equations, p + 1))
    scale = np.array([units.scale_y, 1.0])
    for r, prefix in enumerate(("", "selection_")):
        spread = (DEFAULTS.outcome_sd, DEFAULTS.selection_sd)[r] * scale[r]
        centre = units.centre_y if r == 0 else 0.0
        columns = fixed[r, 1:]
        head = normal_moments(priors.get(f"{prefix}intercept"), 1, centre, spread)
        size = int(columns.sum())
        slopes = normal_moments(
            priors.get(f"{prefix}beta"), size, 0.0, spread / units.scale_x[columns]
        )
        if head is None or slopes is None:
            raise _not_normal(design.target, f"{prefix}intercept and {prefix}beta")
        mean[r, 0], sd[r, 0] = (head[0][0] - centre) / scale[r], head[1][0] / scale[r]
        in_units = units.scale_x[columns] / scale[r]
        mean[r, 1:][columns], sd[r, 1:][columns] = slopes[0] * in_units, slopes[1] * in_units
    for name, default in {
        "log_sigma": DEFAULTS.log_sigma_sd, "atanh_rho": DEFAULTS.atanh_rho_sd
    }.items():  # fmt: skip
        if name in parts.further:
            unit = float(np.log(units.scale_y)) if name == "log_sigma" else 0.0
            head = normal_moments(priors.get(name), 1, unit, default)
            if head is None:
                raise _not_normal(design.target, name)
            mean[places[name], 0], sd[places[name], 0] = head[0][0] - unit, head[1][0]
    eta = lkj_eta(priors.get("correlation"), 2.0)
    if eta is None:
        raise SpecificationError(
            f"priors of {design.target!r}: the correlation takes pm.LKJCorr.dist(n=2, eta=…)."
        )
    unit_of = np.concatenate(
        [
            units.scale_y / units.scale_z[varying[0]],
            1.0 / units.scale_z[varying[1]],
            np.ones(len(names) - int(varying[:2].sum()) + len(positive)),
        ]
    )
    plain = {
        name: DEFAULTS.spread_scale
        if name[3:] in parts.further
        else effect_scale(name.removeprefix("selection_").removeprefix("sd_"))
        for name in names
    }
    plain |= dict.fromkeys(positive, 1.0)
    replaced = {name: priors[name] for name in names if name in priors}
    replaced |= {name: priors.get(name, default) for name, default in positive.items()}
    posterior = LinearPosterior(
        design,
        units,
        likelihood,
        scale_priors(plain, replaced),
        unit_of,
        mean,
        sd**-2.0,
        eta,
        Equations(fixed, varying),
        # the outcome alone is shifted
        lambda shift: np.outer(shift, np.arange(equations) == 0) / units.scale_y,
    )
    clusters = tuple(map(str, design.cluster_labels or range(design.n_clusters)))
    counting = partial(rows_of_selection, whole_clusters=options["select_whole_clusters"])
    effects = LinearEffects(posterior, design.random_effects, counting)
    return SelectionKernel(likelihood, units, parts, effects, options, tuple(positive), clusters)


def selection_units(design: Design, counted: Rows, binary: bool) -> SelectionUnits:
    """Units of predictors over the rows that count, of a numeric target over those seen."""
    over = Units.of(replace(design, fit=counted, y=np.zeros(len(design.y))))
    seen = design.y[design.fit]
    centre, scale = (0.0, 1.0) if binary else (float(seen.mean()), float(seen.std()) or 1.0)
    return SelectionUnits(centre, scale, over.centre_x, over.scale_x, over.centre_z, over.scale_z)


def _not_normal(target: str, what: str) -> SpecificationError:
    return SpecificationError(
        f"priors of {target!r}: {what} of a selection model take normal priors, such as "
        "pm.Normal.dist(0, 1)."
    )


class SelectionKernel:
    """Visits of a selection model."""

    #: Threads may use it side by side.
    shareable = True

    def __init__(
        self,
        likelihood: SelectionLikelihood,
        units: SelectionUnits,
        parts: Parts,
        effects: LinearEffects,
        options: Mapping[str, Any],
        positive: tuple[str, ...],
        cluster_labels: tuple[str, ...],
    ) -> None:
        self._likelihood = likelihood
        self._binary = "log_sigma" not in likelihood.further
        self._positive = positive
        self._units = units
        self._parts = parts
        self.effects = effects
        self._posterior = posterior = effects.posterior
        self._options = options
        self._varying_rho = "atanh_rho" in parts.further_effects
        labels: dict[str, tuple[str, ...]] = {"intercept": ()}
        labels |= {"beta": parts.outcome} if parts.outcome else {}
        labels["selection_intercept"] = ()
        labels |= {"selection_beta": parts.selection} if parts.selection else {}
        names = {"log_sigma": "sigma", "atanh_rho": "rho"}
        labels |= {names[name]: () for name in parts.further}
        labels |= {f"sd_{effect}": () for effect in parts.outcome_effects}
        labels |= {f"selection_sd_{effect}": () for effect in parts.selection_effects}
        labels |= {f"sd_{name}": () for name in parts.further_effects}
        labels |= dict.fromkeys(positive, ())
        if self._varying_rho:
            labels["cluster_rho"] = cluster_labels
        full = parts.effects
        if posterior.sizes.correlations:
            labels["correlation"] = posterior.sizes.blocks.labels(full)
        self.labels: Mapping[str, tuple[str, ...]] = labels

    def _counted(self, design: Design) -> Design:
        """Rows of the likelihood, seen and unseen."""
        whole = self._options["select_whole_clusters"]
        known = known_of(design, selected_clusters(design, whole))
        return replace(design, fit=rows_of_selection(design, whole), columns={"seen": known})

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune on a design."""
        return self._posterior.adapt(self._counted(design), self._options["tune"], rng)

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        return self._posterior.start(adaptation, rng)

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Draw parameters, then each wanted value given that it is unseen."""
        posterior, counted = self._posterior, self._counted(design)
        if first:
            state = posterior.settle(counted, adaptation, state, FIRST_SWEEPS, rng)
        sweeps = self._options["transitions"]
        state, point, statistics = posterior.draw(counted, adaptation, state, sweeps, rng)
        wanted = design.draw
        # unseen, unless the whole cluster is; a cell that is only asked for is a seen one
        some = selected_clusters(design, self._options["select_whole_clusters"])
        seen = np.where(_seen(design), 1.0, np.where(some.have(design), 0.0, np.nan))[wanted]
        eta = posterior.predictors(design, wanted, state)
        if design.shift is not None:
            eta = eta + posterior.shifts(design.shift[wanted])
        drawn = self._likelihood.draw(eta, point.positive, seen, rng)
        if not self._binary:
            drawn = self._units.centre_y + self._units.scale_y * drawn
            if self._options.get("pmm", False):
                drawn = self._nearest(design.y[design.fit], drawn, rng)
        return Visit(state, drawn, self._parameters(point), statistics)

    def moved(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Moved:
        """Make a visit that draws no values."""
        posterior, counted = self._posterior, self._counted(design)
        if first:
            state = posterior.settle(counted, adaptation, state, FIRST_SWEEPS, rng)
        sweeps = self._options["transitions"]
        state, point, statistics = posterior.draw(counted, adaptation, state, sweeps, rng)
        return Moved(state, point.effects, statistics)

    def at(self, state: Array) -> Parameters:
        """Give all parameters at a state."""
        return self._parameters(self._posterior.point(state))

    gaussian = False

    @property
    def size(self) -> int:
        """Length of a state."""
        return self._posterior.sizes.size

    @property
    def measure(self) -> str:
        """What the values have: densities or probabilities."""
        return self._likelihood.measure

    @property
    def has_density(self) -> bool:
        """Whether values are drawn from the model; those of donors have no density."""
        return not self._options.get("pmm", False)

    def log_density(
        self, design: Design, state: Array, rng: np.random.Generator
    ) -> Callable[[Design], Array]:
        """Give the log density of what is known of rows: value, being seen or not.

        A row without a value (neither fitted to nor live) gives the probability of not being seen;
        one of a cluster that says nothing of selection, nothing.
        """
        posterior, likelihood, units = self._posterior, self._likelihood, self._units
        point = posterior.point(state)
        selected = selected_clusters(design, self._options["select_whole_clusters"])

        def of(rows: Design) -> Array:
            known = known_of(rows, selected)
            rows = replace(rows, columns={"seen": known})
            eta = posterior.predictors(rows, np.ones(len(known), dtype=np.bool_), state)
            if rows.live_shift is not None:
                eta = eta + posterior.offset(rows)
            given = (point.positive, point.free, units.scale_y)
            value = likelihood.log_density(units.y(rows), eta, *given)
            return np.where((known == UNSEEN) & ~selected.have(rows), 0.0, value)

        return of

    def row_draws(self, moment: Moment) -> SelectionDraws:
        """Give the model of new rows at the parameters and effects of a state."""
        design, whole = moment.design, self._options["select_whole_clusters"]
        donated: tuple[Callable[[Array, np.random.Generator], Array], ...] = ()
        if self._options.get("pmm", False) and not self._binary:
            donated = (partial(self._nearest, np.sort(design.y[design.fit])),)
        return SelectionDraws(
            self._posterior,
            (self._posterior.point(moment.state),),
            self._likelihood,
            {name: mask[None] for name, mask in selected_clusters(design, whole).masks.items()},
            bool(whole),
            SelectedClusters,
            known_of,
            donated,
        )

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Draw parameters, then hold each seen value against its density given that it is seen.

        That a value is seen stays known when the value is left out: only so can the model be
        compared with one that has no selection.
        """
        posterior, counted = self._posterior, self._counted(design)
        if first:
            state = posterior.settle(counted, adaptation, state, FIRST_SWEEPS, rng)
        sweeps = self._options["transitions"]
        state, point, statistics = posterior.draw(counted, adaptation, state, sweeps, rng)
        unit = 1.0 if self._binary else self._units.scale_y
        rows = counted.rows(design.fit)
        y, eta = self._units.y(rows), posterior.predictors(counted, design.fit, state)
        if design.live_shift is not None:
            eta = eta + posterior.offset(design)[design.fit]
        values = self._likelihood.draw(eta, point.positive, np.ones(len(eta)), rng)
        if not self._binary:
            values = self._units.centre_y + self._units.scale_y * values
            if self._options.get("pmm", False):
                values = self._nearest_others(rows.y, values, rng)
        log_density = self._likelihood.log_density(y, eta, point.positive, point.free, unit)
        learnt = log_density - self._likelihood.log_selection(y, eta, point.positive)
        whole: tuple[Array | None, Array | None] = (None, None)
        if by_cluster and self._posterior.sizes.effects:
            whole = self._by_cluster(counted.rows(counted.fit), point, unit, rng)
        matched = self._options.get("pmm", False)
        return Prediction(
            state,
            values,
            self._parameters(point),
            None if matched else learnt,
            learnt,
            self._likelihood.measure,
            None if matched else whole[0],
            None if matched else whole[1],
            statistics,
        )

    def _by_cluster(
        self, rows: Design, point: Point, unit: float, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Log density of each cluster's values given which are seen: two integrals' ratio."""
        likelihood, y = self._likelihood, self._units.y(rows)
        extra = (point.positive, point.free)

        columns = self._posterior.columns(rows)

        def information(eta: Array) -> Array:
            return curvature(likelihood, columns, eta, *extra)

        def of_selection(eta: Array) -> Array:
            out = np.zeros((len(eta), eta.shape[1], eta.shape[1]))
            out[:, 1, 1] = 0.6  # a probit's, near enough: it only places the proposal
            return out

        both, error = integrated_density(
            self._posterior,
            rows,
            point,
            lambda eta: likelihood.log_density(y, eta, *extra, unit),
            information,
            rng,
        )
        seen, other = integrated_density(
            self._posterior,
            rows,
            point,
            lambda eta: likelihood.log_selection(y, eta, point.positive),
            of_selection,
            rng,
        )
        return both - seen, np.hypot(error, other)

    def _nearest_others(self, observed: Array, drawn: Array, rng: np.random.Generator) -> Array:
        """Take the place of each row's drawn value by one of the nearest values of other rows."""
        n = len(observed)
        donors = min(self._options["donors"], n - 1)
        order = np.argsort(observed, kind="stable")
        ordered = observed[order]
        first = np.searchsorted(ordered, drawn) - donors - 1
        near = first[:, None] + np.arange(2 * donors + 2)
        inside = (near >= 0) & (near < n)
        near = np.clip(near, 0, n - 1)
        other = inside & (order[near] != np.arange(n)[:, None])
        distance = np.where(other, np.abs(ordered[near] - drawn[:, None]), np.inf)
        ranked = np.argsort(distance, axis=1, kind="stable")
        pick = ranked[np.arange(n), rng.integers(0, donors, n)]
        return np.asarray(ordered[near[np.arange(n), pick]])

    def _nearest(self, observed: Array, drawn: Array, rng: np.random.Generator) -> Array:
        """Take the place of each drawn value by one of the nearest observed ones."""
        donors = min(self._options["donors"], len(observed))
        ordered = np.sort(observed)
        first = np.clip(np.searchsorted(ordered, drawn) - donors, 0, len(ordered) - donors)
        near = np.minimum(first[:, None] + np.arange(2 * donors), len(ordered) - 1)
        near = ordered[near]
        order = np.argsort(np.abs(near - drawn[:, None]), axis=1, kind="stable")[:, :donors]
        pick = order[np.arange(len(drawn)), rng.integers(0, donors, len(drawn))]
        return np.asarray(near[np.arange(len(drawn)), pick])

    def _parameters(self, point: Point) -> Parameters:
        parts, units = self._parts, self._units
        fixed = self._posterior.sizes.fixed
        beta = point.beta
        out: dict[str, float | Array] = {
            "intercept": float(units.centre_y + units.scale_y * beta[0, 0]),
            "selection_intercept": float(beta[1, 0]),
        }
        for r, prefix, scale in ((0, "", units.scale_y), (1, "selection_", 1.0)):
            columns = fixed[r, 1:]
            if columns.any():
                out[f"{prefix}beta"] = (scale * beta[r, 1:] / units.scale_x)[columns]
        if "log_sigma" in parts.further:
            out["sigma"] = float(np.exp(beta[2, 0]) * units.scale_y)
        if "atanh_rho" in parts.further:
            out["rho"] = float(np.tanh(beta[-1, 0]))
        scales = iter(self._posterior.scales)
        sds = iter(point.sd)
        for name in self.labels:
            if name.startswith(("sd_", "selection_sd_")):
                out[name] = float(next(sds) * next(scales))
        out |= {name: float(v) for name, v in zip(self._positive, point.positive, strict=True)}
        if self._varying_rho:
            # ρ is the last linear predictor, and its effect the last effect
            out["cluster_rho"] = np.tanh(beta[-1, 0] + point.effects[:, -1])
        if "correlation" in self.labels:
            out["correlation"] = self._posterior.sizes.blocks.correlations(point.correlation)
        return out
