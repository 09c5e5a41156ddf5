"""Visits of a block of variables with joint normal residuals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
from scipy.special import ndtri

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Parameters, Prediction, Visit
from bayesimpute.sampling.cluster_effects import Moved
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.joint import (
    NOBODY,
    JointLikelihood,
    JointUnits,
    Members,
    Rows,
    conditional,
    draw_unknown,
    known_columns,
    rows_of,
)
from bayesimpute.sampling.linear import LinearEffects, LinearPosterior
from bayesimpute.sampling.linear_kernel import FIRST_SWEEPS
from bayesimpute.sampling.linear_parts import Point
from bayesimpute.sampling.priors import check_names, lkj_eta, normal_moments
from bayesimpute.sampling.row_draws import Further, Moment, Positions, chosen_effects
from bayesimpute.sampling.scales import scale_priors
from bayesimpute.sampling.slice import slice_step
from bayesimpute.sampling.tails import draw_between, log_interval
from bayesimpute.sampling.textbook import Defaults, effect_scale

#: Scans over latent values that were never drawn, or drawn from a cell that is to be forgotten.
SCANS = 10
#: Parameters of the whole block; the others are a member's own.
SHARED = ("correlation", "residual_correlation")


def joint_kernel(
    design: Design,
    members: Members,
    priors: Mapping[str, Mapping[str, Any]],
    defaults: Defaults,
    options: Mapping[str, Any],
) -> "JointKernel":
    """Kernel of a block on a design.

    Raises
    ------
    SpecificationError
        If a prior is given for a parameter the block does not have, is not normal for a
        coefficient, or given twice for a correlation.
    """
    p, size = len(design.predictors), len(members.names)
    effects = [f"sd_{effect}" for effect in design.random_effects]
    plain = Units.of(replace(design, y=np.zeros(len(design.y))))
    units = JointUnits(0.0, 1.0, plain.centre_x, plain.scale_x, plain.centre_z, plain.scale_z, size)
    shared = shared_priors(priors)
    mean, precision = np.zeros((size, p + 1)), np.zeros((size, p + 1))
    scales: dict[str, float] = {}
    chosen: dict[str, Any] = {}
    unit: list[float] = []
    sigmas: list[str] = []
    for k, name in enumerate(members.names):
        own = priors.get(name, {})
        number = not members.categories[k]
        known = [*effects, *SHARED, *(["beta"] if p else [])]
        check_names(name, own, [*known, "intercept", "sigma"] if number else known)
        scale = members.scale[k]
        beta = normal_moments(own.get("beta"), p, 0.0, defaults.beta_sd * scale / units.scale_x)
        assert defaults.intercept_sd is not None
        intercept = normal_moments(
            own.get("intercept"), 1, members.centre[k], defaults.intercept_sd * scale
        )
        if beta is None or intercept is None:
            raise SpecificationError(
                f"priors of {name!r}: coefficients of a joint block take normal priors, such as "
                "pm.Normal.dist(0, 1); for another family impute it by its own model."
            )
        mean[k, 1:] = beta[0] * units.scale_x / scale
        precision[k, 1:] = (beta[1] * units.scale_x / scale) ** -2
        if number:  # the shares' prior stands for that of a category's intercept
            mean[k, 0] = (intercept[0][0] - members.centre[k]) / scale
            precision[k, 0] = (intercept[1][0] / scale) ** -2
        for effect, z in zip(effects, units.scale_z, strict=True):
            scales[f"{effect}[{name}]"] = effect_scale(effect.removeprefix("sd_"))
            unit.append(scale / z)
            if effect in own:
                chosen[f"{effect}[{name}]"] = own[effect]
        if number:
            sigmas.append(f"sigma[{name}]")
            if "sigma" in own:
                chosen[sigmas[-1]] = own["sigma"]
    for k, name in enumerate(sigmas):
        scales[name] = 1.0
        unit.append(float(members.scale[members.continuous][k]))
    eta, residual_eta = (lkj_eta(shared.get(name), 2.0) for name in SHARED)
    if eta is None or residual_eta is None:
        raise SpecificationError(
            f"priors of {', '.join(members.names)}: correlations of a joint block take "
            "pm.LKJCorr.dist(n=2, eta=1), with an eta of your own."
        )
    likelihood = JointLikelihood(members, residual_eta)
    posterior = LinearPosterior(
        design,
        units,
        likelihood,
        scale_priors(scales, chosen),
        np.array(unit),
        mean,
        precision,
        eta,
    )
    return JointKernel(design, units, likelihood, posterior, options)


def shared_priors(priors: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Priors of the correlations, which may be written under any member.

    Raises
    ------
    SpecificationError
        If two members give the same one.
    """
    found: dict[str, Any] = {}
    for member, own in priors.items():
        for name in SHARED:
            if name in own:
                if name in found:
                    raise SpecificationError(
                        f"priors: {name!r} belongs to the whole joint block; give it under one of "
                        f"its variables, not under {member!r} too."
                    )
                found[name] = own[name]
    return found


class JointKernel:
    """Visits of a block.

    State: that of :class:`~bayesimpute.sampling.linear.LinearPosterior`, then logarithms of the
    gaps between cutpoints, then the latent value of each observed category, member by member.
    """

    def __init__(
        self,
        design: Design,
        units: JointUnits,
        likelihood: JointLikelihood,
        posterior: LinearPosterior,
        options: Mapping[str, Any],
    ) -> None:
        self.members = members = likelihood.members
        self._units = units
        self._likelihood = likelihood
        self._posterior = posterior
        self._options = options
        self._effects = design.random_effects
        names = members.names
        numbers = tuple(np.array(names, dtype=object)[members.continuous])
        labels: dict[str, tuple[str, ...]] = {"intercept": numbers} if numbers else {}
        if design.predictors:
            labels["beta"] = tuple(f"{x}: {name}" for x in design.predictors for name in names)
        labels |= {f"sd_{effect}": names for effect in design.random_effects}
        if numbers:
            labels["sigma"] = numbers
        if len(names) > 1:
            labels["residual_correlation"] = _pairs(names)
        full = tuple(f"{effect}[{name}]" for name in names for effect in design.random_effects)
        if posterior.sizes.correlations:
            labels["correlation"] = posterior.sizes.blocks.labels(full)
        cutpoints = tuple(
            f"{names[k]}: {a}|{b}" for k in members.judged for a, b in pairwise(self._labels(k))
        )
        if cutpoints:
            labels["cutpoints"] = cutpoints
        self.labels: Mapping[str, tuple[str, ...]] = labels
        self._gaps = [len(self._labels(k)) - 2 for k in members.judged]

    def _labels(self, k: int) -> tuple[str, ...]:
        return self.members.categories[k]

    # -- the state ---------------------------------------------------------------------------

    def _split(self, design: Design, state: Array) -> tuple[Array, dict[int, Array], Array]:
        """Posterior's state, log gaps by member, latent values (row, member) with NaN."""
        linear, rest = np.split(state, [self._posterior.sizes.size])
        gaps = dict(zip(self.members.judged, np.split(rest, np.cumsum(self._gaps))[:-1],
                        strict=True))  # fmt: skip
        latent = np.full((len(design.y), len(self.members.names)), np.nan)
        first = sum(self._gaps)
        for k in self.members.judged:
            fit = design.members[k].fit
            latent[fit, k] = rest[first : first + fit.sum()]
            first += int(fit.sum())
        return linear, gaps, latent

    def _join(
        self, design: Design, linear: Array, gaps: Mapping[int, Array], latent: Array
    ) -> Array:
        judged = self.members.judged
        return np.concatenate(
            [linear, *gaps.values(), *(latent[design.members[k].fit, k] for k in judged)]
        )

    def _cutpoints(self, gaps: Mapping[int, Array]) -> dict[int, Array]:
        return {k: np.append(0.0, np.cumsum(np.exp(own))) for k, own in gaps.items()}

    def _values(self, design: Design, latent: Array) -> Array:
        """Values known of each row: numbers in computing units, and latent values."""
        known = latent.copy()
        for k, member in enumerate(design.members):
            if not self._labels(k):
                standard = (member.y - self.members.centre[k]) / self.members.scale[k]
                known[:, k] = np.where(member.fit, standard, np.nan)
        return known

    def _seen(self, design: Design, latent: Array, judged: int) -> Design:
        """Design of the block with a member judged by its category."""
        known = self._values(design, latent)
        rows = len(known)
        who = np.full(rows, NOBODY)
        lower, upper = np.zeros(rows), np.zeros(rows)
        if judged != NOBODY:
            fit = design.members[judged].fit
            known[:, judged] = np.nan
            who[fit] = judged
            lower[fit], upper[fit] = self._interval(judged, design.members[judged].y[fit])
        return replace(design, columns=known_columns(known, who, lower, upper))

    def _interval(self, k: int, codes: Array) -> tuple[Array, Array]:
        cutpoints = self._likelihood.cutpoints[k]
        code = codes.astype(np.int64)
        return np.append(-np.inf, cutpoints)[code], np.append(cutpoints, np.inf)[code]

    # -- moves --------------------------------------------------------------------------------

    def _turn(self) -> tuple[int, ...]:
        """Members judged in turn; a block of numbers judges nobody."""
        return self.members.judged or (NOBODY,)

    def _sweep(
        self,
        seen: Design,
        tuned: Adaptation,
        linear: Array,
        judged: int,
        gaps: dict[int, Array],
        latent: Array,
        rng: np.random.Generator,
    ) -> tuple[Array, Point, Mapping[str, float]]:
        """Move the linear predictors once, then what is the judged member's own."""
        drawn = self._posterior.draw(seen, tuned, linear, 1, rng, self._likelihood.constants)
        if judged != NOBODY:
            self._update_categories(seen, judged, drawn[1], gaps, latent, rng)
        return drawn

    def _update_categories(
        self,
        seen: Design,
        judged: int,
        point: Point,
        gaps: dict[int, Array],
        latent: Array,
        rng: np.random.Generator,
    ) -> None:
        """Move the judged member's cutpoints, its latent values integrated out; then draw these."""
        design = seen.rows(seen.members[judged].fit)
        eta = self._posterior.linear_predictor(design, point)
        covariance = self._likelihood.covariance(point.positive, point.free)
        means, sds = conditional(rows_of(design, self._units.members), judged, eta, covariance)
        codes = design.members[judged].y
        intercept = point.beta[judged, 0]

        def log_density(value: float) -> float:
            moved[which] = value
            self._likelihood.cutpoints[judged] = cutpoints = np.append(0, np.cumsum(np.exp(moved)))
            lower, upper = self._interval(judged, codes)
            away = cutpoints - intercept
            fit = log_interval((lower - means) / sds, (upper - means) / sds).sum()
            density = float(fit) - 0.5 * float(away @ away) + float(moved.sum())
            return density if np.isfinite(density) else -np.inf

        moved = gaps[judged].copy()
        for which in range(len(moved)):
            with np.errstate(all="ignore"):
                moved[which] = slice_step(log_density, float(moved[which]), 0.5, rng)
        gaps[judged] = moved
        self._likelihood.cutpoints = self._cutpoints(gaps)
        lower, upper = self._interval(judged, codes)
        drawn = draw_between((lower - means) / sds, (upper - means) / sds, rng)
        latent[seen.members[judged].fit, judged] = means + sds * drawn

    def _first(self, design: Design, rng: np.random.Generator) -> tuple[dict[int, Array], Array]:
        """Cutpoints at the observed shares; latent values as if nothing were related."""
        gaps, latent = {}, np.full((len(design.y), len(self.members.names)), np.nan)
        for k in self.members.judged:
            member = design.members[k]
            codes = member.y[member.fit].astype(np.int64)
            counts = np.bincount(codes, minlength=len(self._labels(k))) + 1.0
            below = np.cumsum(counts)[:-1] / counts.sum()
            ends = ndtri(below)
            gaps[k] = np.log(np.maximum(np.diff(ends), 1e-3))
            ends = ends[0] + np.append(0.0, np.cumsum(np.exp(gaps[k])))
            lower, upper = np.append(-np.inf, ends)[codes], np.append(ends, np.inf)[codes]
            latent[member.fit, k] = draw_between(lower, upper, rng) - ends[0]
        return gaps, latent

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
        linear, gaps, latent, point, statistics = self._move(design, adaptation, state, rng, first)
        return Moved(self._join(design, linear, gaps, latent), point.effects, statistics)

    def at(self, state: Array) -> Parameters:
        """Give all parameters at a state."""
        return self._parameters(self._posterior.point(state))

    # -- the contract ---------------------------------------------------------------------------

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune, let latent values find each other, and tune again there."""
        posterior, tune = self._posterior, self._options["tune"]
        gaps, latent = self._first(design, rng)
        self._likelihood.cutpoints = self._cutpoints(gaps)
        judged = self._turn()[-1]
        tuned = posterior.adapt(
            self._seen(design, latent, judged), tune // 2, rng, self._likelihood.constants
        )
        linear = tuned.start_mean
        turns = 8 if len(self.members.judged) > 1 else 2
        for judged in self._turn() * turns:
            seen = self._seen(design, latent, judged)
            linear, _, _ = self._sweep(seen, tuned, linear, judged, gaps, latent, rng)
        tuned = posterior.adapt(
            self._seen(design, latent, judged), tune, rng, self._likelihood.constants
        )
        spread = np.concatenate([tuned.start_sd, *(np.full(len(g), 0.3) for g in gaps.values())])
        mean = np.concatenate([tuned.start_mean, *gaps.values()])
        return Adaptation(tuned.step_size, tuned.variance, mean, spread, tuned.parts)

    def _tuned(self, adaptation: Adaptation) -> Adaptation:
        """Give the adaptation of the linear predictors alone."""
        size = self._posterior.sizes.size
        return replace(
            adaptation,
            start_mean=adaptation.start_mean[:size],
            start_sd=adaptation.start_sd[:size],
        )

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed start; latent values follow at the first visit."""
        linear = self._posterior.start(self._tuned(adaptation), rng)
        size = self._posterior.sizes.size
        noise = rng.normal(size=sum(self._gaps))
        return np.append(linear, adaptation.start_mean[size:] + adaptation.start_sd[size:] * noise)

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Draw parameters and latent values, then what is missing of each row jointly."""
        linear, gaps, latent, point, statistics = self._move(design, adaptation, state, rng, first)
        values = self._imputed(design, point, latent, rng)
        return Visit(
            self._join(design, linear, gaps, latent), values, self._parameters(point), statistics
        )

    def row_draws(self, moment: Moment) -> "JointDraws":
        """Give the model of new rows at the parameters and effects of a state."""
        linear, gaps, _ = self._split(moment.design, moment.state)
        return JointDraws(self, (self._posterior.point(linear),), (self._cutpoints(gaps),))

    def draw_at(
        self,
        design: Design,
        point: Point,
        cutpoints: dict[int, Array],
        rng: np.random.Generator,
    ) -> Array:
        """Draw what is missing of rows that were not fitted to, at given parameters.

        Latent values of categories that are seen are drawn from what else is seen of their rows.
        """
        self._likelihood.cutpoints = cutpoints
        nowhere = np.zeros(len(design.y), dtype=bool)
        members = tuple(replace(member, fit=nowhere) for member in design.members)
        latent = np.full((len(design.y), len(members)), np.nan)
        return self._imputed(replace(design, members=members), point, latent, rng)

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Move on, then predict each member's seen rows from what else is seen of the row.

        Categories of other members count by their latent values as they have just been drawn:
        these belong to what the posterior is of.
        """
        linear, gaps, latent, point, statistics = self._move(design, adaptation, state, rng, first)
        covariance = self._likelihood.covariance(point.positive, point.free)
        eta = self._posterior.linear_predictor(design, point)
        known = self._values(design, latent)
        nobody, none = np.full(len(known), NOBODY), np.zeros(len(known))
        values, densities = [], []
        for k, member in enumerate(design.members):
            others = known.copy()
            others[:, k] = np.nan
            seen = Rows.of(others, nobody, none, none)
            means, sds = (part[member.fit] for part in conditional(seen, k, eta, covariance))
            drawn = means + sds * rng.normal(size=len(means))
            if self._labels(k):
                lower, upper = self._interval(k, member.y[member.fit])
                density = log_interval((lower - means) / sds, (upper - means) / sds)
                drawn = np.searchsorted(self._likelihood.cutpoints[k], drawn).astype(np.float64)
            else:
                e = (known[member.fit, k] - means) / sds
                density = -0.5 * e * e - np.log(sds) - 0.5 * np.log(2 * np.pi)
                density = density - np.log(self.members.scale[k])
                drawn = self.members.centre[k] + self.members.scale[k] * drawn
            values.append(drawn)
            densities.append(density)
        return Prediction(
            self._join(design, linear, gaps, latent),
            np.concatenate(values),
            self._parameters(point),
            np.concatenate(densities),
            measure="mixed",
            statistics=statistics,
        )

    def _move(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> tuple[Array, dict[int, Array], Array, Point, Mapping[str, float]]:
        """State of the linear predictors, gaps, latent values; the point drawn; statistics."""
        posterior, tuned = self._posterior, self._tuned(adaptation)
        turn = self._turn()
        if first:
            _, latent = self._first(design, rng)
            linear, rest = np.split(state, [posterior.sizes.size])
            parts = np.split(rest, np.cumsum(self._gaps))[:-1]
            gaps = dict(zip(self.members.judged, parts, strict=True))
        else:
            linear, gaps, latent = self._split(design, state)
        self._likelihood.cutpoints = self._cutpoints(gaps)
        if first:
            # cutpoints were dispersed: latent values have to lie between them
            for k in self.members.judged:
                fit = design.members[k].fit
                lower, upper = self._interval(k, design.members[k].y[fit])
                latent[fit, k] = draw_between(lower, upper, rng)
            for judged in turn * -(-FIRST_SWEEPS // (2 * len(turn))):
                seen = self._seen(design, latent, judged)
                linear = posterior.settle(seen, tuned, linear, 2, rng, self._likelihood.constants)
                linear, _, _ = self._sweep(seen, tuned, linear, judged, gaps, latent, rng)
        records = []
        for judged in turn * -(-self._options["transitions"] // len(turn)):
            seen = self._seen(design, latent, judged)
            linear, point, record = self._sweep(seen, tuned, linear, judged, gaps, latent, rng)
            records.append(record)
        statistics = {
            **records[-1],
            "diverging": sum(record["diverging"] for record in records),
            "n_steps": sum(record["n_steps"] for record in records),
        }
        return linear, gaps, latent, point, statistics

    # -- values ---------------------------------------------------------------------------------

    def _imputed(
        self, design: Design, point: Point, latent: Array, rng: np.random.Generator
    ) -> Array:
        """Values of the members' `draw` rows, one member after the other."""
        rows = design.rows(design.draw)
        eta = self._posterior.linear_predictor(rows, point)
        covariance = self._likelihood.covariance(point.positive, point.free)
        known = np.full(eta.shape, np.nan)
        again = np.zeros(len(eta), dtype=bool)
        for k, member in enumerate(rows.members):
            given = ~member.draw & ~np.isnan(member.y)
            again |= member.draw & member.fit
            if self._labels(k):
                known[given, k] = latent[design.draw, k][given]
                again |= given & ~member.fit
            else:
                standard = (member.y - self.members.centre[k]) / self.members.scale[k]
                known[given, k] = standard[given]
        if again.any():
            known[again] = self._scanned(
                rows.rows(again), eta[again], covariance, known[again], rng
            )
        drawn = draw_unknown(known, eta, covariance, rng)
        return np.concatenate(
            [self._on_own_scale(k, member, drawn[:, k]) for k, member in enumerate(rows.members)]
        )

    def _scanned(
        self, rows: Design, eta: Array, covariance: Array, known: Array, rng: np.random.Generator
    ) -> Array:
        """Draw latent values of given categories from what else is given in their rows."""
        known = known.copy()
        chosen = {
            k: ~rows.members[k].draw & ~np.isnan(rows.members[k].y) for k in self.members.judged
        }
        for k, given in chosen.items():
            known[given, k] = np.nan
        for _ in range(SCANS):
            for k, given in chosen.items():
                if not given.any():
                    continue
                known[given, k] = np.nan
                nobody, none = np.full(len(known), NOBODY), np.zeros(len(known))
                seen = Rows.of(known, nobody, none, none)
                means, sds = (part[given] for part in conditional(seen, k, eta, covariance))
                lower, upper = self._interval(k, rows.members[k].y[given])
                between = draw_between((lower - means) / sds, (upper - means) / sds, rng)
                known[given, k] = means + sds * between
        return known

    def _on_own_scale(self, k: int, member: Design, latent: Array) -> Array:
        """Values of a member's `draw` rows, with its shift; categories as codes."""
        latent = latent[member.draw]
        shift = 0.0 if member.shift is None else member.shift[member.draw]
        if self._labels(k):
            codes = np.searchsorted(self._likelihood.cutpoints[k], latent + shift)
            return codes.astype(np.float64)
        return np.asarray(self.members.centre[k] + self.members.scale[k] * latent + shift)

    def _parameters(self, point: Point) -> Parameters:
        members, units = self.members, self._units
        intercept = members.centre + members.scale * point.beta[:, 0]
        beta = point.beta[:, 1:] * members.scale[:, None] / units.scale_x
        numbers = members.continuous
        out: dict[str, float | Array] = {"intercept": intercept[numbers]} if numbers.any() else {}
        if beta.size:
            out["beta"] = beta.T.ravel()
        sd = point.sd.reshape(len(members.names), -1)
        for a, effect in enumerate(self._effects):
            out[f"sd_{effect}"] = sd[:, a] * members.scale / units.scale_z[a]
        if numbers.any():
            out["sigma"] = point.positive * members.scale[numbers]
        _, correlation, _ = self._likelihood.factor(point.positive, point.free)
        if len(members.names) > 1:
            out["residual_correlation"] = _below_diagonal(correlation)
        if "correlation" in self.labels:
            out["correlation"] = self._posterior.sizes.blocks.correlations(point.correlation)
        if members.judged:
            cutpoints = self._likelihood.cutpoints
            out["cutpoints"] = np.concatenate([cutpoints[k] - intercept[k] for k in cutpoints])
        return out


def _pairs(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{names[b]}~{names[a]}" for a in range(len(names)) for b in range(a))


def _below_diagonal(factor: Array) -> Array:
    matrix = factor @ factor.T
    return np.asarray(matrix[np.tril_indices(len(matrix), -1)])


@dataclass(frozen=True, eq=False)
class JointDraws:
    """A block of variables, as all chains have left it.

    Attributes
    ----------
    kernel
        Of the block.
    points, cutpoints
        Parameters and effects, and cutpoints by member, of each chain.
    """

    kernel: JointKernel
    points: tuple[Point, ...]
    cutpoints: tuple[dict[int, Array], ...]

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        every = (self, *others)
        return replace(
            self,
            points=tuple(point for each in every for point in each.points),
            cutpoints=tuple(own for each in every for own in each.cutpoints),
        )

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters; effects of new ones come from the population."""
        effects = np.stack([point.effects for point in self.points])
        chosen = chosen_effects(effects, self.factor, clusters, rng)
        pairs = zip(self.points, chosen, strict=True)
        return replace(self, points=tuple(replace(point, effects=own) for point, own in pairs))

    @property
    def factor(self) -> Array:
        """Factor of the covariance of a cluster's effects, (chain, effect, effect)."""
        return np.stack([point.factor for point in self.points])

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw what is missing of each row jointly; one member after the other."""
        clusters = max(len(self.points[0].effects), 1)
        chain, within = np.divmod(design.cluster, clusters)
        drawn = [np.full(len(design.y), np.nan) for _ in design.members]
        for k, (point, cutpoints) in enumerate(zip(self.points, self.cutpoints, strict=True)):
            at = np.flatnonzero((chain == k) & design.draw)
            if not at.size:
                continue
            rows = replace(design.rows(at), cluster=within[at])
            values = self.kernel.draw_at(rows, point, cutpoints, rng)
            ends = np.cumsum([member.draw.sum() for member in rows.members])
            for member, own, column in zip(
                rows.members, np.split(values, ends[:-1]), drawn, strict=True
            ):
                column[at[member.draw]] = own
        pairs = zip(design.members, drawn, strict=True)
        return np.concatenate([column[member.draw] for member, column in pairs])
