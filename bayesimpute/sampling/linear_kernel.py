"""Visits of a model with linear predictors: what its file says of it, put to work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bayesimpute.method import Adaptation, Array, Design, Parameters, Prediction, Visit
from bayesimpute.sampling.cluster_effects import Moved
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import Units, blocks_of
from bayesimpute.sampling.integrated import integrated_density
from bayesimpute.sampling.linear import LinearEffects, LinearPosterior
from bayesimpute.sampling.linear_draws import FamilyDraws, FamilyRows
from bayesimpute.sampling.linear_parts import Point, RowLikelihood, curvature
from bayesimpute.sampling.priors import check_names, lkj_eta, normal_moments
from bayesimpute.sampling.row_draws import Moment
from bayesimpute.sampling.scales import scale_priors
from bayesimpute.sampling.textbook import Defaults, effect_scale

#: Sweeps that bring a chain from its dispersed start to the posterior, at its first visit.
FIRST_SWEEPS = 12


@dataclass(frozen=True, eq=False)
class Family:
    """What distinguishes one model with linear predictors from another.

    Attributes
    ----------
    likelihood
        Of a row, in computing units.
    values
        ``values(eta, positive, free, rng)``: a draw of the target for each row, in original
        units, from linear predictors (row, R) in computing units.
    units
        Of the design that fixes the priors.
    defaults
        Priors of the linear predictor.
    positive
        Positive extra parameter -> scale of its default half-normal prior, or the default prior
        itself as a PyMC distribution.
    positive_units
        Original units of one computing unit of each.
    categories
        Labels of the categories but the reference, one linear predictor each; empty for one.
    order
        Codes of the categories, the reference first, where there are several predictors a row.
    extra
        ``extra(point)``: further parameters to report, by name.
    extra_labels
        Labels of their elements.
    other_priors
        Names of priors that the likelihood itself takes.
    """

    likelihood: RowLikelihood
    values: Callable[[Array, Array, Array, np.random.Generator], Array]
    units: Units
    defaults: Defaults
    positive: Mapping[str, Any] = field(default_factory=dict)
    positive_units: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    extra: Callable[[Point], Parameters] | None = None
    extra_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_priors: tuple[str, ...] = ()


def linear_kernel(
    design: Design, family: Family, priors: Mapping[str, Any], options: Mapping[str, Any]
) -> "LinearKernel | None":
    """Kernel of a family on a design; None if these priors need the plain PyMC model.

    Raises
    ------
    SpecificationError
        If a prior is given for a parameter the model does not have.
    """
    units, defaults = family.units, family.defaults
    equations, p = family.likelihood.equations, len(design.predictors)
    names = [f"sd_{effect}" for effect in design.random_effects]
    known = [*names, *family.positive, *family.other_priors, *(["beta"] if p else [])]
    if defaults.intercept_sd is not None:
        known.append("intercept")
    if CorrelationBlocks(blocks_of(design) * equations, 2.0).count:
        known.append("correlation")
    check_names(design.target, priors, known)
    if family.categories and any(priors[name].ndim for name in names if name in priors):
        return None

    intercept = normal_moments(
        priors.get("intercept"),
        equations,
        units.centre_y + units.scale_y * defaults.intercept_mean,
        units.scale_y * (defaults.intercept_sd or np.inf),
    )
    beta_sd = defaults.beta_sd * units.scale_y / units.scale_x
    beta = normal_moments(
        priors.get("beta"), (p, equations) if family.categories else p, 0.0,
        beta_sd[:, None] if family.categories else beta_sd,
    )  # fmt: skip
    eta = lkj_eta(priors.get("correlation"), 2.0)
    if intercept is None or beta is None or eta is None:
        return None
    in_units = np.append(1.0, units.scale_x) / units.scale_y
    shift = np.append(units.centre_y, np.zeros(p))
    mean, sd = (
        np.column_stack([head, block.reshape(p, equations).T])
        for head, block in zip(intercept, beta, strict=True)
    )

    # by number: a category 1 and a category "1" have one label
    scale_names = {f"{name}[{r}]": name for r in range(equations) for name in names}
    chosen = {key: priors[name] for key, name in scale_names.items() if name in priors}
    plain = {key: effect_scale(name.removeprefix("sd_")) for key, name in scale_names.items()}
    for name, default in family.positive.items():
        plain[name] = float(default) if isinstance(default, int | float) else 1.0
        if name in priors or not isinstance(default, int | float):
            chosen[name] = priors.get(name, default)
    scales = np.tile(units.scale_y / units.scale_z, equations)
    posterior = LinearPosterior(
        design,
        units,
        family.likelihood,
        scale_priors(plain, chosen),
        np.append(scales, family.positive_units),
        (mean - shift) * in_units,
        1.0 / (sd * in_units) ** 2,
        eta,
        shifts=partial(_from_reference, family.order) if family.order else None,
    )
    return LinearKernel(design, family, posterior, options)


def _from_reference(order: tuple[int, ...], shift: Array) -> Array:
    """Shift of each linear predictor, (row, R): one by category counts from the reference."""
    reference, *others = order
    return np.asarray(shift[:, others] - shift[:, [reference]])


class LinearKernel:
    """Visits of one model with linear predictors."""

    #: Threads may use it side by side.
    shareable = True

    def __init__(
        self,
        design: Design,
        family: Family,
        posterior: LinearPosterior,
        options: Mapping[str, Any],
    ) -> None:
        self.family = family
        self._posterior = posterior
        self._options = options
        effects, categories = design.random_effects, family.categories
        several = categories or ()
        labels: dict[str, tuple[str, ...]] = {}
        if family.defaults.intercept_sd is not None:
            labels["intercept"] = several
        if design.predictors:
            labels["beta"] = (
                tuple(f"{x}: {category}" for x in design.predictors for category in categories)
                if categories
                else design.predictors
            )
        labels |= {f"sd_{effect}": several for effect in effects}
        labels |= dict.fromkeys(family.positive, ())
        full = [
            f"{effect}[{category}]" if category else effect
            for category in categories or ("",)
            for effect in effects
        ]
        if posterior.sizes.correlations:
            labels["correlation"] = posterior.sizes.blocks.labels(full)
        self.labels: Mapping[str, tuple[str, ...]] = labels | dict(family.extra_labels)
        self._effects = effects

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune on a design."""
        return self._posterior.adapt(design, self._options["tune"], rng)

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
        """Draw parameters, then each wanted value from its likelihood."""
        posterior, sweeps = self._posterior, self._options["transitions"]
        if first:
            state = posterior.settle(design, adaptation, state, FIRST_SWEEPS, rng)
        state, point, statistics = posterior.draw(design, adaptation, state, sweeps, rng)
        eta = posterior.predictors(design, design.draw, state)
        if design.shift is not None:
            eta = eta + posterior.shifts(design.shift[design.draw])
        values = self.family.values(eta, point.positive, point.free, rng)
        return Visit(state, values, self._parameters(point), statistics)

    @property
    def effects(self) -> LinearEffects:
        """Effects by cluster, for a model of several groupings."""
        return LinearEffects(self._posterior, self._effects)

    def moved(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Moved:
        """Make a visit that draws no values."""
        posterior, sweeps = self._posterior, self._options["transitions"]
        if first:
            state = posterior.settle(design, adaptation, state, FIRST_SWEEPS, rng)
        state, point, statistics = posterior.draw(design, adaptation, state, sweeps, rng)
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
        """What the values have: densities, probabilities, or both."""
        return self.family.likelihood.measure

    def log_density(self, design: Design, state: Array, rng: np.random.Generator) -> FamilyRows:
        """Give the log density of rows at the parameters and effects of a state."""
        return FamilyRows(self._posterior, self.family, state)

    def row_draws(self, moment: Moment) -> FamilyDraws:
        """Give the model of new rows at the parameters and effects of a state."""
        point = self._posterior.point(moment.state)
        return FamilyDraws(self._posterior, (point,), self.family)

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Draw parameters, then hold the rows fitted to against their likelihood."""
        posterior, sweeps = self._posterior, self._options["transitions"]
        if first:
            state = posterior.settle(design, adaptation, state, FIRST_SWEEPS, rng)
        state, point, statistics = posterior.draw(design, adaptation, state, sweeps, rng)
        rows = design.rows(design.fit)
        eta = posterior.predictors(design, design.fit, state)
        if design.live_shift is not None:
            eta = eta + posterior.offset(design)[design.fit]
        values = self.family.values(eta, point.positive, point.free, rng)
        likelihood, units = self.family.likelihood, self.family.units
        y, extra = units.y(rows), (point.positive, point.free)

        def log_density(eta: Array) -> Array:
            return likelihood.log_density(y, eta, *extra, units.scale_y)

        columns = posterior.columns(rows)

        def information(eta: Array) -> Array:
            return curvature(likelihood, columns, eta, *extra)

        whole: tuple[Array | None, Array | None] = (None, None)
        if by_cluster and self._effects:
            whole = integrated_density(posterior, rows, point, log_density, information, rng)
        return Prediction(
            state,
            values,
            self._parameters(point),
            log_density(eta),
            measure=likelihood.measure,
            by_cluster=whole[0],
            by_cluster_error=whole[1],
            statistics=statistics,
        )

    def _parameters(self, point: Point) -> Parameters:
        units, family = self.family.units, self.family
        several = bool(family.categories)
        out: dict[str, float | Array] = {}
        beta = point.beta * units.scale_y
        if family.defaults.intercept_sd is not None:
            intercept = units.centre_y + beta[:, 0]
            out["intercept"] = intercept if several else float(intercept[0])
        if beta.shape[1] > 1:
            out["beta"] = (beta[:, 1:] / units.scale_x).T.ravel()
        sd = point.sd.reshape(-1, len(self._effects)) if self._effects else np.empty((0, 0))
        for a, effect in enumerate(self._effects):
            original = sd[:, a] * units.scale_y / units.scale_z[a]
            out[f"sd_{effect}"] = original if several else float(original[0])
        for name, value, unit in zip(
            family.positive, point.positive, family.positive_units, strict=True
        ):
            out[name] = float(value * unit)
        if "correlation" in self.labels:
            out["correlation"] = self._posterior.sizes.blocks.correlations(point.correlation)
        if family.extra is not None:
            out |= family.extra(point)
        return out
