"""What adapters take is what fits report: standard errors, and degrees of freedom, by package."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import bayesimpute as bi
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import estimates_from
from bayesimpute.pooling.reported import df_of_quantile

N, CLUSTERS = 160, 16


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    x, z, w = rng.normal(size=(3, N))
    g = np.repeat(np.arange(CLUSTERS), N // CLUSTERS)
    y = 1 + x + rng.normal(size=CLUSTERS)[g] + rng.normal(size=N)
    time = rng.exponential(np.exp(-0.5 * x + 0.5 * rng.normal(size=CLUSTERS)[g])) + 0.01
    frame = pd.DataFrame({"g": g, "x": x, "z": z, "w": w, "y": y, "time": time})
    return frame.assign(
        t=np.tile(np.arange(N // CLUSTERS), CLUSTERS), b=(y > 1) * 1,
        c=rng.poisson(np.exp(0.3 * x)), k=rng.integers(0, 3, N), event=(rng.random(N) < 0.6) * 1,
        weight=rng.integers(1, 4, N),
    )  # fmt: skip


def clustered(data):
    return {"cov_type": "cluster", "cov_kwds": {"groups": data["g"]}}


def ordinal(data):
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    return OrderedModel(data["k"], data[["x", "z"]]).fit(disp=0, method="bfgs")


def conditional(data):
    from statsmodels.discrete.conditional_models import ConditionalLogit

    return ConditionalLogit(data["b"], data[["x", "z"]], groups=data["g"]).fit()


def two_stage(data):
    from statsmodels.sandbox.regression.gmm import IV2SLS

    instruments = sm.add_constant(data[["w"]])
    return IV2SLS(data["y"], sm.add_constant(data[["x"]]), instruments).fit()


def zero_inflated(data):
    return sm.ZeroInflatedPoisson(data["c"], sm.add_constant(data[["x"]])).fit(disp=0)


def cox(data, groups=None, **options):
    model = sm.PHReg(data["time"], data[["x", "z"]], status=data["event"], **options)
    return model.fit(groups=groups)


POISSON = sm.families.Poisson()
#: A fit, and the degrees of freedom of complete data: R's df.residual where R has the model.
STATSMODELS = {
    "ols": (lambda d: smf.ols("y ~ x + z", d).fit(), N - 3),
    "HC0": (lambda d: smf.ols("y ~ x + z", d).fit(cov_type="HC0"), N - 3),
    "HC3": (lambda d: smf.ols("y ~ x + z", d).fit(cov_type="HC3"), N - 3),
    "HAC": (lambda d: smf.ols("y ~ x", d).fit(cov_type="HAC", cov_kwds={"maxlags": 2}), N - 2),
    "cluster": (lambda d: smf.ols("y ~ x + z", d).fit(**clustered(d)), CLUSTERS - 1),
    "cluster t": (lambda d: smf.ols("y ~ x", d).fit(**clustered(d), use_t=True), CLUSTERS - 1),
    "logit cluster": (lambda d: smf.logit("b ~ x", d).fit(disp=0, **clustered(d)), CLUSTERS - 1),
    "wls": (lambda d: smf.wls("y ~ x", d, weights=d["weight"]).fit(), N - 2),
    "probit": (lambda d: smf.probit("b ~ x", d).fit(disp=0), N - 2),
    "poisson": (lambda d: smf.poisson("c ~ x", d).fit(disp=0), N - 2),
    "glm scale": (lambda d: smf.glm("c ~ x", d, family=POISSON).fit(scale="X2"), N - 2),
    "gee": (lambda d: smf.gee("y ~ x", "g", d).fit(), N - 2),
    "gee naive": (lambda d: smf.gee("y ~ x", "g", d).fit(cov_type="naive"), N - 2),
    "gee bias": (lambda d: smf.gee("y ~ x", "g", d).fit(cov_type="bias_reduced"), N - 2),
    "quantile": (lambda d: smf.quantreg("y ~ x", d).fit(), N - 2),
    "robust": (lambda d: smf.rlm("y ~ x", d).fit(), N - 2),
    "zip": (zero_inflated, N - 2),
    "ordinal": (ordinal, N - 4),
    "conditional": (conditional, None),
    "two stage": (two_stage, N - 2),
    "cox": (cox, "events"),
    "cox groups": (lambda d: cox(d, groups=d["g"]), "events"),
    "cox strata": (lambda d: cox(d, strata=d["k"]), "events"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STATSMODELS)
def test_standard_errors_and_df_are_those_statsmodels_infers_with(data, name):
    model, df = STATSMODELS[name]
    fit = model(data)
    found = estimates_from(fit)
    np.testing.assert_allclose(found.estimate, fit.params)
    np.testing.assert_allclose(np.sqrt(found.variances), fit.bse)
    assert np.isfinite(found.covariance).all()
    if df == "events":
        df = data["event"].sum() - 2
    if df is not None:
        assert found.df_residual == df


def test_one_equation_an_outcome_is_one_set_of_terms(data):
    fit = smf.mnlogit("k ~ x", data).fit(disp=0)
    found = estimates_from(fit)
    assert found.terms == ("1: Intercept", "1: x", "2: Intercept", "2: x")
    np.testing.assert_allclose(found.estimate, fit.params.to_numpy().T.ravel())
    np.testing.assert_allclose(np.sqrt(found.variances), fit.bse.to_numpy().T.ravel())
    assert found.df_residual == N - 4
    labels = data["k"].map({0: "low", 1: "mid", 2: "top"})
    named = estimates_from(sm.MNLogit(labels, data[["x"]]).fit(disp=0))
    assert named.terms == ("mid: x", "top: x")
    plain = estimates_from(sm.MNLogit(data["k"].to_numpy(), data[["x"]].to_numpy()).fit(disp=0))
    assert plain.terms == ("1: x1", "2: x1")
    np.testing.assert_allclose(plain.covariance, named.covariance)


def test_the_fixed_effects_of_mixedlm_and_lmer_have_the_errors_they_print(data):
    fit = smf.mixedlm("y ~ x", data, groups=data["g"]).fit()
    found = estimates_from(fit)
    np.testing.assert_allclose(np.sqrt(found.variances), fit.bse_fe)
    assert found.df_residual == N - 2 - 2
    for formula, family in (("y ~ x + (1 | g)", None), ("b ~ x + (1 | g)", "binomial")):
        each = bi.fit([data], formula, family=family)[0]
        errors = each.model.tidy().query("effect == 'fixed'")["std.error"].astype(float)
        np.testing.assert_allclose(np.sqrt(each.variances), errors)


def lifelines_cases():
    cox, weibull = ["x", "z", "time", "event"], ["x", "time", "event"]
    return {
        "cox": ("CoxPHFitter", cox, {}, True),
        "cox robust": ("CoxPHFitter", cox, {"robust": True}, False),
        "cox cluster": ("CoxPHFitter", [*cox, "g"], {"cluster_col": "g"}, False),
        "cox weights": ("CoxPHFitter", [*cox, "weight"],
                        {"weights_col": "weight", "robust": True}, False),
        "cox strata": ("CoxPHFitter", [*cox, "k"], {"strata": ["k"]}, True),
        "weibull": ("WeibullAFTFitter", weibull, {}, True),
        "weibull robust": ("WeibullAFTFitter", weibull, {"robust": True}, False),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", lifelines_cases())
def test_standard_errors_are_those_lifelines_prints(data, name):
    import lifelines

    fitter, columns, options, full = lifelines_cases()[name]
    fit = getattr(lifelines, fitter)().fit(data[columns], "time", "event", **options)
    found = estimates_from(fit)
    np.testing.assert_allclose(np.sqrt(found.variances), fit.summary["se(coef)"])
    # the matrix it keeps is the naive one: where the errors differ, covariances are unknown
    assert np.isfinite(found.covariance).all() == full
    if fitter == "CoxPHFitter":
        assert found.df_residual == data["event"].sum() - 2


@pytest.mark.filterwarnings("ignore")
def test_a_partial_likelihood_of_intervals_counts_events_too(data):
    from lifelines import CoxTimeVaryingFitter

    long = data[["x", "time", "event"]].assign(start=0.0, id=range(N))
    fit = CoxTimeVaryingFitter().fit(
        long, id_col="id", event_col="event", start_col="start", stop_col="time"
    )
    assert estimates_from(fit).df_residual == data["event"].sum() - 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_joint_test_on_robust_errors_says_what_is_missing(data):
    from lifelines import CoxPHFitter

    frame = data[["x", "z", "time", "event"]]
    fits = [CoxPHFitter().fit(frame, "time", "event", robust=True)] * 2
    with pytest.raises(AnalysisError, match="needs covariance matrices"):
        bi.D1(fits)


@pytest.mark.filterwarnings("ignore")
def test_pyfixest_is_pooled_with_the_errors_and_df_of_its_vcov(data):
    import pyfixest

    formula, terms = "y ~ x + z | g", ("x", "z")
    for vcov, df in (({"CRV1": "g"}, CLUSTERS - 1), ("iid", N - 2 - CLUSTERS)):
        fit = pyfixest.feols(formula, data, vcov=vcov)
        found = estimates_from(fit)
        assert found.terms == terms
        np.testing.assert_allclose(found.estimate, fit.coef())
        np.testing.assert_allclose(np.sqrt(found.variances), fit.se())
        assert found.df_residual == df
    counts = estimates_from(pyfixest.fepois("c ~ x | g", data))
    assert counts.df_residual is None  # it infers with the normal distribution
    tidy = estimates_from(fit.tidy())
    np.testing.assert_allclose(tidy.variances, found.variances)
    assert tidy.terms == terms
    with pytest.raises(AnalysisError, match=r"several models.*fetch_model\(0\)"):
        estimates_from(pyfixest.feols("y ~ csw(x, z)", data))


def test_the_df_of_an_interval_are_found_from_its_width():
    from scipy import stats

    for df in (1.5, 2.0, 19.0, 197.0, 5000.0):
        assert df_of_quantile(stats.t.ppf(0.975, df)) == pytest.approx(df, rel=1e-9)
    assert df_of_quantile(stats.norm.ppf(0.975)) is None


def test_linearmodels_are_pooled_with_their_errors_and_df(data):
    from linearmodels.iv import IV2SLS
    from linearmodels.panel import PanelOLS, RandomEffects

    panel = data.set_index(["g", "t"])
    y, x = panel["y"], panel[["x", "z"]]
    fits = [
        PanelOLS(y, x, entity_effects=True).fit(cov_type="clustered", cluster_entity=True),
        RandomEffects(y, x).fit(),
        IV2SLS.from_formula("y ~ 1 + x + [z ~ w]", data).fit(cov_type="robust"),
    ]
    for fit in fits:
        found = estimates_from(fit)
        np.testing.assert_allclose(found.estimate, fit.params)
        np.testing.assert_allclose(np.sqrt(found.variances), fit.std_errors)
        np.testing.assert_allclose(found.covariance, fit.cov)
        assert found.df_residual == fit.df_resid


def test_a_covariance_that_is_not_the_one_of_the_printed_errors_is_refused():
    right = pd.DataFrame([[0.04, 0.0], [0.0, 0.09]], ["x", "z"], ["x", "z"])
    fit = SimpleNamespace(
        params=pd.Series({"x": 1.0, "z": 2.0}),
        bse=pd.Series({"z": 0.3, "x": 0.25}),
        cov_params=lambda: right,
    )
    with pytest.raises(AnalysisError, match=r"gives 'x' the standard error 0.2, .* is 0.25"):
        estimates_from(fit)
    fit.bse["x"] = 0.2
    np.testing.assert_array_equal(estimates_from(fit).covariance, right)


def test_a_penalised_fit_has_no_covariance_and_says_so(data):
    with pytest.raises(AnalysisError, match="has params but no covariance"):
        estimates_from(smf.ols("y ~ x", data).fit_regularized())


def test_a_separated_fit_of_any_package_warns_once(data):
    # with t = 1 every outcome is 1: no coefficient of t exists
    frames = [
        pd.DataFrame({"x": data["x"] + k / 9, "t": data["k"] == 1, "g": data["g"]}).assign(
            y=lambda d: ((data["z"] > 0) | d["t"]) * 1, t=lambda d: d["t"] * 1
        )
        for k in range(2)
    ]
    binomial = sm.families.Binomial()
    analyses = {
        "formula": lambda: bi.fit(frames, "y ~ x + t", family="binomial").pool(),
        "glmer": lambda: bi.fit(frames, "y ~ x + t + (1 | g)", family="binomial").pool(),
        "logit": lambda: bi.fit(frames, lambda d: smf.logit("y ~ x + t", d).fit(disp=0)).pool(),
        "early": lambda: bi.fit(
            frames, lambda d: smf.probit("y ~ x + t", d).fit(disp=0, method="bfgs")
        ).pool(),
        "list": lambda: bi.pool(
            [smf.glm("y ~ x + t", d, family=binomial).fit() for d in frames]
        ),
    }  # fmt: skip
    for name, analysis in analyses.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            analysis()
        told = [str(each.message) for each in caught if "separat" in str(each.message).lower()]
        if name == "list":  # statsmodels warned itself, when the user fitted
            told = [text for text in told if text.startswith("Analysis")]
        assert len(told) == 1, (name, told)
        assert "all imputations: the outcome is separated by 't':" in told[0], name
