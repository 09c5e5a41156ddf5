"""The collapsed posterior against the plain PyMC model, sampled at length by ``pm.sample``."""

import arviz as az
import numpy as np
import pymc as pm
import pytest

from bayesimpute.models.normal import Normal


def collapsed_draws(design, options, draws, seed, priors=None):
    method = Normal()
    options = {**method.options, **options}
    kernel = method.kernel(design, priors or {}, options)
    rng = np.random.default_rng(seed)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    parameters, values = [], []
    for _ in range(draws):
        visit = kernel.visit(design, adaptation, visit.state, rng, False)
        parameters.append(visit.parameters)
        values.append(visit.values)
    names = parameters[0]
    return {n: np.array([p[n] for p in parameters]) for n in names}, np.array(values)


# density_contract and the small calibrations hold the same quickly
@pytest.mark.slow
@pytest.mark.parametrize("heteroscedastic", [False, True])
def test_collapsed_posterior_is_that_of_the_plain_model(two_level, heteroscedastic):
    options = {"heteroscedastic": heteroscedastic}
    # quantiles of so few draws have errors that are hardly known themselves
    ours, values = collapsed_draws(two_level, options, 4000, seed=1)
    model = Normal().model(two_level, {}, {**Normal.options, **options})
    with model:
        trace = pm.sample(
            1500 if heteroscedastic else 700,  # errors are of what was drawn
            tune=500 if heteroscedastic else 300,
            chains=2,
            cores=1,
            random_seed=2,
            progressbar=False,
            nuts_sampler="pymc",
            target_accept=0.95,
            compute_convergence_checks=False,
        )
        plain = trace["posterior"]
    scalars = ["intercept", "sd_intercept", "sd_slope", "sigma"]
    scalars += ["sd_log_sigma"] * heteroscedastic
    pairs = {name: (ours[name], plain[name].values) for name in scalars}
    pairs["beta"] = (ours["beta"][:, 0], plain["beta"].values[..., 0])
    pairs["correlation"] = (ours["correlation"][:, 0], plain["correlation"].values[..., 1, 0])
    row = two_level.rows(two_level.draw)
    mean = (
        plain["intercept"].values
        + (row.x[0, 0] - two_level.x[two_level.fit].mean()) * plain["beta"].values[..., 0]
        + plain["effect"].values[..., row.cluster[0], 0]
        + (row.z[0, 1] - two_level.z[two_level.fit, 1].mean())
        * plain["effect"].values[..., row.cluster[0], 1]
    )
    if not heteroscedastic:
        noise = np.random.default_rng(3).normal(size=mean.shape)
        pairs["missing value"] = (values[:, 0], mean + plain["sigma"].values * noise)
    for name, (a, b) in pairs.items():
        for prob in (None, 0.1, 0.5, 0.9):
            kind = "mean" if prob is None else "quantile"
            extra = {} if prob is None else {"prob": prob}
            error = np.hypot(
                float(az.mcse(a[None], method=kind, **extra)),
                float(az.mcse(b, method=kind, **extra)),
            )
            left = a.mean() if prob is None else np.quantile(a, prob)
            right = b.mean() if prob is None else np.quantile(b, prob)
            assert abs(left - right) < 4 * error, (name, prob, left, right, error)


def test_a_users_prior_enters_the_collapsed_posterior(two_level):
    tight = {"sd_intercept": pm.HalfNormal.dist(0.01), "beta": pm.Normal.dist(5, 0.001)}
    draws, _ = collapsed_draws(two_level, {}, 200, seed=4, priors=tight)
    assert draws["sd_intercept"].max() < 0.06
    assert draws["beta"].mean() == pytest.approx(5, abs=0.01)


def test_a_cluster_without_values_draws_its_effect_from_the_population(two_level):
    draws, values = collapsed_draws(two_level, {}, 1500, seed=6)
    rows = two_level.rows(two_level.draw)
    spread = values[:, rows.cluster == 7][:, 0].var()
    own = values[:, rows.cluster == 0][:, 0].var()
    between = (draws["sd_intercept"] ** 2).mean()
    assert spread > own + 0.4 * between
