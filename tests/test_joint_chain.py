"""With compatible conditionals, chained equations draw from the posterior of one joint model.

Three variables are jointly normal, each imputed by a regression on the other two. The joint prior
p(μ, Σ) ∝ |Σ|^(−1/2) makes a regression's coefficients and residual SD flat and independent of the
distribution of its predictors, so that flat priors on both give conditionals of that joint model
and chained equations are its Gibbs sampler (Hughes et al. 2014, "Joint modelling rationale for
chained equations"). With few rows, a prior that did not match would show.
"""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayesimpute as bi

NAMES = ("u", "v", "w")
ROWS = 30


def incomplete():
    rng = np.random.default_rng(8)
    covariance = np.array([[1.0, 0.6, -0.4], [0.6, 1.0, 0.3], [-0.4, 0.3, 1.0]])
    values = rng.multivariate_normal([0.5, 0.0, -1.0], covariance, ROWS)
    values[rng.random(values.shape) < 0.25] = np.nan
    values[:3] = np.nan_to_num(values[:3])  # three rows that nothing is missing in
    return pd.DataFrame(values, columns=NAMES)


DATA = incomplete()
MISSING = DATA.isna().to_numpy()


def flat():
    return {
        name: {
            "intercept": pm.Normal.dist(0, 1e4),
            "beta": pm.Normal.dist(0, 1e4),
            "sigma": pm.HalfNormal.dist(1e4),
        }
        for name in NAMES
    }


def chained(m, left_out=None, seed=1):
    """Completed values, (imputation, row, variable); `left_out` is (target, predictor)."""
    predictors = bi.make_predictors(DATA)
    if left_out is not None:
        predictors.loc[left_out] = 0
    imp = bi.impute(
        DATA,
        m=m,
        iterations=8,
        method="normal",
        predictors=predictors,
        priors=flat(),
        model_options={"*": {"transitions": 3, "tune": 200}},
        seed=seed,
    )
    return np.stack([frame.to_numpy() for frame in imp.complete("all")])


def joint(chains, seed=2):
    """Independent data augmentation chains, conjugate and exact: (chain, row, variable)."""
    rng = np.random.default_rng(seed)
    p = len(NAMES)
    values = np.broadcast_to(DATA.fillna(DATA.mean()).to_numpy(), (chains, ROWS, p)).copy()
    values[:, MISSING] += rng.normal(size=(chains, MISSING.sum()))
    for _ in range(40):
        mean = values.mean(axis=1)
        centred = values - mean[:, None]
        scatter = np.swapaxes(centred, 1, 2) @ centred
        # the inverse Wishart that belongs to |Σ|^(−1/2), its mean integrated out
        root = np.linalg.cholesky(np.linalg.inv(scatter))
        bartlett = np.tril(rng.normal(size=(chains, p, p)), -1)
        for k in range(p):
            bartlett[:, k, k] = np.sqrt(rng.chisquare(ROWS - p - 1 - k, size=chains))
        half = root @ bartlett
        sigma = np.linalg.inv(half @ np.swapaxes(half, 1, 2))
        noise = np.linalg.cholesky(sigma / ROWS) @ rng.normal(size=(chains, p, 1))
        mu = mean + noise[:, :, 0]
        for row in np.flatnonzero(MISSING.any(axis=1)):
            values[:, row] = conditional_draw(values[:, row], mu, sigma, MISSING[row], rng)
    return values


def conditional_draw(values, mu, sigma, gone, rng):
    """Draw the missing part of one row given the rest of it, (chain, variable)."""
    new = values.copy()
    cross, seen = sigma[:, gone][:, :, ~gone], sigma[:, ~gone][:, :, ~gone]
    weight = cross @ np.linalg.inv(seen)
    spread = sigma[:, gone][:, :, gone] - weight @ np.swapaxes(cross, 1, 2)
    mean = mu[:, gone] + (weight @ (values - mu)[:, ~gone, None])[:, :, 0]
    noise = np.linalg.cholesky(spread) @ rng.normal(size=(*mean.shape, 1))
    new[:, gone] = mean + noise[:, :, 0]
    return new


def joint_model():
    """The same joint model as a PyMC model; the missing cells are parameters."""
    import pytensor.tensor as pt

    p = len(NAMES)
    with pm.Model() as model:
        mu = pm.Flat("mu", shape=p)
        log_sd = pm.Flat("log_sd", shape=p)
        # |Σ|^(−1/2) is sd^(p − 1) for each SD, on log scale sd^p, and LKJ(1/2) for correlations
        pm.Potential("prior_of_sd", p * log_sd.sum())
        root = pm.LKJCorr("root", n=p, eta=0.5)
        missing = pm.Flat("missing", shape=int(MISSING.sum()))
        completed = pt.set_subtensor(
            pt.as_tensor_variable(DATA.fillna(0).to_numpy())[np.nonzero(MISSING)], missing
        )
        chol = pt.exp(log_sd)[:, None] * root
        pm.Potential("rows", pm.logp(pm.MvNormal.dist(mu, chol=chol), completed).sum())
    return model


def summaries(values):
    """Numbers of each completed data set, (imputation, number), with their names."""
    numbers = {}
    for k, name in enumerate(NAMES):
        cells = values[:, MISSING[:, k], k]
        numbers[f"mean of imputed {name}"] = cells.mean(axis=1)
        numbers[f"SD of imputed {name}"] = cells.std(axis=1)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        some = MISSING[:, a] | MISSING[:, b]
        pairs = values[:, some][:, :, [a, b]]
        centred = pairs - pairs.mean(axis=1, keepdims=True)
        square = (centred**2).sum(axis=1)
        correlation = centred.prod(axis=2).sum(axis=1) / np.sqrt(square.prod(axis=1))
        numbers[f"correlation of {NAMES[a]} and {NAMES[b]}"] = np.arctanh(correlation)
    return numbers


def regressions(values):
    """Coefficients of w on u and v and their covariances, (imputation, …)."""
    x = np.concatenate([np.ones((*values.shape[:2], 1)), values[:, :, :2]], axis=2)
    inverse = np.linalg.inv(np.swapaxes(x, 1, 2) @ x)
    estimate = (inverse @ np.swapaxes(x, 1, 2) @ values[:, :, 2:])[:, :, 0]
    residual = values[:, :, 2] - (x @ estimate[:, :, None])[:, :, 0]
    variance = (residual**2).sum(axis=1) / (ROWS - 3)
    return estimate, inverse * variance[:, None, None]


def differences(one, other, effective=None):
    """(one − other) / MCSE of the difference; draws of `one` are independent.

    Means and log SDs of every imputed cell and of each completed data set's numbers, and pooled
    coefficients with their standard errors. `effective` gives the effective sample sizes of draws
    of `other` and of their squares; default, its draws are independent, too.
    """
    rows = {}
    columns = {
        f"cell {k}": (one[:, MISSING][:, k], other[:, MISSING][:, k]) for k in range(MISSING.sum())
    }
    mine, theirs = summaries(one), summaries(other)
    columns |= {name: (mine[name], theirs[name]) for name in mine}
    fitted, expected = regressions(one), regressions(other)
    columns |= {f"coefficient {k}": (fitted[0][:, k], expected[0][:, k]) for k in range(3)}
    for name, (a, b) in columns.items():
        for what, number in (("mean", mean_and_error), ("SD", log_sd_and_error)):
            left, right = number(a, len(a)), number(b, *(effective(b) if effective else (len(b),)))
            rows[f"{name}: {what}"] = (left[0] - right[0]) / np.hypot(left[1], right[1])
    pooled = [
        bi.pool(pd.DataFrame(estimate, columns=["1", "u", "v"]), list(covariance)).table
        for estimate, covariance in (fitted, expected)
    ]
    for k, term in enumerate(["1", "u", "v"]):
        # of Rubin's total variance, only the part that the imputations make is uncertain
        errors = []
        for (estimate, covariance), table in zip((fitted, expected), pooled, strict=True):
            within = covariance[:, k, k]
            between = (estimate[:, k] - estimate[:, k].mean()) ** 2
            n = effective(estimate[:, k])[-1] if effective and len(errors) else len(within)
            errors.append((within + between).std() / np.sqrt(n) / (2 * table["std_error"].iloc[k]))
        rows[f"pooled SE of {term}"] = (
            pooled[0]["std_error"].iloc[k] - pooled[1]["std_error"].iloc[k]
        ) / np.hypot(*errors)
    return pd.Series(rows)


def mean_and_error(draws, n, *_):
    return draws.mean(), draws.std() / np.sqrt(n)


def log_sd_and_error(draws, *sizes):
    """Log SD and its error by the delta method, from the spread of the squares."""
    square = (draws - draws.mean()) ** 2
    return 0.5 * np.log(square.mean()), 0.5 * square.std() / square.mean() / np.sqrt(sizes[-1])


def most_allowed(z):
    """Largest |z| that so many normal numbers stay below in 999 of 1000 cases."""
    return stats.norm.isf(0.001 / 2 / len(z))


@pytest.fixture(scope="module")
def exact():
    return joint(4000)


def test_chained_equations_draw_from_the_joint_posterior(exact):
    z = differences(chained(150), exact)
    assert z.abs().max() < most_allowed(z), z[z.abs() > 3]
    # of so many standard normal numbers, neither too large nor all too small
    assert 0.6 < np.sqrt((z**2).mean()) < 1.4


def test_a_conditional_without_one_predictor_is_no_longer_compatible(exact):
    z = differences(chained(80, left_out=("w", "u")), exact)
    assert z.abs().max() > 1.5 * most_allowed(z)
    assert abs(z["coefficient 1: mean"]) > most_allowed(z)


def test_two_samples_of_the_joint_posterior_agree(exact):
    z = differences(joint(1000, seed=3), exact)
    assert z.abs().max() < most_allowed(z), z[z.abs() > 3]


@pytest.mark.slow
def test_chained_equations_agree_with_a_joint_pymc_model(exact):
    import arviz as az

    with joint_model():
        posterior = pm.sample(
            draws=3000,
            tune=1500,
            chains=4,
            cores=1,
            target_accept=0.95,
            nuts_sampler="pymc",
            random_seed=4,
            progressbar=False,
            var_names=["missing"],  # half of the root is constant, which R-hat warns about
        ).posterior
    drawn = posterior["missing"].to_numpy()
    values = np.broadcast_to(DATA.fillna(0).to_numpy(), (drawn[..., 0].size, ROWS, 3)).copy()
    values[:, MISSING] = drawn.reshape(-1, drawn.shape[-1])

    def effective(draws):
        chains = draws.reshape(drawn.shape[:2])
        return float(az.ess(chains)), float(az.ess((chains - chains.mean()) ** 2))

    for one in (exact, chained(1000, seed=5)):
        z = differences(one, values, effective)
        assert z.abs().max() < most_allowed(z), z[z.abs() > 3]
