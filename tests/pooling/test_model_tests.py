"""D1 to D4: the numbers of mitml and mice, what must hold between the tests, and errors.

Numbers that stand in this file were computed with R 4.2.2, mice 3.15.0 and lme4 1.1-31.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

import bayesimpute as bi
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling import model_tests
from bayesimpute.pooling.estimates import estimates_from
from bayesimpute.pooling.likelihood import MixedLikelihood, likelihood_of

EXACT = {"rtol": 1e-8, "atol": 0}
GAMMA = sm.families.Gamma(sm.families.links.Log())
SINGULAR = pytest.mark.filterwarnings("ignore:Analysis of .*(singular|converge)")


def values(test):
    return [test.statistic, test.df1, test.df2, test.p_value, test.riv]


@pytest.fixture(scope="module")
def nhanes(reference_table):
    """The five completed data sets, `h` with 1 for hypertension."""
    long = reference_table("nhanes_imputed_long").assign(h=lambda data: data["hyp"] - 1)
    return [frame.reset_index(drop=True) for _, frame in long.groupby(".imp")]


@pytest.fixture(scope="module")
def popmis(shared_data, reference_table):
    frame, imputations = shared_data("popmis"), reference_table("popmis_2lpmm_imputations")
    gaps = frame["popular"].isna()
    completed = []
    for column in imputations.columns[-5:]:
        filled = frame.copy()
        filled.loc[gaps, "popular"] = imputations[column].to_numpy()
        completed.append(filled)
    return completed


@pytest.fixture(scope="module")
def mixed(popmis):
    """With and without sex, by ML."""
    return [
        bi.fit(popmis, f"popular ~ texp {sex} + (1 | school)", reml=False) for sex in ("+ sex", "")
    ]


@pytest.mark.parametrize("null", ["fitted", None])
@pytest.mark.parametrize(
    ("case", "run"),
    [
        ("D1", lambda f, f0: bi.D1(f, f0, dfcom=np.inf)),
        ("D1_df.com22", lambda f, f0: bi.D1(f, f0)),
        ("D2_wald", lambda f, f0: bi.D2(f, f0)),
        ("D2_likelihood", lambda f, f0: bi.D2(f, f0, use="likelihood")),
        ("D3", lambda f, f0: bi.D3(f, f0)),
        ("D4", lambda f, f0: bi.D4(f, f0)),
        ("D4_robust", lambda f, f0: bi.D4(f, f0, ariv="robust")),
    ],
)
def test_mitml_is_reproduced_for_linear_models(nhanes, reference, case, run, null):
    smaller = bi.fit(nhanes, "chl ~ 1") if null else None
    found = run(bi.fit(nhanes, "chl ~ age + bmi"), smaller)
    expected = reference("mitml_tests")["testModels_lm"][case]
    np.testing.assert_allclose(values(found), expected["test"], **EXACT)
    assert found.hypothesis == ("age = 0", "bmi = 0")
    assert found.dfcom == (22 if case == "D1_df.com22" else np.inf)
    assert found.m == 5


@pytest.mark.parametrize(
    ("case", "run"),
    [("D1", bi.D1), ("D2", bi.D2), ("D3", lambda f, f0: bi.D3(f, f0, like="mice"))],
)
def test_mice_is_reproduced_for_linear_models(nhanes, reference, case, run):
    found = run(bi.fit(nhanes, "chl ~ age + bmi"), bi.fit(nhanes, "chl ~ 1"))
    _, f, df1, df2, _, p, riv = reference("mitml_tests")["mice_D_lm"][case]
    np.testing.assert_allclose(values(found), [f, df1, df2, p, riv], **EXACT)


def test_d3_of_mice_on_one_term_of_several_is_reproduced(nhanes):
    found = bi.D3(bi.fit(nhanes, "chl ~ age + bmi + hyp"), bi.fit(nhanes, "chl ~ age"), like="mice")
    expected = [2.419677540803776, 2, 19.78832224856664, 0.1147919460775406, 0.7600893566688884]
    np.testing.assert_allclose(values(found), expected, **EXACT)


@pytest.mark.parametrize(
    ("family", "formula", "smaller", "expected"),
    [
        (
            "binomial",
            "h ~ age + bmi",
            "h ~ bmi",
            [4.127032285290744, 1, 21.25589289062209, 0.05489227798692882, 0.7661627711728132],
        ),
        (
            "binomial",
            "h ~ age + bmi",
            None,
            [2.320171105440163, 2, 25.39403828194346, 0.1187281030338276, 0.5713482586397307],
        ),
        (
            "poisson",
            "age ~ h + bmi",
            "age ~ h",
            [1.290330383778165, 1, 680.4865431614345, 0.2563869701590326, 0.08303531615180049],
        ),
    ],
)
def test_d3_of_mice_is_reproduced_for_generalized_models(
    nhanes, family, formula, smaller, expected
):
    fits0 = smaller and bi.fit(nhanes, smaller, family=family)
    found = bi.D3(bi.fit(nhanes, formula, family=family), fits0, like="mice")
    # R's glm stops at a relative change of the deviance of 1e-8, so its own digits end there.
    np.testing.assert_allclose(values(found), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("ariv", "expected"),
    [
        ("default", [3.560351882340837, 1, 15.95317700636658, 1.002937183028264]),
        ("robust", [4.25355516572443, 1, 73.69518069228116, 0.6765178520003072]),
    ],
)
def test_d4_of_logistic_models_is_that_of_rs_stacked_fits(nhanes, ariv, expected):
    fits, fits0 = (bi.fit(nhanes, f, family="binomial") for f in ("h ~ age + bmi", "h ~ bmi"))
    found = bi.D4(fits, fits0, ariv=ariv)
    shown = [found.statistic, found.df1, found.df2, found.riv]
    np.testing.assert_allclose(shown, expected, rtol=1e-6)  # as above


LIKELIHOOD_TESTS = [
    ("D2_likelihood", lambda f, f0: bi.D2(f, f0, use="likelihood")),
    ("D3", bi.D3),
    ("D4", bi.D4),
]


@pytest.mark.parametrize(("case", "run"), LIKELIHOOD_TESTS)
def test_mitml_is_reproduced_for_mixed_models_all_the_way_from_the_data(
    mixed, reference, case, run
):
    expected = np.array(reference("mitml_tests")["testModels_lmer_ML"][case]["test"])
    found = values(run(*mixed))
    np.testing.assert_allclose(found[:3], expected[:3], **EXACT)
    np.testing.assert_allclose(found[4], expected[4], **EXACT)
    # p is 1e-18: its relative error is some 40 times that of the statistic.
    np.testing.assert_allclose(found[3], expected[3], rtol=1e-6)


def test_wald_tests_of_mixed_models_need_the_covariances_of_the_fits(mixed, reference):
    cases = reference("mitml_tests")["testModels_lmer_ML"]
    # Covariances of mixedlm and lme4 agree to about 1e-7, where their optimisers stop.
    for case, found in (("D1", bi.D1(*mixed, dfcom=np.inf)), ("D2_wald", bi.D2(*mixed))):
        np.testing.assert_allclose(values(found)[:3], cases[case]["test"][:3], rtol=1e-6)


def stored(reference):
    """(estimates, covariance) of lme4's fits."""
    numbers = reference("mitml_tests")
    full = []
    for each in numbers["lmer_ML_full"]:
        estimates = pd.Series(each["fixef"])
        full.append((estimates, pd.DataFrame(each["vcov"], estimates.index, estimates.index)))
    reduced = [
        (pd.Series(each["fixef"]), np.eye(2)) for each in numbers["lmer_ML_reduced"]
    ]  # fmt: skip
    return full, reduced


@pytest.mark.parametrize(
    ("case", "run"),
    [("D1", lambda f, f0: bi.D1(f, f0, dfcom=np.inf)), ("D2_wald", bi.D2)],
)
def test_wald_tests_of_mitml_are_reproduced_from_the_fits_of_lme4(reference, case, run):
    expected = reference("mitml_tests")["testModels_lmer_ML"][case]["test"]
    np.testing.assert_allclose(values(run(*stored(reference))), expected, **EXACT)


def test_d2_of_mitml_is_reproduced_from_the_log_likelihoods_of_lme4(reference):
    numbers = reference("mitml_tests")
    full, reduced = (
        np.array([each["logLik"] for each in numbers[f"lmer_ML_{name}"]])
        for name in ("full", "reduced")
    )
    found = bi.pool_chi2(2 * (full - reduced), 1)
    expected = numbers["testModels_lmer_ML"]["D2_likelihood"]["test"]
    np.testing.assert_allclose(values(found), expected, **EXACT)


#: Variances of school and residual of lme4's reduced fits, which the shared file does not hold.
REDUCED_VARIANCES = [
    (0.4780287382219232, 0.6162894945827794),
    (0.4530656711743867, 0.6068210867828866),
    (0.4975573960473923, 0.6246822768102566),
    (0.4615242751005064, 0.6698423576166963),
    (0.5024615058013487, 0.6518358364265776),
]


def test_d3_of_mitml_is_reproduced_from_the_parameters_of_lme4(mixed, reference):
    numbers = reference("mitml_tests")
    full = [
        (each["fixef"], [part["vcov"] for part in each["varcomp"]])
        for each in numbers["lmer_ML_full"]
    ]
    reduced = [
        (each["fixef"], pair)
        for each, pair in zip(numbers["lmer_ML_reduced"], REDUCED_VARIANCES, strict=True)
    ]
    ratios = {"own": np.zeros(5), "average": np.zeros(5)}
    for sign, fits, parameters in ((1, mixed[0], full), (-1, mixed[1], reduced)):
        likelihood = likelihood_of(fits.estimates)
        vars(likelihood)["own"] = [
            np.array([np.sqrt(school / residual), residual, *beta.values()])
            for beta, (school, residual) in parameters
        ]
        ratios["own"] += sign * likelihood.maxima()
        ratios["average"] += sign * likelihood.at_averages()
    found = model_tests.likelihood_ratio(2 * ratios["own"], 2 * ratios["average"], 1)
    f, df1, df2, p, riv = numbers["testModels_lmer_ML"]["D3"]["test"]
    np.testing.assert_allclose(found, [f, df1, df2, riv], **EXACT)
    np.testing.assert_allclose(stats.f.sf(*found[:3]), p, rtol=1e-7)


def test_reml_fits_are_refitted_and_the_result_says_so(popmis):
    frames = [frame.head(400) for frame in popmis[:3]]
    reml, ml = (
        [bi.fit(frames, f"popular ~ texp {x} + (1 | school)", reml=reml) for x in ("+ sex", "")]
        for reml in (True, False)
    )
    for run in (bi.D3, lambda f, f0: bi.D2(f, f0, use="likelihood")):
        found, expected = run(*reml), run(*ml)
        np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-7)
        assert found.notes == ("REML fits were refitted by maximum likelihood.",)
        assert "refitted" in repr(found)
        assert expected.notes == ()


def test_random_parts_are_compared_by_likelihood(popmis):
    frames = [frame.head(400) for frame in popmis[:2]]
    slopes, intercepts = (
        bi.fit(frames, f"popular ~ sex + (1 {sex} | school)") for sex in ("+ sex", "")
    )
    found = bi.D4(slopes, intercepts)
    assert (found.df1, found.hypothesis) == (2, ("2 parameters of the random part = 0",))
    assert found.statistic > 0
    with pytest.raises(AnalysisError, match=r"compared by D3 or D4"):
        bi.D1(slopes, intercepts)


def test_likelihoods_of_crossed_factors_are_the_dense_normal_densities():
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(2):
        a, b = rng.integers(0, 6, 80), rng.integers(0, 5, 80)
        y = rng.normal(size=6)[a] + rng.normal(size=5)[b] + rng.normal(size=80)
        frames.append(pd.DataFrame({"y": y, "x": rng.normal(size=80), "a": a, "b": b}))
    likelihood = likelihood_of(bi.fit(frames, "y ~ x + (1 | a) + (1 | b)").estimates)
    for own, frame, found in zip(likelihood.own, frames, likelihood.maxima(), strict=True):
        *theta, variance, intercept, slope = own
        covariance = variance * np.eye(80)
        for name, factor in zip("ab", theta, strict=True):
            same = frame[name].to_numpy()[:, None] == frame[name].to_numpy()
            covariance += variance * factor**2 * same
        mean = intercept + slope * frame["x"]
        dense = stats.multivariate_normal.logpdf(frame["y"], mean, covariance)
        np.testing.assert_allclose(found, dense, rtol=1e-10)


def test_common_parameters_of_mixed_models_maximise_the_stacked_data(popmis):
    frames = [frame.head(200) for frame in popmis[:2]]
    formula = "popular ~ sex + (1 | school)"
    likelihood = likelihood_of(bi.fit(frames, formula).estimates)
    stacked = pd.concat(
        [f.assign(school=f["school"] + 1000 * i) for i, f in enumerate(frames)], ignore_index=True
    )
    one = bi.fit([stacked], formula, reml=False)[0]
    np.testing.assert_allclose(
        likelihood.at_common_maximum().sum(), one.log_likelihood, rtol=1e-9
    )  # fmt: skip
    assert (likelihood.at_common_maximum() <= likelihood.maxima()).all()


@SINGULAR
def test_generalized_mixed_models_are_compared_by_laplace_likelihoods():
    rng = np.random.default_rng(8)
    base = pd.DataFrame({"g": np.repeat(np.arange(12), 15), "x": rng.normal(size=180)})
    effects = rng.normal(size=12)[base["g"]]
    frames = []
    for _ in range(2):
        x = base["x"].where(rng.random(180) < 0.8, rng.normal(size=180))
        chance = 1 / (1 + np.exp(-0.7 * base["x"] - effects))
        seen = np.random.default_rng(1).random(180) < chance
        frames.append(base.assign(x=x, y=seen * 1.0))
    full, null = (bi.fit(frames, f"y ~ {x} + (1 | g)", family="binomial") for x in ("x", "1"))
    likelihood = likelihood_of(full.estimates)
    # A maximum is at least what the fitting package found, and hardly more.
    own = np.array([each.log_likelihood for each in full])
    gain = likelihood.maxima() - own
    assert (gain > -1e-6).all()
    assert (gain < 1e-3).all()
    assert (likelihood.at_averages() <= likelihood.maxima() + 1e-6).all()
    assert likelihood.at_averages().sum() <= likelihood.at_common_maximum().sum() + 1e-6
    assert likelihood.n_parameters == 3
    found = [bi.D3(full, null), bi.D4(full, null), bi.D1(full, null), bi.D3(full, like="mice")]
    statistics = [test.statistic for test in found]
    assert min(statistics) > 0.6 * max(statistics) > 1
    np.testing.assert_allclose(bi.D3(full).statistic, found[0].statistic, rtol=1e-4)


@SINGULAR
@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("y ~ x", None),
        ("c ~ x", "poisson"),
        ("y ~ x + (1 + x | g)", None),
        ("c ~ x + (1 + x | g)", "poisson"),
    ],
)
def test_equal_data_sets_have_their_maxima_at_the_averages_and_stacked(formula, family):
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"g": np.repeat(np.arange(10), 12), "x": rng.normal(size=120)})
    effects = 0.5 * rng.normal(size=(2, 10))[:, frame["g"]]
    eta = 1 + effects[0] + (0.4 + effects[1]) * frame["x"]
    frame["y"], frame["c"] = eta + rng.normal(size=120), rng.poisson(np.exp(eta))
    one = bi.fit([frame], formula, family=family, reml=False).estimates
    likelihood = likelihood_of(one * 2)
    for found in (likelihood.maxima(), likelihood.at_averages(), likelihood.at_common_maximum()):
        np.testing.assert_allclose(found, one[0].log_likelihood, rtol=1e-6)
        np.testing.assert_allclose(found, likelihood.maxima(), rtol=1e-8)


@pytest.mark.parametrize("kind", ["logit", "probit", "poisson"])
def test_discrete_models_of_statsmodels_are_compared_like_the_glm(nhanes, kind):
    outcome = "age" if kind == "poisson" else "h"
    links = {
        "logit": sm.families.Binomial(),
        "probit": sm.families.Binomial(sm.families.links.Probit()),
        "poisson": sm.families.Poisson(),
    }
    for run in (bi.D3, bi.D4):
        own = run(
            bi.fit(nhanes, lambda d: getattr(smf, kind)(f"{outcome} ~ bmi", d).fit(disp=0)),
            bi.fit(nhanes, lambda d: getattr(smf, kind)(f"{outcome} ~ 1", d).fit(disp=0)),
        )
        glm = run(bi.fit(nhanes, f"{outcome} ~ bmi", family=links[kind]))
        np.testing.assert_allclose(values(own), values(glm), rtol=1e-6)


def test_a_gaussian_glm_is_the_linear_model(nhanes):
    glm = bi.fit(nhanes, "chl ~ age + bmi", family=sm.families.Gaussian())
    linear = bi.fit(nhanes, "chl ~ age + bmi")
    for run in (bi.D3, bi.D4):
        np.testing.assert_allclose(values(run(glm)), values(run(linear)))


def test_without_spread_between_imputations_every_test_is_that_of_the_data(nhanes):
    same = bi.fit([nhanes[0]] * 3, "chl ~ age + bmi")
    model, null = same[0].model, bi.fit([nhanes[0]], "chl ~ 1")[0].model
    wald = model.f_test(np.eye(3)[1:]).fvalue
    ratio = (model.llf - null.llf) * 2 / 2
    for test, expected in (
        (bi.D1(same, dfcom=np.inf), wald),
        (bi.D2(same), wald),
        (bi.D2(same, use="likelihood"), ratio),
        (bi.D3(same), ratio),
        (bi.D3(same, like="mice"), ratio),
        (bi.D4(same, ariv="positive"), ratio),
        (bi.D4(same, ariv="robust"), ratio),
    ):
        np.testing.assert_allclose(test.statistic, expected, rtol=1e-8)
        assert abs(test.riv) < 1e-8
    # Without missing data the small-sample df of one restriction are nearly those of the data.
    np.testing.assert_allclose(bi.D1(same).df2, 22, rtol=0.2)


def test_d1_of_one_term_is_the_square_of_the_pooled_t(nhanes):
    fits = bi.fit(nhanes, "chl ~ age + bmi + hyp")
    test = bi.D1(fits, bi.fit(nhanes, "chl ~ age + bmi"), dfcom=np.inf)
    row = fits.pool(np.inf).table.loc["hyp"]
    np.testing.assert_allclose(test.statistic, row["statistic"] ** 2)
    np.testing.assert_allclose(test.df2, row["df"])
    np.testing.assert_allclose(test.p_value, row["p_value"])


@pytest.mark.parametrize("m", [2, 3, 5])
def test_few_imputations_leave_small_sample_df_between_zero_and_those_of_the_data(m):
    for k in (1, 2, 4):
        for r in (1e-6, 0.3, 2.0, 50.0):
            df = model_tests.wald_df(r, k, m, dfcom=40)
            assert 0 < df <= 41
    barnard_rubin = bi.pool(np.array([[1.0], [1.4]]), np.array([[0.1], [0.2]]), 40)
    found = model_tests.wald([[1.0], [1.4]], [[[0.1]], [[0.2]]], 40)
    np.testing.assert_allclose(found.df2, barnard_rubin.table["df"].iloc[0])


def test_one_data_set_with_the_rows_in_another_order_changes_nothing(nhanes):
    turned = [nhanes[0], nhanes[1].sample(frac=1, random_state=1), *nhanes[2:]]
    for run in (bi.D1, bi.D3, bi.D4):
        one, other = (run(bi.fit(frames, "chl ~ age + bmi")) for frames in (nhanes, turned))
        np.testing.assert_allclose(values(one), values(other))


def test_compare_runs_the_test_of_that_name_with_its_options(nhanes):
    fits, fits0 = bi.fit(nhanes, "chl ~ age + bmi"), bi.fit(nhanes, "chl ~ 1")
    assert values(fits.compare(fits0)) == values(bi.D1(fits, fits0))
    assert values(fits.compare(fits0, "D4", ariv="robust")) == values(
        bi.D4(fits, fits0, ariv="robust")
    )
    with pytest.raises(AnalysisError, match="method='D5' must be 'D1'"):
        fits.compare(fits0, "D5")


def test_a_test_shows_itself(nhanes):
    test = bi.D1(bi.fit(nhanes, "chl ~ age + bmi"))
    assert repr(test) == (
        "Pooled test (D1, m = 5): age = 0, bmi = 0\nF(2, 8.5) = 4.827, p = 0.0398, riv = 0.523"
    )
    assert "<table" in test._repr_html_()
    assert list(test.table.columns) == ["statistic", "df1", "df2", "p_value", "riv", "m"]
    with pytest.raises(AttributeError):
        test.statistic = 0.0


def test_log_likelihoods_that_the_analysis_states_are_enough_for_d2(nhanes):
    def stating(terms):
        def analysis(data):
            result = smf.ols(f"chl ~ {terms}", data).fit()
            return {
                "estimates": result.params,
                "covariance": result.cov_params(),
                "log_likelihood": result.llf,
            }

        return analysis

    fits, fits0 = bi.fit(nhanes, stating("age + bmi")), bi.fit(nhanes, stating("1"))
    found = bi.D2(fits, fits0, use="likelihood")
    linear = bi.D2(bi.fit(nhanes, "chl ~ age + bmi"), use="likelihood")
    np.testing.assert_allclose(values(found), values(linear))
    with pytest.raises(AnalysisError, match=r"does not give its log-likelihood .* Use D1, or D2"):
        bi.D3(fits, fits0)


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (lambda f, n: bi.D1(f, bi.fit(n, "chl ~ hyp")), "not nested: 'hyp'"),
        (lambda f, n: bi.D1(f, f), "same coefficients"),
        (lambda f, n: bi.D3(f, f), "first must be the larger"),
        (lambda f, n: bi.D1(bi.fit(n, "chl ~ 1")), "nothing to test"),
        (lambda f, n: bi.D1(f, bi.fit(n[:3], "chl ~ 1")), "5 and 3 data sets"),
        (lambda f, n: bi.D3(f, bi.fit(n, "bmi ~ 1")), "different outcomes or rows in imputation 1"),
        (lambda f, n: bi.D1(bi.fit(n[:1], "chl ~ age")), "at least 2 imputations"),
        (lambda f, n: bi.D1([(1.0, [[0.1]]), (1.1, [[0.1]])], dfcom=0), "dfcom=0 must be"),
        (
            lambda f, n: bi.D1([{"estimates": [1.0, 2.0], "std_errors": [0.1, 0.1]}] * 3),
            "needs covariance matrices",
        ),
        (lambda f, n: bi.D1(f, dfcom=-1), "dfcom=-1 must be a number above 0"),
        (lambda f, n: bi.D1(3), "no set of fits"),
        (lambda f, n: bi.D1([]), "no analysis in the list"),
        (lambda f, n: bi.D2(f, use="score"), "use='score' must be 'wald' or 'likelihood'"),
        (lambda f, n: bi.D3(f, like="mitm"), "Did you mean 'mitml'"),
        (lambda f, n: bi.D4(f, ariv="robus"), "Did you mean 'robust'"),
        (
            lambda f, n: bi.D3(bi.fit(n, "chl ~ age", family=GAMMA)),
            "GLM of the family Gamma",
        ),
        (
            lambda f, n: bi.D3(bi.fit(n, lambda d: smf.wls("chl ~ age", d, weights=d.bmi).fit())),
            "WLS does not give its log-likelihood",
        ),
        (
            lambda f, n: bi.D3(
                bi.fit(n, lambda d: smf.ols("chl ~ age", d).fit()),
                bi.fit(n, lambda d: smf.ols("chl ~ 1", d.head(20)).fit()),
            ),
            "different outcomes or rows",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_tested_gets_one_clear_sentence(nhanes, run, text):
    fits = bi.fit(nhanes, "chl ~ age + bmi")
    with pytest.raises(AnalysisError, match=text):
        run(fits, nhanes)


def test_terms_in_another_order_are_refused_by_likelihood_tests_and_matched_by_wald_tests(nhanes):
    orders = iter(["age + bmi", "bmi + age", "age + bmi", "age + bmi", "age + bmi"])
    fits = bi.fit(nhanes, lambda d: smf.ols(f"chl ~ {next(orders)}", d).fit())
    np.testing.assert_allclose(
        values(bi.D1(fits)), values(bi.D1(bi.fit(nhanes, "chl ~ age + bmi")))
    )
    with pytest.raises(AnalysisError, match="imputations 1 and 2 differ or are in another order"):
        bi.D3(fits)


def test_fits_whose_stated_likelihood_is_not_that_of_the_model_are_refused(nhanes):
    def penalised(data):
        fitted = estimates_from(smf.logit("h ~ bmi", data).fit(disp=0))
        return replace(fitted, log_likelihood=fitted.log_likelihood - 1)

    with pytest.raises(AnalysisError, match="penalty"):
        bi.D3(bi.fit(nhanes, penalised))


def test_singular_random_parts_are_evaluated(popmis):
    rng = np.random.default_rng(0)
    frames = [f.head(300).assign(popular=rng.normal(size=300)) for f in popmis[:2]]
    with pytest.warns(bi.ImputationWarning):
        fits = bi.fit(frames, "popular ~ sex + (1 | school)")
    likelihood = likelihood_of(fits.estimates)
    assert isinstance(likelihood, MixedLikelihood)
    linear = likelihood_of(bi.fit(frames, "popular ~ sex").estimates)
    assert (likelihood.maxima() >= linear.maxima() - 1e-8).all()
    assert np.isfinite(bi.D3(fits).statistic)


def test_own_log_likelihoods_of_other_rows_or_outcomes_are_refused(nhanes):
    def ols(terms, rows=25):
        return bi.fit(nhanes, lambda data: smf.ols(terms, data.head(rows)).fit())

    fits = bi.fit(nhanes, "chl ~ age + bmi")
    for smaller in (ols("chl ~ age", 20), bi.fit(nhanes, "bmi ~ age"), ols("np.log(chl) ~ age")):
        with pytest.raises(AnalysisError, match="different outcomes or rows in imputation 1"):
            bi.D2(ols("chl ~ age + bmi"), smaller, use="likelihood")
        with pytest.raises(AnalysisError, match="different outcomes or rows in imputation 1"):
            bi.D2(fits, smaller, use="likelihood")


@pytest.mark.filterwarnings("ignore")
def test_own_log_likelihoods_by_reml_and_of_other_random_parts_are_refused(popmis):
    frames = [frame.head(400) for frame in popmis[:2]]

    def mixed(terms, reml=False, **random):
        return bi.fit(
            frames, lambda data: smf.mixedlm(terms, data, groups="school", **random).fit(reml=reml)
        )

    with pytest.raises(AnalysisError, match=r"MixedLM was fitted by REML.*reml=False"):
        bi.D2(mixed("popular ~ texp + sex", True), mixed("popular ~ texp", True), use="likelihood")
    smaller = mixed("popular ~ texp")
    with pytest.raises(AnalysisError, match=r"random parts of the two differ.*MixedLM"):
        bi.D2(mixed("popular ~ texp + sex", re_formula="~sex"), smaller, use="likelihood")
    found = bi.D2(mixed("popular ~ texp + sex"), smaller, use="likelihood")
    by_formula = (bi.fit(frames, f"popular ~ texp{x} + (1 | school)") for x in (" + sex", ""))
    expected = bi.D2(*by_formula, use="likelihood")
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-3)


@pytest.mark.parametrize("run", [bi.D1, bi.D2])
def test_terms_that_follow_from_each_other_have_no_wald_test(run):
    with pytest.raises(AnalysisError, match="of a = 0, b = 0 is singular"):
        run([(pd.Series({"a": 1.0, "b": 2.0}), [[1.0, 1.0], [1.0, 1.0]])] * 3)


def test_d3_refuses_an_increase_that_no_variance_can_have(nhanes, monkeypatch):
    made = model_tests.likelihood_ratio([2.0, 2.0], [9.0, 9.0], 1)
    assert made.riv < -1 and made.f < 0  # a larger one would be above 0, with a small p value
    monkeypatch.setattr(model_tests, "likelihood_ratio", lambda *_: made)
    with pytest.raises(AnalysisError, match="which no variance can have; use D1"):
        bi.D3(bi.fit(nhanes, "chl ~ age"))
