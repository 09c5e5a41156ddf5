"""One Bayesian analysis of every completed data set: seeds, workers, one compilation."""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import AnalysisError, ImputationWarning
from bayesimpute.posterior.fitting import CompiledModel, same_graph


def completed(m=3, n=60):
    rng = np.random.default_rng(1)
    base = pd.DataFrame({"x": rng.normal(size=n)})
    base["y"] = 1 + base["x"] + rng.normal(size=n)
    return [base.assign(y=base["y"] + rng.normal(0, 0.1, n)) for _ in range(m)]


def with_data(frame, prior_sd=10.0, likelihood="normal"):
    """Regression of y on x, the columns as pm.Data."""
    import pymc as pm

    with pm.Model(coords={"term": ["(Intercept)", "x"]}) as model:
        x, y = (pm.Data(name, frame[name].to_numpy(float)) for name in ("x", "y"))
        beta = pm.Normal("beta", 0, prior_sd, dims="term")
        sigma = pm.HalfNormal("sigma", 5)
        pm.Deterministic("ratio", beta[1] / sigma)
        mean = beta[0] + beta[1] * x
        if likelihood == "normal":
            pm.Normal("seen", mean, sigma, observed=y)
        else:
            pm.StudentT("seen", nu=4, mu=mean, sigma=sigma, observed=y)
    return model


def with_constants(frame):
    import pymc as pm

    with pm.Model() as model:
        beta = pm.Normal("beta", 0, 10, shape=2)
        x = frame["x"].to_numpy()
        pm.Normal("seen", beta[0] + beta[1] * x, 1, observed=frame["y"].to_numpy())
    return model


def mean_of_y(frame, seed):
    spread = frame["y"].std() / np.sqrt(len(frame))
    rng = np.random.default_rng(seed)
    return {"mean": rng.normal(frame["y"].mean(), spread, (2, 50))}


def test_models_that_differ_in_their_data_alone_share_a_compilation():
    one, two = completed(2)
    assert same_graph(with_data(one), with_data(two))
    assert not same_graph(with_data(one), with_data(two, prior_sd=5.0))
    assert not same_graph(with_data(one), with_data(two, likelihood="t"))
    assert not same_graph(with_data(one), with_data(two.iloc[:50]))
    assert same_graph(with_constants(one), with_constants(one))
    assert not same_graph(with_constants(one), with_constants(two))


def test_the_analysis_gets_each_frame_and_a_seed_of_its_own():
    frames = completed(4)
    frames[1] = frames[0]
    fits = bi.fit_posterior(frames, mean_of_y, seed=1)
    assert len(fits) == 4
    assert not np.array_equal(fits[0]["mean"], fits[1]["mean"])
    again = bi.fit_posterior(dict(enumerate(frames)), mean_of_y, seed=1)
    assert all(np.array_equal(a["mean"], b["mean"]) for a, b in zip(fits, again, strict=True))
    other = bi.fit_posterior(frames, mean_of_y, seed=2)
    assert not np.array_equal(fits[0]["mean"], other[0]["mean"])
    assert repr(fits).startswith("<Posteriors by mean_of_y of 4 data sets")
    assert fits._repr_html_().startswith("<p>Posteriors by mean_of_y")


def test_workers_give_the_same_draws():
    frames = completed(5)
    alone = bi.fit_posterior(frames, mean_of_y, seed=1)
    with ThreadPoolExecutor(2) as executor:
        together = bi.fit_posterior(frames, mean_of_y, seed=1, executor=executor)
    assert all(np.array_equal(a["mean"], b["mean"]) for a, b in zip(alone, together, strict=True))


def test_a_users_frame_stays_as_it_is():
    frames = completed(2)
    before = frames[0].copy()

    def greedy(frame):
        frame["y"] = 0.0
        return {"mean": np.arange(20.0).reshape(2, 10)}

    bi.fit_posterior(frames, greedy)
    pd.testing.assert_frame_equal(frames[0], before)


def test_an_analysis_that_fails_says_where_and_why():
    def only_first(frame):
        if frame["y"].iloc[0] != frames[0]["y"].iloc[0]:
            raise ValueError("no luck")
        return {"mean": np.arange(20.0).reshape(2, 10)}

    frames = completed(3)
    with pytest.raises(AnalysisError, match="imputation 2 failed: ValueError: no luck"):
        bi.fit_posterior(frames, only_first)
    with pytest.raises(AnalysisError, match="imputation 1 failed: it returned float; return a pm"):
        bi.fit_posterior(frames, lambda frame: 1.0)


@pytest.mark.parametrize(
    ("frames", "analysis", "options", "message"),
    [
        ([], mean_of_y, {}, "at least one DataFrame"),
        (completed(2), "y ~ x", {}, "takes a callable"),
        (completed(2), mean_of_y, {"draws": 2}, "draws=2 must be a whole number from 4"),
        (completed(2), mean_of_y, {"chains": 0}, "chains=0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(frames, analysis, options, message):
    with pytest.raises(AnalysisError, match=message):
        bi.fit_posterior(frames, analysis, **options)


def test_discrete_parameters_are_refused_with_a_way_out():
    import pymc as pm

    with pm.Model() as model:
        group = pm.Bernoulli("group", 0.5)
        pm.Normal("seen", group, 1, observed=np.zeros(3))
    with pytest.raises(AnalysisError, match=r"\('group'\).*return pm.sample\(model=model\)"):
        CompiledModel(model)


@pytest.mark.slow
def test_one_compilation_samples_every_data_set_and_each_posterior_is_right(monkeypatch):
    import statsmodels.formula.api as smf

    made = []
    build = CompiledModel.__init__
    monkeypatch.setattr(
        CompiledModel, "__init__", lambda self, model: (made.append(1), build(self, model))[1]
    )
    frames = completed(3)
    fits = bi.fit_posterior(frames, with_data, draws=1000, seed=1)
    assert len(made) == 1
    for frame, posterior in zip(frames, fits, strict=True):
        ols = smf.ols("y ~ x", frame).fit()
        drawn = posterior["posterior"]["beta"]
        assert drawn.sizes == {"chain": 2, "draw": 1000, "term": 2}
        mean, sd = drawn.mean(("chain", "draw")).values, drawn.std(("chain", "draw")).values
        assert mean == pytest.approx(ols.params, abs=0.15 * ols.bse.max())
        assert sd == pytest.approx(ols.bse, rel=0.15)
        ratio = drawn.sel(term="x") / posterior["posterior"]["sigma"]
        assert np.allclose(posterior["posterior"]["ratio"], ratio)
    found = fits.pool(seed=1)
    assert found.diagnostics()["r_hat"].max() < 1.02
    assert found.divergences.sum() == 0


@pytest.mark.slow
def test_processes_give_the_same_bits_as_one_process():
    frames = completed(3)
    alone = bi.fit_posterior(frames, with_data, draws=20, tune=50, seed=1)
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        shared = bi.fit_posterior(frames, with_data, draws=20, tune=50, seed=1, executor=executor)
    for one, two in zip(alone, shared, strict=True):
        assert np.array_equal(one["posterior"]["beta"], two["posterior"]["beta"])


@pytest.mark.slow
def test_a_model_with_its_data_as_constants_is_compiled_anew_and_said_so():
    frames = completed(2)
    with pytest.warns(ImputationWarning, match="1 imputations were compiled anew"):
        fits = bi.fit_posterior(frames, with_constants, draws=100, tune=100, seed=1)
    for frame, posterior in zip(frames, fits, strict=True):
        slope = posterior["posterior"]["beta"].mean(("chain", "draw")).values[1]
        assert slope == pytest.approx(np.polyfit(frame["x"], frame["y"], 1)[0], abs=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bambi_model_is_fitted_and_its_posterior_pooled_either_way():
    bambi = pytest.importorskip("bambi")
    frames = completed(2)
    fits = bi.fit_posterior(frames, lambda frame: bambi.Model("y ~ x", frame), draws=400, seed=1)
    mixed = fits.pool(seed=1).table
    assert list(mixed.index) == ["sigma", "Intercept", "x"]
    trees = iter(fits)
    rubin = bi.fit(frames, lambda frame: next(trees)).pool().table
    assert np.allclose(mixed["mean"], rubin["estimate"])
    assert np.allclose(mixed["within"], rubin["ubar"], rtol=1e-6)
    ols = bi.fit(frames, "y ~ x").pool().table
    assert rubin.loc["x", "estimate"] == pytest.approx(ols.loc["x", "estimate"], abs=0.03)
    assert rubin.loc["x", "std_error"] == pytest.approx(ols.loc["x", "std_error"], rel=0.15)
