"""R², correlations, covariances, F and χ², analysis of variance: numbers of R, and errors.

Numbers that stand in this file were computed with R 4.2.2 and mice 3.15.0.
"""

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats

import bayesimpute as bi
from bayesimpute.errors import AnalysisError

EXACT = {"rtol": 1e-8, "atol": 0}
AGE_CHL = {"variables": ["age", "chl"]}


@pytest.fixture(scope="module")
def nhanes(reference_table):
    long = reference_table("nhanes_imputed_long")
    return [f.reset_index(drop=True)[["age", "bmi", "hyp", "chl"]] for _, f in long.groupby(".imp")]


@pytest.fixture(scope="module")
def fits(nhanes):
    return bi.fit(nhanes, "chl ~ age + bmi")


def test_the_summary_of_mice_is_reproduced(fits, reference):
    pooled = fits.pool()
    for row in reference("mice_pool")["pool_lm"]["summary"]:
        expected = [
            row[name]
            for name in ("estimate", "std.error", "statistic", "df", "p.value", "2.5 %", "97.5 %")
        ]
        found = pooled.summary().loc[row["term"]].iloc[:7]
        np.testing.assert_allclose(found, expected, **EXACT)


def test_fits_of_mice_are_reproduced_in_every_number(fits, reference):
    for each, expected in zip(
        fits, reference("mice_pool")["pool_lm"]["per_imputation"], strict=True
    ):
        np.testing.assert_allclose(each.estimate, list(expected["estimate"].values()), **EXACT)
        errors = list(expected["std.error"].values())
        np.testing.assert_allclose(np.sqrt(each.variances), errors, **EXACT)
        model = each.model
        shown = [np.sqrt(model.scale), model.rsquared, model.rsquared_adj, model.df_resid]
        wanted = [expected[name] for name in ("sigma", "r2", "adjr2", "df.residual")]
        np.testing.assert_allclose(shown, wanted, **EXACT)


@pytest.mark.parametrize(
    ("adjusted", "key"), [(False, "pool_r_squared"), (True, "pool_r_squared_adj")]
)
def test_pool_r_squared_of_mice_is_reproduced(fits, reference, adjusted, key):
    found = bi.pool_r_squared(fits, adjusted=adjusted)
    np.testing.assert_allclose(found.iloc[0], reference("mice_pool")["pool_lm"][key], **EXACT)
    assert list(found.columns) == ["estimate", "conf_low", "conf_high", "fmi"]


def test_an_interval_of_r_squared_does_not_turn_back_at_zero(nhanes):
    weak = bi.pool_r_squared(bi.fit(nhanes, "chl ~ hyp"))
    assert weak["conf_low"].item() == 0
    assert 0 < weak["estimate"].item() < weak["conf_high"].item() < 1


def test_r_squared_needs_linear_models_and_a_root(nhanes):
    poisson = bi.fit(nhanes, "age ~ bmi", family="poisson")
    for fits in (poisson, poisson.pool()):
        with pytest.raises(AnalysisError, match="GLMResultsWrapper has no R²"):
            bi.pool_r_squared(fits)
    with pytest.raises(AnalysisError, match=r"of imputation 1 is 1; .* below 1"):
        bi.pool_r_squared(bi.fit([f.assign(chl=f["bmi"] * 2) for f in nhanes], "chl ~ bmi"))
    with pytest.raises(AnalysisError, match="numbers were pooled"):
        bi.pool_r_squared(bi.pool([1.0, 2.0], [0.1, 0.1]))


def test_an_adjusted_r_squared_below_zero_keeps_its_sign(nhanes):
    rng = np.random.default_rng(4)
    frames = [frame.assign(chl=rng.normal(size=25)) for frame in nhanes]
    fits = bi.fit(frames, "chl ~ age + bmi + hyp")
    shares = np.array([each.model.rsquared_adj for each in fits])
    assert shares.min() < 0 < shares.max()
    z = np.sign(shares) * np.arctanh(np.sqrt(np.abs(shares)))  # mice 3.19's pool.r.squared
    pooled = bi.pool(z, np.full(5, 1 / 22)).table.iloc[0]
    found = bi.pool_r_squared(fits, adjusted=True).iloc[0]
    ends = pooled["estimate"] + np.array([0, -1.96, 1.96]) * pooled["std_error"]
    np.testing.assert_allclose(found.iloc[:3], np.sign(ends) * np.tanh(ends) ** 2)
    assert found["conf_low"] < found["estimate"] < found["conf_high"]


def test_r_squared_comes_from_the_pooled_object_too(fits):
    pooled = fits.pool()
    for adjusted in (False, True):
        of_fits = bi.pool_r_squared(fits, adjusted)
        assert bi.pool_r_squared(pooled, adjusted).equals(of_fits)
        assert bi.pool_r_squared([each.model for each in fits], adjusted).equals(of_fits)
    assert list(pooled.r_squared.index) == ["R²", "adjusted R²"]
    np.testing.assert_allclose(pooled.r_squared.loc[["R²"]], bi.pool_r_squared(fits))


def test_correlations_are_pooled_as_in_r(nhanes):
    found = bi.pool_correlation(nhanes).loc[("bmi", "chl")]
    expected = [0.2802931395017133, 0.2880001775096859, 0.2416361333768003, 81.52241044544202]
    np.testing.assert_allclose(found[["estimate", "z", "z_std_error", "df"]], expected, **EXACT)
    np.testing.assert_allclose(found["statistic"], found["z"] / found["z_std_error"])
    half = stats.t.ppf(0.975, found["df"]) * found["z_std_error"]
    limits = np.tanh([found["z"] - half, found["z"] + half])
    np.testing.assert_allclose(found[["conf_low", "conf_high"]].astype(float), limits)


def test_each_pair_comes_once_and_variables_can_be_chosen(nhanes):
    assert len(bi.pool_correlation(nhanes)) == 6
    chosen = bi.pool_correlation(dict(enumerate(nhanes)), ["chl", "age"])
    assert list(chosen.index) == [("chl", "age")]
    both = bi.pool_correlation(nhanes).loc[("age", "chl")]
    np.testing.assert_allclose(chosen.iloc[0].astype(float), both.astype(float))


def test_rank_correlations_have_a_larger_variance(nhanes):
    found = bi.pool_correlation(nhanes, ["bmi", "chl"], "spearman")
    rho = [stats.spearmanr(frame["bmi"], frame["chl"]).statistic for frame in nhanes]
    expected = bi.pool(np.arctanh(rho), np.full(5, 1.06 / 22)).table
    np.testing.assert_allclose(found["z"], expected["estimate"])
    np.testing.assert_allclose(found["z_std_error"], expected["std_error"])


def test_partial_correlations_are_those_of_residuals(nhanes):
    found = bi.pool_correlation(nhanes, ["bmi", "chl"], partial=["age", "hyp"])
    r = []
    for frame in nhanes:
        residuals = [smf.ols(f"{y} ~ age + hyp", frame).fit().resid for y in ("bmi", "chl")]
        r.append(np.corrcoef(*residuals)[0, 1])
    expected = bi.pool(np.arctanh(r), np.full(5, 1 / 20)).table
    np.testing.assert_allclose(found["z"], expected["estimate"])
    np.testing.assert_allclose(found["z_std_error"], expected["std_error"])


def test_covariances_come_with_variances_and_normal_errors(nhanes):
    found = bi.pool_covariance(nhanes, ["bmi", "chl"])
    assert list(found.index) == [("bmi", "bmi"), ("bmi", "chl"), ("chl", "chl")]
    variances = np.array([frame["bmi"].var() for frame in nhanes])
    expected = bi.pool(variances, 2 * variances**2 / 24, 24).table
    np.testing.assert_allclose(found.iloc[0]["std_error"], expected["std_error"])
    mixed = np.mean([np.cov(frame["bmi"], frame["chl"])[0, 1] for frame in nhanes])
    np.testing.assert_allclose(found.loc[("bmi", "chl"), "estimate"], mixed)


@pytest.mark.parametrize(
    ("change", "options", "text"),
    [
        (lambda f: f, {"variables": ["bmi", "ch"]}, "no column 'ch'"),
        (lambda f: f[["bmi"]], {}, r"numeric columns: \['bmi'\]; .* two columns or more"),
        (lambda f: f.assign(chl="high"), {"variables": ["bmi", "chl"]}, "'chl' is not numeric"),
        (lambda f: f.assign(chl=1.0), {}, "'chl' is constant in imputation 1"),
        (lambda f: f.assign(chl=2 * f["bmi"]), {}, "perfectly correlated in imputation 1"),
        (lambda f: f.assign(bmi=f["bmi"].where(f.index > 0)), {}, "missing or infinite"),
        (lambda f: f.head(3).assign(age=[2, 1, 3], chl=[1, 2, 4]), AGE_CHL, "at least 4 rows"),
        (lambda f: f, {"method": "kendall"}, "method='kendall' must be 'pearson' or 'spearman'"),
        (lambda f: f, {"variables": ["age", "bmi"], "partial": ["age"]}, "held constant"),
    ],
)
def test_correlations_that_do_not_exist_get_one_clear_sentence(nhanes, change, options, text):
    with pytest.raises(AnalysisError, match=text):
        bi.pool_correlation([change(frame) for frame in nhanes], **options)


def test_data_that_are_no_frames_are_refused():
    with pytest.raises(AnalysisError, match="list of their completed data frames"):
        bi.pool_correlation(3)


def test_chi_squares_of_the_linear_models_are_mitmls_d2(nhanes, fits, reference):
    restriction = np.eye(3)[1:]
    f = [float(each.model.f_test(restriction).fvalue) for each in fits]
    expected = reference("mitml_tests")["testModels_lm"]["D2_wald"]["test"]
    for found in (bi.pool_F(f, 2), bi.pool_chi2(np.multiply(f, 2), 2)):
        shown = [found.statistic, found.df1, found.df2, found.p_value, found.riv]
        np.testing.assert_allclose(shown, expected, **EXACT)


def test_equal_statistics_are_referred_to_their_chi_square():
    found = bi.pool_chi2([6.0, 6.0, 6.0], 2)
    assert (found.statistic, found.df2, found.riv) == (3.0, np.inf, 0.0)
    np.testing.assert_allclose(found.p_value, stats.chi2.sf(6, 2))
    assert "F(2, ∞) = 3.000" in repr(found)


@pytest.mark.parametrize(
    ("statistics", "df", "text"),
    [
        ([1.0], 1, "at least 2 imputations"),
        ([1.0, -1.0], 1, "imputation 2 is -1"),
        ([1.0, np.nan], 1, "imputation 2 is nan"),
        ([1.0, 2.0], 0, r"df1?=0 must be a number above 0"),
        (["a", "b"], 1, "must be numbers"),
    ],
)
def test_statistics_that_cannot_be_pooled_get_one_clear_sentence(statistics, df, text):
    for function in (bi.pool_chi2, bi.pool_F):
        with pytest.raises(AnalysisError, match=text):
            function(statistics, df)


#: F of each imputation of anova(lm(chl ~ age + bmi + hyp)) in R, and the mean sums of squares.
F_OF_R = {
    "age": [
        *(6.605316941934282, 8.575856099673413, 4.148378024896758),
        *(20.99517895744193, 2.739949458013439),
    ],
    "bmi": [
        *(1.574616674559274, 8.078384396738716, 7.637094607322733),
        *(22.61629066533396, 9.694622633708896),
    ],
    "hyp": [
        *(0.2198022858227425, 0.4066456753015889, 0.06441337797492264),
        *(0.05725282240600228, 1.919701558047801),
    ],
}
SQUARES_OF_R = [8969.853410628015, 10215.96391414189, 699.1129755083936, 26130.07769972169]


def test_an_analysis_of_variance_pools_the_tests_of_r(nhanes):
    table = bi.fit(nhanes, "chl ~ age + bmi + hyp").anova(1)
    assert list(table.index) == ["age", "bmi", "hyp", "Residual"]
    np.testing.assert_allclose(table["sum_sq"], SQUARES_OF_R, **EXACT)
    for term, f in F_OF_R.items():
        test = bi.pool_F(f, 1)
        np.testing.assert_allclose(table.loc[term, "statistic"], test.statistic, **EXACT)
        np.testing.assert_allclose(table.loc[term, "p_value"], test.p_value, **EXACT)
    np.testing.assert_allclose(table["eta_squared"].sum(), 1)
    share = SQUARES_OF_R[0] / (SQUARES_OF_R[0] + SQUARES_OF_R[3])
    np.testing.assert_allclose(table.loc["age", "partial_eta_squared"], share, **EXACT)


def test_terms_of_several_columns_are_tested_together(nhanes):
    frames = [frame.assign(agegroup=frame["age"].map({1: "a", 2: "b", 3: "c"})) for frame in nhanes]
    table = bi.pool_anova(bi.fit(frames, "chl ~ agegroup + log(bmi)"))
    assert list(table.index) == ["agegroup", "log(bmi)", "Residual"]
    assert table.loc["agegroup", "df1"] == 2
    third = bi.pool_anova(bi.fit(frames, "chl ~ C(agegroup, Sum) + bmi"), 3)
    assert len(third) == 3


def test_an_analysis_of_variance_needs_linear_models(nhanes):
    with pytest.raises(AnalysisError, match="no sums of squares"):
        bi.pool_anova(bi.fit(nhanes, "age ~ bmi", family="poisson"))
    with pytest.raises(AnalysisError, match="must be 1, 2 or 3"):
        bi.pool_anova(bi.fit(nhanes, "chl ~ bmi"), 4)
