r"""The densities of the moves of a sweep, see :mod:`bayesimpute.sampling.linear`."""

import numpy as np

from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.correlation import (
    correlation_factor,
    factor_of,
    lower_triangle_inverse,
    pull_back,
)
from bayesimpute.sampling.linear_state import (
    Array,
    Model,
    Positions,
    Rows,
    by_fixed,
    by_random,
    entrance,
    extra_of,
    fixed_part_of,
    pack,
    pairs_of,
    predictors_at,
    scales_of,
    take_apart,
    unpack,
)
from bayesimpute.sampling.linear_whitening import Moving, coefficients_at, to_coordinates


@entrance
def stand(model: Model, rows: Rows, state: Array, moving: Positions) -> Moving:
    """All that the densities need but the whitening, where the state stands.

    Parameters
    ----------
    model, rows, state
        What is sampled, and where it stands.
    moving
        Positions in the state of what move 3 moves; none for the other moves.
    """
    point = take_apart(model, rows, state)
    clusters, size = point.effects.shape
    inverse = np.empty((size, size))
    lower_triangle_inverse(factor_of(point.sd, point.partial), inverse)
    scatter, standard = np.zeros((size, size)), np.zeros((clusters, size))
    for j in range(clusters):
        for a in range(size):
            for b in range(size):
                scatter[a, b] += point.effects[j, a] * point.effects[j, b]
            for b in range(a + 1):
                standard[j, a] += inverse[a, b] * point.effects[j, b]
    fixed_part = np.empty((0, 0))
    if moving.size > 0:
        fixed_part = fixed_part_of(model, rows, point.beta)
    none, nothing = np.empty((0, 0)), np.empty((0, 0, 0))
    return Moving(
        model, rows, state, point, inverse, nothing, none, nothing, scatter, standard, fixed_part,
        moving,
    )  # fmt: skip


# -- move 1: coefficients ------------------------------------------------------------------------


@entrance
def coefficient_density(u: Array, moving: Moving, gradient: Array) -> float:
    """Log density of whitened coefficients; its gradient into `gradient`."""
    model, rows, extra = moving.model, moving.rows, moving.point.extra
    packed, effects = coefficients_at(moving, u)
    beta = unpack(model, packed)
    eta = predictors_at(model, rows, fixed_part_of(model, rows, beta), effects)
    likelihood, by_eta, _ = model.density((rows.columns, eta, extra, model.constants))
    value = likelihood.item()
    by_beta = by_fixed(by_eta, rows.x, model.fixed)
    intercepts = np.empty(beta.shape[0])
    for r in range(beta.shape[0]):
        intercepts[r] = beta[r, 0]
        for c in range(beta.shape[1]):
            if model.fixed[r, c]:
                away = beta[r, c] - model.mean[r, c]
                value -= 0.5 * model.precision[r, c] * away * away
                by_beta[r, c] -= model.precision[r, c] * away
    prior, by_intercepts, _ = model.extra_prior((intercepts, extra, model.constants))
    value += prior.item()
    for r in range(beta.shape[0]):
        by_beta[r, 0] += by_intercepts[r]
    clusters, size, _ = moving.slope.shape
    by_effects = np.empty((clusters, size))
    standard = np.empty(size)
    if size > 0:
        by_random(by_eta, rows.z, model.varying, rows.start, by_effects)
    by_packed = pack(model, by_beta)
    for j in range(clusters):
        for a in range(size):
            standard[a] = 0.0
            for b in range(a + 1):
                standard[a] += moving.inverse[a, b] * effects[j, b]
            value -= 0.5 * standard[a] * standard[a]
        for b in range(size):
            for a in range(b, size):
                by_effects[j, b] -= moving.inverse[a, b] * standard[a]
    to_coordinates(moving, by_effects, by_packed, gradient)
    return value


# -- moves 2 and 3: scales, correlations, extras ---------------------------------------------------


@part_of
def _lkj(model: Model, partial: Array, by_partial: Array) -> float:
    """Log prior of the correlations; adds to its gradient."""
    value = 0.0
    for k in range(partial.size):
        z = np.tanh(partial[k])
        value += model.shapes[k] * np.log1p(-z * z)
        by_partial[k] -= 2.0 * model.shapes[k] * z
    return value


@part_of
def _by_shape(by_factor: Array, sd: Array, partial: Array) -> tuple[Array, Array]:
    """Gradient by sd and partial correlations from that by the factor of Ψ."""
    size = sd.size
    correlation = correlation_factor(partial, size)
    by_sd = np.zeros(size)
    by_correlation = np.zeros((size, size))
    for a in range(size):
        for b in range(a + 1):
            by_sd[a] += by_factor[a, b] * correlation[a, b]
            by_correlation[a, b] = by_factor[a, b] * sd[a]
    return by_sd, pull_back(partial, correlation, by_correlation)


@entrance
def centred_density(part: Array, moving: Moving, gradient: Array) -> float:
    """Log density of sd and correlations given the effects of the clusters seen."""
    model = moving.model
    count, size = model.unit.size, model.effects
    scale = moving.state[:count].copy()
    for a in range(size):
        scale[a] = part[a]
    value, by_scale, scales, slope = scales_of(model, scale)
    sd, partial = scales[:size], pairs_of(model, part[size:])
    factor = factor_of(sd, partial)
    for a in range(size):
        if not factor[a, a] > 1e-150:
            return -np.inf
    inverse = np.empty((size, size))
    lower_triangle_inverse(factor, inverse)
    clusters = moving.rows.seen.size
    # −½ tr(F⁻¹ S F⁻ᵀ) − J log |F|, and its gradient by F
    standard = np.zeros((size, size))
    half = np.zeros((size, size))
    for a in range(size):
        for b in range(size):
            for c in range(a + 1):
                half[a, b] += inverse[a, c] * moving.scatter[c, b]
    for a in range(size):
        for b in range(size):
            for c in range(b + 1):
                standard[a, b] += half[a, c] * inverse[b, c]
    by_factor = np.zeros((size, size))
    for a in range(size):
        value -= 0.5 * standard[a, a] + clusters * np.log(factor[a, a])
        for b in range(a + 1):
            for c in range(a, size):
                by_factor[a, b] += inverse[c, a] * standard[c, b]
        by_factor[a, a] -= clusters * inverse[a, a]
    by_sd, by_partial = _by_shape(by_factor, sd, partial)
    value += _lkj(model, partial, by_partial)
    for a in range(size):
        gradient[a] = by_scale[a] + by_sd[a] * slope[a]
    at = size
    for k in range(partial.size):
        if model.pairs[k]:
            gradient[at] = by_partial[k]
            at += 1
    return value


@entrance
def shape_density(part: Array, moving: Moving, gradient: Array) -> float:
    """Log density of scales, correlations and extras given β and the standardised effects."""
    model, rows = moving.model, moving.rows
    count, size, beta_at = model.unit.size, model.effects, model.beta_at
    shape = moving.state[:beta_at].copy()
    for k in range(part.size):
        shape[moving.moving[k]] = part[k]
    value, by_scale, scales, slope = scales_of(model, shape[:count].copy())
    sd, partial = scales[:size], pairs_of(model, shape[count : beta_at - model.free])
    extra = extra_of(model, scales, shape[beta_at - model.free :])
    factor = factor_of(sd, partial)
    clusters = moving.standard.shape[0]
    effects = np.zeros((clusters, size))
    for j in range(clusters):
        for a in range(size):
            for b in range(a + 1):
                effects[j, a] += factor[a, b] * moving.standard[j, b]
    eta = predictors_at(model, rows, moving.fixed_part, effects)
    likelihood, by_eta, by_extra = model.density((rows.columns, eta, extra, model.constants))
    intercepts = moving.point.beta[:, 0].copy()
    prior, _, by_extra_prior = model.extra_prior((intercepts, extra, model.constants))
    value += likelihood.item() + prior.item()
    whole = np.zeros(beta_at)
    if size > 0:
        by_effects = np.empty((clusters, size))
        by_random(by_eta, rows.z, model.varying, rows.start, by_effects)
        by_factor = np.zeros((size, size))
        for j in range(clusters):
            for a in range(size):
                for b in range(a + 1):
                    by_factor[a, b] += by_effects[j, a] * moving.standard[j, b]
        by_sd, by_partial = _by_shape(by_factor, sd, partial)
        value += _lkj(model, partial, by_partial)
        for a in range(size):
            whole[a] = by_sd[a] * slope[a]
        at = count
        for k in range(partial.size):
            if model.pairs[k]:
                whole[at] = by_partial[k]
                at += 1
    positive = count - size
    for k in range(positive):
        whole[size + k] = (by_extra[k] + by_extra_prior[k]) * slope[size + k]
    for k in range(count):
        whole[k] += by_scale[k]
    for k in range(model.free):
        whole[beta_at - model.free + k] = by_extra[positive + k] + by_extra_prior[positive + k]
    for k in range(part.size):
        gradient[k] = whole[moving.moving[k]]
    return value


@part_of
def follow(moving: Moving, state: Array) -> None:
    """Let the effects in the state follow their scales in it, after move 3."""
    clusters, size = moving.standard.shape
    model = moving.model
    point = take_apart(model, moving.rows, state)
    factor = factor_of(point.sd, point.partial)
    for j in range(clusters):
        first = model.effect_at + moving.rows.seen[j] * size
        for a in range(size):
            state[first + a] = 0.0
            for b in range(a + 1):
                state[first + a] += factor[a, b] * moving.standard[j, b]
