"""Fits of lifelines, posteriors, and estimators of scikit-learn, as pooling takes them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesimpute as bi
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import estimates_from

# lifelines uses what Python and pandas will give up; fit passes what it hears on
LIFELINES = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Analysis of"),
]


def of_lifelines(test):
    for mark in LIFELINES:
        test = mark(test)
    return test


class LeastSquares:
    """An estimator as scikit-learn has them, without what takes its own longer."""

    def fit(self, X, y):
        self.coef = np.linalg.lstsq(self.design(X), y.to_numpy(), rcond=None)[0]
        return self

    def predict(self, X):
        return self.design(X) @ self.coef

    @staticmethod
    def design(X):
        return np.column_stack([np.ones(len(X)), X.to_numpy()])


@pytest.fixture(scope="module")
def survival():
    """Three completed data sets with times, events and a predictor that was imputed."""
    rng = np.random.default_rng(2)
    n = 120
    x = rng.normal(size=n)
    time = rng.exponential(np.exp(-0.5 * x))
    frame = pd.DataFrame({"x": x, "z": rng.normal(size=n), "time": time})
    frame["event"] = rng.random(n) < 0.7
    gone = np.arange(n) % 4 == 0
    return [frame.assign(x=np.where(gone, x + rng.normal(0, 0.5, n), x)) for _ in range(3)]


@of_lifelines
def test_cox_regression_gives_its_partial_likelihoods_numbers(survival):
    import statsmodels.api as sm
    from lifelines import CoxPHFitter

    frame = survival[0]
    found = estimates_from(CoxPHFitter().fit(frame, "time", "event"))
    # an independent package, the same partial likelihood (no ties)
    other = sm.PHReg(frame["time"], frame[["x", "z"]], status=frame["event"]).fit()
    assert found.terms == ("x", "z")
    assert found.estimate == pytest.approx(other.params, rel=1e-4)
    assert np.sqrt(found.variances) == pytest.approx(other.bse, rel=1e-4)
    assert found.log_likelihood == pytest.approx(other.llf, rel=1e-6)
    assert found.df_residual == frame["event"].sum() - 2


@of_lifelines
def test_cox_regressions_are_pooled_with_events_as_observations(survival):
    from lifelines import CoxPHFitter

    pooled = bi.fit(survival, lambda data: CoxPHFitter().fit(data, "time", "event")).pool()
    assert pooled.dfcom == survival[0]["event"].sum() - 2
    assert 0 < pooled.table.loc["x", "fmi"] < 1
    assert pooled.covariance.loc["x", "z"] != 0


@of_lifelines
def test_accelerated_failure_times_name_each_linear_predictor(survival):
    from lifelines import WeibullAFTFitter, WeibullFitter

    model = WeibullAFTFitter().fit(survival[0], "time", "event")
    found = estimates_from(model)
    assert found.terms == ("lambda_:x", "lambda_:z", "lambda_:Intercept", "rho_:Intercept")
    assert np.allclose(np.sqrt(found.variances), model.summary["se(coef)"])
    assert found.df_residual == 120 - 4
    alone = WeibullFitter().fit(survival[0]["time"], survival[0]["event"])
    assert np.allclose(np.sqrt(estimates_from(alone).variances), alone.summary["se(coef)"])


def posterior(n=4000, seed=1):
    rng = np.random.default_rng(seed)
    beta = rng.multivariate_normal([1.0, -2.0], [[1.0, 0.6], [0.6, 4.0]], size=(2, n))
    sigma = rng.gamma(50, 0.1, (2, n))
    return xr.Dataset(
        {"beta": (("chain", "draw", "term"), beta), "sigma": (("chain", "draw"), sigma)},
        coords={"term": ["x", "z"]},
    )


def test_a_posterior_gives_its_mean_and_covariance():
    draws = posterior()
    found = estimates_from(draws)
    assert found.terms == ("beta[x]", "beta[z]", "sigma")
    assert found.estimate == pytest.approx([1, -2, 5], abs=0.1)
    assert found.covariance[:2, :2] == pytest.approx(np.array([[1, 0.6], [0.6, 4]]), rel=0.1)
    assert found.df_residual is None
    tree = xr.DataTree.from_dict({"posterior": draws})
    old = SimpleNamespace(posterior=draws)  # ArviZ's InferenceData before version 1
    for other in (tree, old):
        assert np.array_equal(estimates_from(other).covariance, found.covariance)


def test_draws_that_rubins_rules_cannot_use_are_refused():
    with pytest.raises(AnalysisError, match="single draw"):
        estimates_from(posterior().isel(chain=[0], draw=[0]))
    with pytest.raises(AnalysisError, match="Dataset without the dimensions chain and draw"):
        estimates_from(xr.Dataset({"beta": ("sample", np.arange(3.0))}))


def test_coefficients_without_a_covariance_are_refused_with_what_to_do():
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeRegressor

    for estimator, what in ((LinearRegression(), "no covariance"), (DecisionTreeRegressor(), "")):
        fitted = estimator.fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0])
        with pytest.raises(AnalysisError, match=rf"{what}.*bi.pool_predictions\(imp"):
            estimates_from(fitted)


@pytest.mark.slow
def test_an_unfitted_bambi_model_is_refused_with_what_to_do():
    bambi = pytest.importorskip("bambi")
    frame = pd.DataFrame({"x": np.arange(10.0), "y": np.arange(10.0) ** 2})
    with pytest.raises(AnalysisError, match=r"not fitted; return what model.fit"):
        estimates_from(bambi.Model("y ~ x", frame))


@pytest.fixture(scope="module")
def regressions():
    rng = np.random.default_rng(3)
    n = 80
    x, z = rng.normal(size=(2, n))
    frame = pd.DataFrame({"x": x, "z": z, "y": 1 + x - z + rng.normal(size=n)})
    gone = np.arange(n) % 3 == 0
    return [frame.assign(x=np.where(gone, x + rng.normal(size=n), x)) for _ in range(5)]


def test_predictions_are_averaged_and_their_spread_is_between_imputations(regressions):
    from sklearn.linear_model import LinearRegression

    new = pd.DataFrame({"z": [0.0, 1.0], "x": [1.0, 2.0]}, index=["a", "b"])
    found = bi.pool_predictions(regressions, LinearRegression(), "y", new=new)
    columns = ["x", "z"]
    each = [LinearRegression().fit(f[columns], f["y"]).predict(new[columns]) for f in regressions]
    assert list(found.index) == ["a", "b"]
    assert found["prediction"].to_numpy() == pytest.approx(np.mean(each, axis=0))
    assert found["between_sd"].to_numpy() == pytest.approx(np.std(each, axis=0, ddof=1))
    assert list(found.columns) == ["prediction", "between_sd"]


def test_bootstrap_errors_are_those_of_the_regression(regressions):
    import statsmodels.formula.api as smf

    new = pd.DataFrame({"x": [0.0], "z": [0.0]})
    options = {"new": new, "bootstrap": 40, "seed": 4}
    found = bi.pool_predictions(regressions, LeastSquares(), "y", **options).loc[0]
    ols = bi.fit(regressions, lambda data: smf.ols("y ~ x + z", data).fit()).pool(np.inf).table
    assert found["prediction"] == pytest.approx(ols.loc["Intercept", "estimate"])
    assert found["std_error"] == pytest.approx(ols.loc["Intercept", "std_error"], rel=0.15)
    assert found["conf_low"] < found["prediction"] < found["conf_high"]
    again = bi.pool_predictions(regressions, LeastSquares(), "y", **options).loc[0]
    assert again.equals(found)


def test_clusters_are_resampled_whole(regressions):

    # eight copies of ten rows hold no more than ten rows
    frames = [pd.concat([f.iloc[:10].assign(g=range(10))] * 8) for f in regressions]
    frames = [frame.reset_index(drop=True) for frame in frames]
    new = pd.DataFrame({"x": [0.0], "z": [0.0]})
    options = {"new": new, "predictors": ["x", "z"], "bootstrap": 30, "seed": 1}
    rows, clusters = (
        bi.pool_predictions(frames, LeastSquares(), "y", cluster=g, **options)["std_error"][0]
        for g in (None, "g")
    )
    assert clusters > 1.5 * rows


def test_probabilities_of_classes_are_averaged_for_the_rows_of_the_data(regressions):
    from sklearn.linear_model import LogisticRegression

    frames = [f.assign(y=np.where(f["y"] > 1, "high", "low")) for f in regressions]
    found = bi.pool_predictions(frames, LogisticRegression(), "y", response="predict_proba")
    assert found.index.names == ["row", "class"]
    assert found.xs(7)["prediction"].sum() == pytest.approx(1)
    each = [LogisticRegression().fit(f[["x", "z"]], f["y"]).predict_proba(f[["x", "z"]])[7]
            for f in frames]  # fmt: skip
    assert found.loc[(7, "low"), "prediction"] == pytest.approx(np.mean(each, axis=0)[1])
    with pytest.raises(AnalysisError, match=r"labels of classes.*response='predict_proba'"):
        bi.pool_predictions(frames, LogisticRegression(), "y")


def test_the_users_estimator_stays_unfitted(regressions):
    from sklearn.linear_model import LinearRegression

    estimator = LinearRegression()
    bi.pool_predictions(regressions, estimator, "y")
    assert not hasattr(estimator, "coef_")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "yy"}, "no column 'yy'.*'y'"),
        ({"predictors": ["x", "w"]}, "no column 'w'"),
        ({"new": pd.DataFrame({"x": [1.0]})}, "new has no column 'z'"),
        ({"response": "predict_proba"}, "no method 'predict_proba'"),
        ({"bootstrap": 1}, "2 refits"),
        ({"conf_level": 95}, "conf_level=95 must be a number from 0 to 1"),
    ],
)
def test_predictions_that_cannot_be_made_are_refused(regressions, arguments, message):
    from sklearn.linear_model import LinearRegression

    given = {"target": "y", **arguments}
    with pytest.raises(AnalysisError, match=message):
        bi.pool_predictions(regressions, LinearRegression(), **given)


def test_a_fit_that_fails_says_in_which_imputation(regressions):
    from sklearn.linear_model import LinearRegression

    frames = [f.copy() for f in regressions]
    frames[2].loc[0, "x"] = np.nan
    with pytest.raises(AnalysisError, match=r"imputation 3 failed: ValueError: .*NaN"):
        bi.pool_predictions(frames, LinearRegression(), "y")
    with pytest.raises(AnalysisError, match="two or more completed frames"):
        bi.pool_predictions(frames[:1], LinearRegression(), "y")
