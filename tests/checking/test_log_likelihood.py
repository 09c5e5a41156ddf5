"""Log densities of rows: each method's own against its PyMC model at the same parameters."""

import numpy as np
import pymc as pm
import pytensor
import pytest
from scipy import stats

from bayesimpute.registry import resolve
from bayesimpute.sampling.linear_kernel import LinearKernel

CASES = {
    "normal": ("normal", "number", {}),
    "heteroscedastic": ("normal", "number", {"heteroscedastic": True}),
    "robust": ("normal.robust", "number", {}),
    "truncated": ("normal.truncated", "number", {"lower": -20, "upper": 14}),
    "censored": ("normal.censored", "number", {"lower": None, "upper": 8.0}),
    "logistic": ("logistic", "binary", {}),
    "ordinal": ("ordinal", "ordered", {}),
    "categorical": ("categorical", "codes", {}),
    "poisson": ("poisson", "counts", {}),
    "negative binomial": ("negative_binomial", "counts", {}),
    "gamma": ("gamma", "positive", {}),
    "beta": ("beta", "share", {}),
    "weibull": ("weibull", "positive", {}),
}


def predicted(name, design, options, by_cluster=False):
    """Prediction, kernel and model of a method on a design."""
    method = resolve(name)
    options = {**method.options, **options, "tune": 20, "transitions": 1}
    kernel = method.kernel(design, {}, options)
    rng = np.random.default_rng(1)
    adaptation = kernel.adapt(design, rng)
    state = kernel.start(adaptation, rng)
    drawn = kernel.predict(design, adaptation, state, rng, True, by_cluster)
    return drawn, kernel, method.model(design, {}, options)


def textbook(model, drawn, kernel, design):
    """Log density of each row by PyMC, its variables set to what was drawn."""
    values = dict(drawn.parameters)
    q = len(design.random_effects)
    if isinstance(kernel, LinearKernel):
        posterior = kernel._posterior
        point = posterior.point(drawn.state)
        values["standard_effect"] = np.linalg.solve(point.factor, point.effects.T).T
        values["correlation_factor"] = point.correlation
        several = kernel.family.categories
        if "beta" in values and several:
            values["beta"] = np.reshape(values["beta"], (len(design.predictors), len(several)))
    else:
        # β, b and σ_j of the normal kernel are drawn at once: fix the generator and look
        fitted = FITTED[-1]
        posterior = kernel._posterior
        sd = np.array([values[f"sd_{effect}"] for effect in design.random_effects])
        sd = sd * posterior.units.scale_z / posterior.units.scale_y
        factor = np.eye(q)
        factor[1, 0] = values["correlation"][0]
        factor[1, 1] = np.sqrt(1 - factor[1, 0] ** 2)
        values["correlation_factor"] = factor
        values["standard_effect"] = np.linalg.solve(sd[:, None] * factor, fitted.effects.T).T
        if "sd_log_sigma" in values:
            each = np.log(fitted.sigma * posterior.units.scale_y / values["sigma"])
            values["log_sigma_offset"] = each / values["sd_log_sigma"]
    given = {v.name: np.asarray(values[v.name], dtype=float) for v in model.free_RVs}
    known = pm.do(model, given)
    (density,) = known.logp(vars=known.observed_RVs, sum=False)
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    return pytensor.function([], density, mode=mode)()


FITTED = []


@pytest.fixture(autouse=True)
def remember_fitted(monkeypatch):
    """Keep what the normal posterior draws, which its state does not hold."""
    from bayesimpute.sampling.gaussian import GaussianPosterior

    visit = GaussianPosterior.visit

    def kept(self, *arguments):
        FITTED.append(visit(self, *arguments))
        return FITTED[-1]

    monkeypatch.setattr(GaussianPosterior, "visit", kept)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_each_rows_density_is_that_of_the_textbook_model(made, case):
    name, which, options = CASES[case]
    design = made(which)
    if case == "censored":
        design.y[:] = np.minimum(design.y, 8.0)
    drawn, kernel, model = predicted(name, design, options)
    wanted = textbook(model, drawn, kernel, design)
    assert wanted.shape == (design.fit.sum(),)
    np.testing.assert_allclose(drawn.log_likelihood, wanted, rtol=1e-8, atol=1e-8)
    assert drawn.values.shape == wanted.shape


@pytest.mark.slow
def test_a_users_model_gives_the_density_it_writes(made):
    def builder(design):
        with pm.Model(coords=design.coords) as model:
            x = pm.Data("x", design.x, dims=("row", "predictor"))
            cluster = pm.Data("cluster_index", design.cluster, dims="row")
            y = pm.Data("y", design.y, dims="row")
            beta = pm.Normal("beta", 0, 5, dims="predictor")
            effect = pm.Normal("effect", 0, 2, shape=design.n_clusters)
            sigma = pm.HalfNormal("sigma", 5)
            pm.Normal("out", x @ beta + effect[cluster], sigma, observed=y, dims="row")
        return model

    design = made("number")
    method = resolve(builder)
    kernel = method.kernel(design, {}, {"tune": 30, "transitions": 2})
    rng = np.random.default_rng(1)
    adaptation = kernel.adapt(design, rng)
    drawn = kernel.predict(design, adaptation, kernel.start(adaptation, rng), rng, True)
    point = kernel._point_map
    names = [info[0] for info in point]
    raw = dict(
        zip(names, np.split(drawn.state, np.cumsum([i[2] for i in point])[:-1]), strict=True)
    )
    rows = design.rows(design.fit)
    mean = rows.x @ drawn.parameters["beta"] + raw["effect"][rows.cluster]
    wanted = stats.norm.logpdf(rows.y, mean, drawn.parameters["sigma"])
    np.testing.assert_allclose(drawn.log_likelihood, wanted, rtol=1e-8)
    assert drawn.measure == "density"
