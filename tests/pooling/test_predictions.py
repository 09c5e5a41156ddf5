"""Pooled predictions: mice's numbers, models of every kind, and new rows that do not fit.

Numbers that stand in this file were computed with R 4.2.2 and mice 3.15.0.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

import bayesimpute as bi
from bayesimpute.errors import AnalysisError

EXACT = {"rtol": 1e-8, "atol": 0}
SINGULAR = pytest.mark.filterwarnings("ignore:Analysis of .*(singular|converge)")


@pytest.fixture(scope="module")
def nhanes(reference_table):
    long = reference_table("nhanes_imputed_long").assign(h=lambda data: data["hyp"] - 1)
    return [frame.reset_index(drop=True) for _, frame in long.groupby(".imp")]


@pytest.fixture(scope="module")
def clustered():
    """Three completed data sets of 12 clusters with text, categories and a slope."""
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.uniform(1, 3, 120)})
    frame["sex"] = np.where(rng.random(120) < 0.5, "girl", "boy")
    frame["grade"] = pd.Categorical(np.arange(120) % 3, categories=[0, 1, 2])
    effects = rng.normal(size=(2, 12))[:, frame["g"]]
    frame["y"] = 1 + frame["x"] * (1 + effects[1]) + effects[0] + rng.normal(size=120)
    return [frame.assign(y=frame["y"] + 0.3 * rng.normal(size=120)) for _ in range(3)]


NEW = pd.DataFrame({"age": [1, 3], "bmi": [25, 30], "hyp": [1, 2]}, index=["young", "old"])
# pool.scalar of predict.lm: mean, standard error, df; and of an observation, with limits.
OF_R = {
    np.inf: (
        [
            [159.5288250741881, 16.91057395058945, 12.79913290703296],
            [248.7012738208381, 20.55652226263441, 113.033880091923],
        ],
        [
            [39.11849850915569, 366.5015911334089, 82.60394879328382, 236.4537013550924],
            [40.82719708486789, 1758.767068499925, 168.6263318760417, 328.7762157656344],
        ],
    ),
    21: (
        [
            [159.5288250741881, 16.91057395058945, 5.103709238548755],
            [248.7012738208381, 20.55652226263441, 13.73032704400533],
        ],
        [
            [39.11849850915569, 16.4645171477654, 76.79105694620253, 242.2665932021737],
            [40.82719708486789, 18.14286405354195, 162.9749040788383, 334.4276435628378],
        ],
    ),
}


@pytest.mark.parametrize("dfcom", [np.inf, 21])
def test_predictions_of_linear_models_are_those_of_mice(nhanes, dfcom):
    fits = bi.fit(nhanes, "chl ~ age + bmi + hyp")
    means, observations = OF_R[dfcom]
    found = fits.predict(NEW, dfcom=dfcom)
    assert list(found.index) == ["young", "old"]
    assert list(found.columns) == ["estimate", "std_error", "df", "conf_low", "conf_high", "fmi"]
    np.testing.assert_allclose(found[["estimate", "std_error", "df"]], means, **EXACT)
    found = fits.predict(NEW, level="observation", dfcom=dfcom)
    shown = found[["std_error", "df", "conf_low", "conf_high"]]
    np.testing.assert_allclose(shown, observations, **EXACT)


def test_without_dfcom_the_residual_df_of_the_fits_are_taken(nhanes):
    fits = bi.fit(nhanes, "chl ~ age + bmi + hyp")
    pd.testing.assert_frame_equal(fits.predict(NEW), fits.predict(NEW, dfcom=21))
    narrow = fits.predict(NEW, 0.5)
    half = stats.t.ppf(0.75, narrow["df"]) * narrow["std_error"]
    np.testing.assert_allclose(narrow["conf_high"] - narrow["estimate"], half)


def test_new_rows_may_differ_between_imputations(nhanes):
    fits = bi.fit(nhanes, "chl ~ age + bmi + hyp")
    same = fits.predict([NEW] * 5)
    pd.testing.assert_frame_equal(same, fits.predict(NEW))
    shifts = [0, 4, -2, 1, 0]
    found = fits.predict([NEW.assign(bmi=NEW["bmi"] + shift) for shift in shifts])
    means = [
        each.estimate @ [1, 3, 30 + shift, 2] for each, shift in zip(fits, shifts, strict=True)
    ]
    np.testing.assert_allclose(found.loc["old", "estimate"], np.mean(means))


def test_each_imputation_is_predicted_by_its_own_fit(nhanes):
    fits = bi.fit(nhanes, "chl ~ log(bmi) + factor(age)")
    rows = pd.DataFrame({"bmi": [25.0, 30.0], "age": [3, 1]})
    by_hand = [
        smf.ols("chl ~ np.log(bmi) + C(age)", frame).fit().get_prediction(rows) for frame in nhanes
    ]
    expected = bi.pool([p.predicted_mean for p in by_hand], [p.se_mean**2 for p in by_hand], 21)
    found = fits.predict(rows)
    np.testing.assert_allclose(found["estimate"], expected.table["estimate"])
    np.testing.assert_allclose(found["std_error"], expected.table["std_error"])


def test_generalized_models_are_pooled_on_the_link_and_shown_on_the_response(nhanes):
    fits = bi.fit(nhanes, "h ~ age + bmi", family="binomial")
    link, response = fits.predict(NEW, scale="link"), fits.predict(NEW)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(response[name], 1 / (1 + np.exp(-link[name])))
    slope = response["estimate"] * (1 - response["estimate"])
    np.testing.assert_allclose(response["std_error"], slope * link["std_error"], rtol=1e-6)
    x = np.column_stack([np.ones(2), NEW["age"], NEW["bmi"]])
    expected = bi.pool(
        [x @ each.estimate for each in fits], [np.diag(x @ e.covariance @ x.T) for e in fits], 22
    )
    np.testing.assert_allclose(link["std_error"], expected.table["std_error"])
    discrete = bi.fit(nhanes, lambda d: smf.logit("h ~ age + bmi", d).fit(disp=0))
    np.testing.assert_allclose(discrete.predict(NEW, dfcom=22), response, rtol=1e-5)


@SINGULAR
def test_mixed_models_predict_by_their_fixed_part(clustered):
    fits = bi.fit(clustered, "y ~ x + sex + (1 + x | g)")
    rows = pd.DataFrame({"x": [1.0, 2.0], "sex": ["girl", "boy"]})
    x = np.array([[1, 1, 1], [1, 2, 0]])
    covariances = np.array([each.covariance for each in fits])
    dfcom = fits.pool().dfcom
    means = [x @ each.estimate for each in fits]
    variances = np.array([np.diag(x @ u @ x.T) for u in covariances])
    expected = bi.pool(means, variances, dfcom).table
    found = fits.predict(rows)
    np.testing.assert_allclose(found["estimate"], expected["estimate"])
    np.testing.assert_allclose(found["std_error"], expected["std_error"])
    # An observation of a new cluster has the variance of its intercept and slope too.
    z = x[:, :2]
    for i, each in enumerate(fits):
        parts = each.variance_components
        between = np.array([
            [parts["Intercept~~Intercept|g"], parts["Intercept~~x|g"]],
            [parts["Intercept~~x|g"], parts["x~~x|g"]],
        ])  # fmt: skip
        variances[i] += np.diag(z @ between @ z.T) + parts["Residual~~Residual"]
    expected = bi.pool(means, variances, dfcom).table
    found = fits.predict(rows, level="observation")
    np.testing.assert_allclose(found["std_error"], expected["std_error"], rtol=1e-6)
    with_cluster = fits.predict(rows.assign(g=[0, 1]), level="observation")
    np.testing.assert_allclose(with_cluster, found)


@pytest.mark.parametrize("random", ["", " + (1 | g)"])
def test_new_rows_need_not_have_every_category(clustered, random):
    fits = bi.fit(clustered, f"y ~ grade + factor(sex) + log(x){random}")
    one = pd.DataFrame({"grade": pd.Categorical([2]), "sex": ["girl"], "x": [2.0]})
    all_rows = clustered[0].assign(x=2.0)
    every = fits.predict(all_rows)
    at = np.flatnonzero((all_rows["grade"] == 2) & (all_rows["sex"] == "girl"))[0]
    np.testing.assert_allclose(fits.predict(one).iloc[0], every.iloc[at])


@SINGULAR
def test_generalized_mixed_models_predict_for_a_typical_cluster(clustered):
    frames = [frame.assign(high=(frame["y"] > 3) * 1) for frame in clustered]
    fits = bi.fit(frames, "high ~ x + (1 | g)", family="binomial")
    link = np.mean([each.estimate @ [1, 2] for each in fits])
    found = fits.predict(pd.DataFrame({"x": [2.0]}))
    np.testing.assert_allclose(found["estimate"], 1 / (1 + np.exp(-link)))


@pytest.mark.parametrize(
    ("rows", "options", "text"),
    [
        (NEW.drop(columns="bmi"), {}, "names 'bmi', which is no column"),
        (NEW.assign(bmi=np.nan), {}, "'bmi' of the new rows has 2 missing values"),
        (NEW.assign(group="z"), {}, "cannot be predicted"),
        ([NEW] * 2, {}, "for each of the 5 fits .in a list., not list of 2"),
        (NEW.head(0), {}, "at least one"),
        (3, {}, "newdata=3 must be a pandas DataFrame, or a list"),
        (NEW, {"level": "row"}, "level='row' must be 'mean' or 'observation'"),
        (NEW, {"scale": "links"}, "Did you mean 'link'"),
        (NEW, {"interval": 95}, "from 0 to 1 .ends excluded"),
    ],
)
def test_new_rows_that_do_not_fit_get_one_clear_sentence(nhanes, rows, options, text):
    frames = [frame.assign(group=np.where(frame["age"] == 1, "a", "b")) for frame in nhanes]
    fits = bi.fit(frames, "chl ~ bmi + group")
    given = rows
    if isinstance(rows, pd.DataFrame) and "group" not in rows:
        given = rows.assign(group="a")
    with pytest.raises(AnalysisError, match=text):
        fits.predict(given, **options)


def test_intervals_of_observations_and_models_without_predictions_are_refused(nhanes):
    with pytest.raises(AnalysisError, match="normal models"):
        bi.fit(nhanes, "h ~ age", family="binomial").predict(NEW, level="observation")
    with pytest.raises(AnalysisError, match="does not predict with standard errors"):
        bi.fit(nhanes, lambda d: {"coef": d["chl"].mean(), "se": d["chl"].sem()}).predict(NEW)


@pytest.mark.filterwarnings("ignore")
def test_models_of_counts_are_shown_on_the_response_too(clustered):
    rng = np.random.default_rng(2)
    share = [2 / (2 + np.exp(each["x"])) for each in clustered]
    pairs = zip(clustered, share, strict=True)
    frames = [each.assign(n=rng.negative_binomial(2, p)) for each, p in pairs]
    new = pd.DataFrame({"x": [1.5, 2.5]})
    for model in (sm.NegativeBinomial, sm.NegativeBinomialP, sm.GeneralizedPoisson):
        fits = bi.fit(frames, lambda data, of=model: of.from_formula("n ~ x", data).fit(disp=0))
        means = np.log([each.model.predict(new) for each in fits])
        np.testing.assert_allclose(fits.predict(new)["estimate"], np.exp(means.mean(axis=0)))
        np.testing.assert_allclose(fits.predict(new, scale="link")["estimate"], means.mean(axis=0))


@pytest.mark.filterwarnings("ignore")
def test_an_expected_outcome_of_an_unknown_link_is_no_linear_predictor(clustered):
    rng = np.random.default_rng(2)
    frames = [each.assign(n=rng.poisson(np.exp(each["x"]))) for each in clustered]
    of = sm.ZeroInflatedPoisson.from_formula
    fits = bi.fit(frames, lambda data: of("n ~ x", data).fit(disp=0))
    with pytest.raises(AnalysisError, match=r"ZeroInflatedPoisson is not known here; .*'link'"):
        fits.predict(pd.DataFrame({"x": [1.5]}))
