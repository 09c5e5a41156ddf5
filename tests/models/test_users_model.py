"""A user's own PyMC model is a method like any other."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayesimpute as bi


def student_t(design):
    """Robust regression with a random intercept, written as a user would."""
    with pm.Model(coords=design.coords) as model:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        school = pm.Data("cluster_index", design.cluster, dims="row")
        y = pm.Data("y", design.y, dims="row")
        intercept = pm.Normal("intercept", 0, 5)
        slope = pm.Normal("slope", 0, 5, dims="predictor")
        spread = pm.HalfNormal("spread", 2)
        standard = pm.Normal("standard", dims="cluster")
        sigma = pm.HalfNormal("sigma", 2)
        mean = intercept + x @ slope + spread * standard[school]
        pm.StudentT("value", nu=4, mu=mean, sigma=sigma, observed=y, dims="row")
    return model


@pytest.fixture(scope="module")
def robust():
    rng = np.random.default_rng(21)
    import pandas as pd

    school = np.repeat(np.arange(15), 20)
    x = rng.normal(size=300)
    y = 1 + 2 * x + 0.8 * rng.normal(size=15)[school] + 0.5 * rng.standard_t(4, size=300)
    df = pd.DataFrame({"school": school, "x": x, "y": y})
    df.loc[rng.random(300) < 0.3, "y"] = np.nan
    df.loc[school == 14, "y"] = np.nan
    return df, y, school


def test_a_builder_is_enough(robust):
    df, truth, school = robust
    imp = bi.impute(df, cluster="school", m=10, iterations=5, method={"y": student_t}, seed=1)
    assert imp.method["y"] == "student_t"
    h = imp.history.parameters["y"]
    assert set(h) == {"intercept", "slope", "spread", "sigma"}
    assert h["slope"].mean() == pytest.approx(2, abs=0.1)
    assert h["sigma"].mean() == pytest.approx(0.5, abs=0.12)
    missing = df["y"].isna().to_numpy() & (school != 14)
    drawn = np.array([c["y"][missing] for c in imp.complete("all")])
    error = (drawn - truth[missing]).ravel()
    # two t4 errors of scale 0.5 are between them: the quartiles say whether the spread is right
    expected = (
        np.subtract(
            *np.quantile(stats.t.rvs(4, size=(2, 20_000), random_state=2).sum(0), [0.75, 0.25])
        )
        * 0.5
    )
    assert np.subtract(*np.quantile(error, [0.75, 0.25])) == pytest.approx(expected, rel=0.25)
    whole = np.array([c["y"][school == 14].mean() for c in imp.complete("all")])
    assert whole.std() > 0.3  # an unseen school is drawn from the population of schools


def test_data_held_as_constants_are_refused(robust):
    def constant(design):
        with pm.Model() as model:
            sigma = pm.HalfNormal("sigma", 1)
            pm.Normal("value", design.x[:, 0], sigma, observed=design.y)
        return model

    with pytest.raises(bi.SpecificationError, match=r"'y'.*constants.*pm\.Data\('x'"):
        bi.impute(robust[0], cluster="school", m=1, iterations=1, method={"y": constant}, seed=1)


def test_parameters_may_have_the_names_of_data_that_the_model_does_not_take(robust):
    def standardised(design):
        with pm.Model(coords=design.coords) as model:
            x = pm.Data("x", design.x, dims=("row", "predictor"))
            school = pm.Data("cluster_index", design.cluster, dims="row")
            y = pm.Data("y", design.y, dims="row")
            z = pm.Normal("z", dims="cluster")
            spread, sigma = pm.HalfNormal("spread", 2), pm.HalfNormal("sigma", 2)
            slope = pm.Normal("slope", 0, 5, dims="predictor")
            pm.Normal("value", 1 + x @ slope + spread * z[school], sigma, observed=y, dims="row")
        return model

    method = {"y": standardised}
    imp = bi.impute(robust[0], cluster="school", m=2, iterations=2, method=method, seed=1)
    assert imp.history.parameters["y"]["slope"].mean() == pytest.approx(2, abs=0.2)


def test_a_likelihood_called_y_does_not_take_the_place_of_its_data(robust):
    def named(design):
        with pm.Model(coords=design.coords) as model:
            x = pm.Data("x", design.x, dims=("row", "predictor"))
            seen = pm.Data("seen", design.y, dims="row")
            pm.Normal("y", x[:, 0], pm.HalfNormal("sigma", 1), observed=seen, dims="row")
        return model

    with pytest.raises(bi.SpecificationError, match=r"'y'.*pm\.Data\('y', design\.y\)"):
        bi.impute(robust[0], m=1, iterations=1, method={"y": named}, seed=1)


def test_a_builder_that_returns_nothing_is_named(robust):
    with pytest.raises(bi.SpecificationError, match=r"'y'.*returned NoneType.*return model"):
        bi.impute(robust[0], m=1, iterations=1, method={"y": lambda design: None}, seed=1)


def test_discrete_parameters_are_refused(robust):
    def discrete(design):
        with pm.Model() as model:
            pm.Data("x", design.x)
            y = pm.Data("y", design.y)
            which = pm.Bernoulli("which", 0.5)
            pm.Normal("value", which, 1, observed=y)
        return model

    with pytest.raises(bi.SpecificationError, match=r"discrete variable.*which"):
        bi.impute(robust[0], m=1, iterations=1, method={"y": discrete}, seed=1)


def test_a_prior_that_does_not_integrate_out_samples_the_plain_model_and_says_so(robust):
    run = {"cluster": "school", "m": 2, "iterations": 2, "seed": 1, "method": {"y": "normal"}}
    priors = {"y": {"beta": pm.Laplace.dist(0, 3)}}
    imp = bi.impute(robust[0], priors=priors, **run)
    assert "plain model sampled" in set(imp.events["action"])
    drawn = imp.history.imputed["y"]
    assert drawn[0].std() > 0 and not np.array_equal(drawn[0], drawn[1])
    again = bi.impute(robust[0], priors=priors, **run)
    assert np.array_equal(drawn, again.history.imputed["y"])
    assert imp.history.parameters["y"]["beta"].mean() == pytest.approx(2, abs=0.2)
