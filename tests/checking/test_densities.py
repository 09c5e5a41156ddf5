"""Densities of rows and of clusters against scipy's distributions and brute-force integrals."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import log_expit, logsumexp

from bayesimpute.data.table import Kind
from bayesimpute.models.counts import NegativeBinomialLikelihood, Poisson
from bayesimpute.registry import resolve
from bayesimpute.sampling import integrated
from bayesimpute.sampling.from_pymc import pymc_likelihood
from bayesimpute.sampling.selection import (
    BinarySelectionLikelihood,
    SelectionLikelihood,
    StudentSelectionLikelihood,
)

NONE = np.empty(0)


def predicted(name, design, options, by_cluster=False, first=True):
    method = resolve(name)
    options = {**method.options, **options, "tune": 20, "transitions": 1}
    kernel = method.kernel(design, {}, options)
    rng = np.random.default_rng(1)
    adaptation = kernel.adapt(design, rng)
    state = kernel.start(adaptation, rng)
    return kernel.predict(design, adaptation, state, rng, first, by_cluster), kernel


def test_counts_have_their_constants():
    rng = np.random.default_rng(0)
    y, eta = rng.poisson(3, 30).astype(float), rng.normal(size=(30, 1))
    found = pymc_likelihood(Poisson.distribution, 0).log_density(y, eta, NONE, NONE, 1.0)
    np.testing.assert_allclose(found, stats.poisson.logpmf(y, np.exp(eta[:, 0])), rtol=1e-10)
    found = NegativeBinomialLikelihood().log_density(y, eta, np.array([0.7]), NONE, 1.0)
    n = 0.7**-2
    wanted = stats.nbinom.logpmf(y, n, n / (n + np.exp(eta[:, 0])))
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def selection_rows(seen=True):
    rng = np.random.default_rng(2)
    n = 12
    eta = rng.normal(size=(n, 4)) * [1, 1, 0.3, 0.6]
    y = np.column_stack([rng.normal(size=n), np.full(n, float(seen)), np.ones(n)])
    return y, eta


def test_a_seen_value_has_the_density_of_the_selection_model():
    y, eta = selection_rows()
    likelihood = SelectionLikelihood()
    found = likelihood.log_density(y, eta, NONE, NONE, 2.5)
    for k, (value, row) in enumerate(zip(y[:, 0], eta, strict=True)):
        sigma, rho = np.exp(row[2]), np.tanh(row[3])
        e = (value - row[0]) / sigma
        wanted = stats.norm.logpdf(value, row[0], sigma) - np.log(2.5)
        wanted += stats.norm.logcdf((row[1] + rho * e) / np.sqrt(1 - rho**2))
        assert found[k] == pytest.approx(wanted, rel=1e-8)
    unseen = y * [1, 0, 1]
    np.testing.assert_allclose(
        likelihood.log_density(unseen, eta, NONE, NONE, 2.5), stats.norm.logcdf(-eta[:, 1])
    )


def test_given_that_a_value_is_seen_its_density_integrates_to_one():
    _, eta = selection_rows()
    for likelihood, positive in (
        (SelectionLikelihood(), NONE),
        (StudentSelectionLikelihood(), np.array([5.0])),
    ):

        def density(value, likelihood=likelihood, positive=positive):
            one = np.array([[value, 1.0, 1.0]])
            joint = likelihood.log_density(one, eta[:1], positive, NONE, 1.0)
            return np.exp(joint - likelihood.log_selection(one, eta[:1], positive))[0]

        total = integrate.quad(density, -60, 60, points=[float(eta[0, 0])], limit=200)[0]
        assert total == pytest.approx(1, abs=1e-5)


def test_a_students_row_is_the_normal_one_with_its_weight_integrated_out():
    y, eta = selection_rows()
    nu = 4.0
    found = StudentSelectionLikelihood().log_density(y, eta, np.array([nu]), NONE, 1.0)
    value, row = y[0, 0], eta[0]
    sigma, rho = np.exp(row[2]), np.tanh(row[3])

    def integrand(w):
        e = (value - row[0]) * np.sqrt(w) / sigma
        at = (row[1] * np.sqrt(w) + rho * e) / np.sqrt(1 - rho**2)
        density = stats.norm.pdf(value, row[0], sigma / np.sqrt(w)) * stats.norm.cdf(at)
        return density * stats.gamma.pdf(w, nu / 2, scale=2 / nu)

    assert np.exp(found[0]) == pytest.approx(integrate.quad(integrand, 0, 60)[0], rel=1e-6)


@pytest.mark.slow
def test_a_binary_selection_row_is_a_quadrant_of_the_bivariate_normal():
    y, eta = selection_rows()
    y[:, 0] = np.arange(len(y)) % 2
    found = BinarySelectionLikelihood().log_density(y, eta[:, [0, 1, 3]], NONE, NONE, 1.0)
    for k in range(4):
        sign, rho = 2 * y[k, 0] - 1, np.tanh(eta[k, 3])
        covariance = [[1, sign * rho], [sign * rho, 1]]
        wanted = stats.multivariate_normal([0, 0], covariance).cdf([sign * eta[k, 0], eta[k, 1]])
        assert np.exp(found[k]) == pytest.approx(wanted, abs=2e-5)


@pytest.mark.slow
def test_a_joint_member_is_predicted_from_the_others_of_its_row(made):
    number, binary = made("number"), made("binary")
    ordered = made("ordered")
    members = tuple(
        replace(each, target=name, fit=each.fit & (np.arange(72) % 7 != gap), draw=each.draw)
        for name, each, gap in (("u", number, 1), ("v", binary, 2), ("w", ordered, 3))
    )
    block = replace(
        number,
        members=members,
        fit=np.any([m.fit for m in members], axis=0),
        draw=np.any([m.draw for m in members], axis=0),
    )
    drawn, kernel = predicted("joint", block, {})
    _, _, latent = kernel._split(block, drawn.state)
    point = kernel._posterior.point(drawn.state[: kernel._posterior.sizes.size])
    covariance = kernel._likelihood.covariance(point.positive, point.free)
    eta = kernel._posterior.linear_predictor(block, point)
    known = kernel._values(block, latent)
    ends = np.cumsum([m.fit.sum() for m in members])
    parts = np.split(drawn.log_likelihood, ends[:-1])
    for k, member in enumerate(members):
        for row, found in zip(np.flatnonzero(member.fit), parts[k], strict=True):
            others = [j for j in range(3) if j != k and not np.isnan(known[row, j])]
            gain = covariance[k, others] @ np.linalg.inv(covariance[np.ix_(others, others)])
            mean = eta[row, k] + gain @ (known[row, others] - eta[row, others])
            sd = np.sqrt(covariance[k, k] - gain @ covariance[others, k])
            if member.kind is Kind.NUMERIC:
                scale, centre = kernel.members.scale[k], kernel.members.centre[k]
                wanted = stats.norm.logpdf(member.y[row], centre + scale * mean, scale * sd)
            else:
                cutpoints = kernel._likelihood.cutpoints[k]
                grid = np.concatenate([[-np.inf], cutpoints, [np.inf]])
                code = int(member.y[row])
                share = stats.norm.cdf(grid[code + 1], mean, sd) - stats.norm.cdf(
                    grid[code], mean, sd
                )
                wanted = np.log(share)
            assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def centred(design, drawn, kernel):
    """Fixed part of the observed rows' means in original units, effect columns, rows, Ψ."""
    units, p = kernel._posterior.units, drawn.parameters
    rows = design.rows(design.fit)
    fixed = p["intercept"] + (rows.x - units.centre_x) @ p["beta"]
    sd = np.array([p[f"sd_{effect}"] for effect in design.random_effects])
    psi = np.outer(sd, sd)
    if len(sd) > 1:
        psi[0, 1] = psi[1, 0] = psi[0, 1] * p["correlation"][0]
    return fixed, rows.z - units.centre_z, rows, psi


def test_a_clusters_density_in_the_normal_model_is_multivariate_normal(made):
    design = made("number")
    drawn, kernel = predicted("normal", design, {}, by_cluster=True)
    fixed, z, rows, psi = centred(design, drawn, kernel)
    for j in range(5):
        own = rows.cluster == j
        covariance = z[own] @ psi @ z[own].T + drawn.parameters["sigma"] ** 2 * np.eye(own.sum())
        wanted = stats.multivariate_normal(fixed[own], covariance).logpdf(rows.y[own])
        assert drawn.by_cluster[j] == pytest.approx(wanted, rel=1e-9)
    assert drawn.by_cluster[5] == 0  # it has no values


def test_a_clusters_own_residual_sd_is_integrated_out_too(made):
    design = made("number")
    drawn, kernel = predicted("normal", design, {"heteroscedastic": True}, by_cluster=True)
    fixed, z, rows, psi = centred(design, drawn, kernel)
    p = drawn.parameters
    own = rows.cluster == 2

    def integrand(offset):
        sigma = p["sigma"] * np.exp(p["sd_log_sigma"] * offset)
        covariance = z[own] @ psi @ z[own].T + sigma**2 * np.eye(own.sum())
        density = stats.multivariate_normal(fixed[own], covariance).pdf(rows.y[own])
        return density * stats.norm.pdf(offset)

    wanted = integrate.quad(integrand, -8, 8, epsabs=0, epsrel=1e-9, limit=200)[0]
    assert drawn.by_cluster[2] == pytest.approx(np.log(wanted), abs=1e-6)


@pytest.fixture
def many_points(monkeypatch):
    """Importance sampling with so many points that its own error is small."""
    monkeypatch.setattr(integrated, "POINTS", 2048)


def hermite(k, nodes):
    """Nodes (node, k) and log weights of a k-dimensional standard normal."""
    at, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = np.log(weight / weight.sum())
    grid = np.array(list(itertools.product(at, repeat=k)))
    logs = np.array(list(itertools.product(weight, repeat=k))).sum(axis=1)
    return grid, logs


def test_a_clusters_density_in_the_logistic_model_is_the_integral_over_its_effects(
    made, many_points
):
    design = made("binary")
    drawn, kernel = predicted("logistic", design, {}, by_cluster=True)
    fixed, z, rows, psi = centred(design, drawn, kernel)
    grid, weight = hermite(2, 80)
    effects = grid @ np.linalg.cholesky(psi).T
    for j in range(5):
        own = rows.cluster == j
        eta = fixed[own] + effects @ z[own].T
        each = log_expit(np.where(rows.y[own] == 1, eta, -eta)).sum(axis=1)
        wanted = logsumexp(each + weight)
        assert drawn.by_cluster[j] == pytest.approx(wanted, abs=0.01)
    assert drawn.by_cluster_error.max() < 0.05


def test_values_that_are_learnt_from_with_a_shift_have_it_in_a_clusters_density_too(
    made, many_points
):
    design = made("binary")
    drawn_rows = design.fit & (np.arange(len(design.fit)) % 2 == 0)
    shifted = replace(design, live=drawn_rows, shift=np.full(len(design.fit), 2.0))
    drawn, kernel = predicted("logistic", shifted, {}, by_cluster=True)
    fixed, z, rows, psi = centred(shifted, drawn, kernel)
    fixed = fixed + 2.0 * drawn_rows[design.fit]
    grid, weight = hermite(2, 80)
    effects = grid @ np.linalg.cholesky(psi).T
    own = rows.cluster == 0
    each = log_expit(np.where(rows.y[own] == 1, 1, -1) * (fixed[own] + effects @ z[own].T))
    wanted = logsumexp(each.sum(axis=1) + weight)
    assert drawn.by_cluster[0] == pytest.approx(wanted, abs=0.02)


@pytest.mark.slow
def test_a_clusters_density_in_a_selection_model_is_given_what_is_seen(made, many_points):
    design = made("number")
    design = replace(design, z=design.z[:, :1], random_effects=("intercept",))
    drawn, kernel = predicted("heckman", design, {"rho": 0.4}, by_cluster=True)
    posterior = kernel._posterior
    point = posterior.point(drawn.state)
    counted = kernel._counted(design)
    rows = counted.rows(counted.fit)
    grid, weight = hermite(3, 24)
    effects = grid @ point.factor.T
    y, unit = kernel._units.y(rows), kernel._units.scale_y
    likelihood = SelectionLikelihood(0.4)
    for j in (0, 3):
        own = np.flatnonzero(rows.cluster == j)
        fixed = posterior.units.x(rows.rows(own)) @ point.beta.T
        each, chosen = [], []
        for b in effects:
            eta = fixed + np.array([b[0], b[1], b[2], 0.0])
            each.append(likelihood.log_density(y[own], eta, NONE, NONE, unit).sum())
            chosen.append(likelihood.log_selection(y[own], eta, NONE).sum())
        wanted = logsumexp(np.array(each) + weight) - logsumexp(np.array(chosen) + weight)
        assert drawn.by_cluster[j] == pytest.approx(wanted, abs=0.03)
