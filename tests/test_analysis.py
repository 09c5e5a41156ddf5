"""Fitting an analysis to completed data: lme4's, mice's and mitml's numbers, and errors."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from bayesimpute.analysis import Fits, fit
from bayesimpute.errors import AnalysisError, ImputationWarning
from bayesimpute.pooling.estimates import Estimates, estimates_from
from bayesimpute.pooling.reported import level_names

# Outcomes without any difference between clusters.
SINGULAR = pytest.mark.filterwarnings("ignore:Analysis of .*(singular|converge)")

ONE = {"estimate": 1.0, "std_error": 0.1}

IMPACT = "mort ~ type + age + motor_score + pupil + ct + (1 | name)"


@pytest.fixture
def popmis_completed(shared_data, reference_table):
    """The five completed data sets of the file from R."""
    frame, imputations = shared_data("popmis"), reference_table("popmis_2lpmm_imputations")
    gaps = frame["popular"].isna()
    completed = []
    for column in imputations.columns[-5:]:
        filled = frame.copy()
        filled.loc[gaps, "popular"] = imputations[column].to_numpy()
        completed.append(filled)
    return completed


@pytest.fixture
def small():
    """Three completed data sets of 40 rows with every kind of column."""
    rng = np.random.default_rng(11)
    base = pd.DataFrame(
        {
            "y": rng.normal(size=40),
            "x": rng.uniform(1, 3, 40),
            "sex": np.where(rng.random(40) < 0.5, "girl", "boy"),
            "grade": pd.Categorical(np.arange(40) % 3, categories=[0, 1, 2, 9]),
            "flag": np.arange(40) % 4 == 0,
            "whole": pd.array(np.arange(40) % 7, dtype="Int64"),
            "g": np.arange(40) % 8,
        }
    )
    base["y"] += rng.normal(size=8)[base["g"]]
    return [base.assign(y=base["y"] + i * rng.normal(size=40) / 5) for i in range(3)]


def fixed_effects(numbers):
    return np.array(numbers["coef"]["values"]).reshape(-1, len(numbers["coef"]["cols"]))


@pytest.mark.parametrize(
    ("case", "data", "formula", "reml"),
    [
        ("popmis_cc_ri", "popmis", "popular ~ texp + sex + (1 | school)", True),
        ("popmis_cc_ri_ML", "popmis", "popular ~ texp + sex + (1 | school)", False),
        ("popmis_cc_null", "popmis", "popular ~ 1 + (1 | school)", True),
        ("popmis_cc_rs", "popmis", "popular ~ sex + (1 + sex | school)", True),
        ("popular_complete_ri", "popular_complete", "popular ~ texp + sex + (1 | school)", True),
        ("popular_complete_rs", "popular_complete", "popular ~ sex + (1 + sex | school)", True),
    ],
)
def test_lmer_of_lme4_is_reproduced(shared_data, reference, case, data, formula, reml):
    numbers = reference("model_fits")["fits"][case]
    found = fit([shared_data(data).dropna()], formula, reml=reml)[0]
    values = fixed_effects(numbers)
    np.testing.assert_allclose(found.estimate, values[:, 0], rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(found.variances), values[:, 1], rtol=1e-4)
    np.testing.assert_allclose(found.covariance, numbers["vcov"], rtol=1e-3)
    np.testing.assert_allclose(found.log_likelihood, numbers["logLik"], rtol=1e-8)
    assert found.df_residual == numbers["df_resid"]
    expected = [row["vcov"] for row in numbers["varcomp"]]
    components = [v for k, v in found.variance_components.items() if not k.startswith("ICC")]
    np.testing.assert_allclose(components, expected, rtol=1e-4)


@pytest.fixture
def impact(shared_data):
    """Complete cases, read so that the pupil category "None" is not taken for a gap."""
    shared_data("impact_incomplete")  # skips where it is not there
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("BAYESIMPUTE_SHARED", beside)) / "data"
    return pd.read_csv(folder / "impact_incomplete.csv", keep_default_na=False, na_values=[""])


def test_glmer_of_lme4_is_reproduced_with_the_term_names_of_r(impact, reference):
    numbers = reference("model_fits")["fits"]["impact_cc_glmer"]
    data = impact.dropna(subset=["age", "motor_score", "pupil", "ct"])
    found = fit([data], IMPACT, family="binomial")[0]
    values = fixed_effects(numbers)
    assert list(found.terms) == numbers["coef"]["rows"]
    np.testing.assert_allclose(found.estimate, values[:, 0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(found.variances), values[:, 1], rtol=5e-3)
    np.testing.assert_allclose(found.log_likelihood, numbers["logLik"], rtol=1e-7)
    assert found.df_residual == numbers["df_resid"]
    component = found.variance_components["Intercept~~Intercept|name"]
    np.testing.assert_allclose(component, numbers["varcomp"][0]["vcov"], rtol=1e-3)
    assert list(found.variance_components) == ["Intercept~~Intercept|name"]


@pytest.mark.filterwarnings("ignore:Analysis of .*(levels|singular)")
def test_few_clusters_with_a_slope_are_fitted_at_least_as_well_as_by_lme(shared_data, reference):
    numbers = reference("model_fits")["fits"]["obesity_cc_lme"]
    data = shared_data("obesity").dropna(subset=["BMI", "Age", "FamOb"])
    found = fit([data], "BMI ~ Age + FamOb + Gender + (1 + Age | Cluster)")[0]
    assert len(data) == numbers["n"]
    assert list(found.terms) == numbers["tTable"]["rows"]
    assert found.log_likelihood > numbers["logLik"] - 1e-4
    np.testing.assert_allclose(
        found.estimate, np.array(numbers["tTable"]["values"])[:, 0], rtol=0.005
    )


def test_mitml_test_estimates_of_mixed_models_are_reproduced(popmis_completed, reference):
    numbers = reference("mitml_tests")["testEstimates_lmer_REML"]
    fits = fit(popmis_completed, "popular ~ texp + sex + (1 | school)")
    pooled = fits.pool(float("inf"))
    shown = pooled.table[["estimate", "std_error", "statistic", "df", "p_value", "riv", "fmi"]]
    assert list(shown.index) == numbers["estimates"]["rows"]
    np.testing.assert_allclose(shown, numbers["estimates"]["values"], rtol=1e-6, atol=1e-14)
    components = pooled.variance_components
    assert list(components.index) == numbers["extra.pars"]["rows"]
    np.testing.assert_allclose(components, np.ravel(numbers["extra.pars"]["values"]), rtol=1e-6)


def test_random_slopes_have_the_components_mitml_names(popmis_completed):
    pooled = fit(popmis_completed, "popular ~ sex + (1 + sex | school)").pool()
    # mitml 0.4-4, extra.pars = TRUE, on lme4's fits of these five data sets
    expected = {
        "Intercept~~Intercept|school": 0.956608158782986,
        "sex~~sex|school": 0.316979782318676,
        "Intercept~~sex|school": -0.185685578513411,
        "Residual~~Residual": 0.378459386220833,
        "ICC|school": 0.716376287975690,
    }
    assert list(pooled.variance_components.index) == list(expected)
    np.testing.assert_allclose(pooled.variance_components, list(expected.values()), rtol=1e-4)


def test_without_dfcom_the_fits_residual_degrees_of_freedom_are_taken(popmis_completed):
    fits = fit(popmis_completed, "popular ~ texp + sex + (1 | school)")
    assert fits.pool().dfcom == 1995  # n - 3 coefficients - 2 variances
    pd.testing.assert_frame_equal(fits.pool().table, fits.pool(1995).table)
    assert (fits.pool(float("inf")).table["df"] > fits.pool().table["df"]).all()


def test_pool_of_mice_is_reproduced_from_data_to_table(reference, reference_table):
    numbers = reference("mice_pool")["pool_lm"]
    long = reference_table("nhanes_imputed_long")
    frames = [frame for _, frame in long.groupby(".imp")]
    fits = fit(frames, "chl ~ age + bmi")
    pooled = fits.pool()
    assert pooled.dfcom == 22
    for row in numbers["pooled"]:
        for key in ("estimate", "ubar", "b", "t", "df", "riv", "lambda", "fmi"):
            np.testing.assert_allclose(pooled.table.loc[row["term"], key], row[key], rtol=1e-8)
    for found, expected in zip(fits, numbers["per_imputation"], strict=True):
        assert found.df_residual == expected["df.residual"]
        np.testing.assert_allclose(found.covariance, expected["vcov"], rtol=1e-8)
    assert pooled.variance_components.empty


def test_terms_have_the_same_names_with_and_without_a_random_part(small):
    fixed = "sex + x + flag + grade + sex:x + log(x) + I(whole**2)"
    mixed = fit(small, f"y ~ {fixed} + (1 | g)").pool()
    single = fit(small, f"y ~ {fixed}").pool()
    assert set(single.table.index) == set(mixed.table.index)
    assert set(single.table.index) == {
        *("(Intercept)", "sexgirl", "x", "flag", "grade1", "grade2", "sexgirl:x"),
        *("log(x)", "I(whole**2)"),
    }


def test_functions_in_formulas_are_those_of_numpy_and_factor_makes_categories(small):
    direct = [frame.assign(logx=np.log(frame["x"]), root=np.sqrt(frame["x"])) for frame in small]
    for random in ("", " + (1 | g)"):
        written = fit(small, f"exp(y) ~ np.log(x) + sqrt(x){random}")
        columns = fit([f.assign(ey=np.exp(f["y"])) for f in direct], f"ey ~ logx + root{random}")
        np.testing.assert_allclose(written[2].estimate, columns[2].estimate, rtol=1e-6)
    assert fit(small, "y ~ factor(whole)")[0].terms[1] == "factor(whole)1"
    assert fit(small, "y ~ C(sex, Treatment('girl'))")[0].terms[1].endswith("boy")


def test_names_with_blanks_are_backquoted_in_both_kinds_of_formulas(small):
    frames = [frame.rename(columns={"x": "my x"}) for frame in small]
    for formula in ("y ~ `my x` + log(`my x`)", "y ~ `my x` + log(`my x`) + (1 | g)"):
        assert fit(frames, formula)[0].terms == ("(Intercept)", "my x", "log(my x)")


@SINGULAR
@pytest.mark.parametrize("random", ["", " + (1 | g)"])
def test_the_second_category_is_the_success_of_a_binomial_outcome(small, random):
    rng = np.random.default_rng(2)
    frames = [frame.assign(z=rng.random(40) < 0.5) for frame in small]
    yes = [frame.assign(z=np.where(frame["z"], "yes", "no")) for frame in frames]
    flagged = fit(frames, f"z ~ x{random}", family="binomial")
    labelled = fit(yes, f"z ~ x{random}", family="binomial")
    numbers = fit([f.assign(z=f["z"] * 1) for f in frames], f"z ~ x{random}", family="binomial")
    for i in range(3):
        np.testing.assert_allclose(labelled[i].estimate, numbers[i].estimate)
        np.testing.assert_allclose(flagged[i].estimate, numbers[i].estimate)
    expected = smf.glm(
        "z ~ x", frames[0].assign(z=frames[0]["z"] * 1), family=sm.families.Binomial()
    )
    if not random:
        np.testing.assert_allclose(labelled[0].estimate, expected.fit().params)


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("gamma", "'gamma'; there are gaussian, binomial, poisson. For"),
        ("binomail", "'binomail'; did you mean 'binomial'? For"),
    ],
)
def test_an_unknown_family_is_refused_in_whole_sentences(small, family, said):
    with pytest.raises(AnalysisError, match=re.escape(f"Unknown family {said} another one")):
        fit(small, "y ~ x", family=family)


@SINGULAR
def test_families_of_statsmodels_and_poisson_by_name_agree(small):
    by_name = fit(small, "whole ~ x", family="poisson")
    by_object = fit(small, "whole ~ x", family=sm.families.Poisson())
    np.testing.assert_array_equal(by_name[1].estimate, by_object[1].estimate)
    assert by_name[1].df_residual == 38
    assert fit(small, "whole ~ x + (1 | g)", family="poisson")[0].terms == ("(Intercept)", "x")


def test_rows_in_another_order_and_other_cluster_labels_change_nothing(popmis_completed):
    formula = "popular ~ texp + sex + (1 | school)"
    shuffled = [
        frame.assign(school="s" + frame["school"].astype(str)).sample(frac=1, random_state=3)
        for frame in popmis_completed
    ]
    one, other = fit(popmis_completed, formula).pool(), fit(shuffled, formula).pool()
    np.testing.assert_allclose(one.table, other.table, rtol=1e-5, atol=1e-12)


def test_the_order_of_the_imputations_does_not_matter(small):
    one, other = fit(small, "y ~ x + sex").pool(), fit(small[::-1], "y ~ x + sex").pool()
    np.testing.assert_allclose(one.table, other.table)


@pytest.mark.parametrize(
    "analysis",
    [
        lambda data: smf.ols("y ~ x", data).fit(),
        lambda data: sm.OLS(data[["y"]], sm.add_constant(data["x"])).fit(),
        lambda data: sm.OLS(data["y"].to_numpy(), sm.add_constant(data["x"].to_numpy())).fit(),
        lambda data: (lambda r: (r.params, r.cov_params()))(smf.ols("y ~ x", data).fit()),
        lambda data: (lambda r: {"estimates": r.params, "std_errors": r.bse})(
            smf.ols("y ~ x", data).fit()
        ),
        lambda data: (lambda r: {"coef": r.params, "se": r.bse[::-1]})(
            smf.ols("y ~ x", data).fit()
        ),
        lambda data: (lambda r: {"estimates": r.params, "variances": r.bse[::-1] ** 2})(
            smf.ols("y ~ x", data).fit()
        ),
        lambda data: (lambda r: {"estimates": dict(r.params), "covariance": r.cov_params()})(
            smf.ols("y ~ x", data).fit()
        ),
        lambda data: (lambda r: SimpleNamespace(params=r.params, bse=r.bse))(
            smf.ols("y ~ x", data).fit()
        ),
    ],
)
def test_any_callable_that_gives_estimates_and_errors_is_pooled(small, analysis):
    found = fit(small, analysis).pool(38).table
    expected = fit(small, "y ~ x").pool(38).table
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_a_callable_may_give_a_single_number_and_its_error(small):
    def mean(data):
        return {"estimate": data["y"].mean(), "std_error": data["y"].sem()}

    fits = fit(small, mean)
    table = fits.pool().table
    np.testing.assert_allclose(table["estimate"], np.mean([f["y"].mean() for f in small]))
    np.testing.assert_allclose(table["ubar"], np.mean([f["y"].sem() ** 2 for f in small]))
    assert fits.pool().dfcom == np.inf


def test_mixed_models_of_statsmodels_give_fixed_effects_and_components(popmis_completed):
    frames = popmis_completed[:2]
    own = fit(frames, lambda d: smf.mixedlm("popular ~ sex", d, groups=d["school"]).fit())
    ours = fit(frames, "popular ~ sex + (1 | school)")
    np.testing.assert_allclose(own.pool().table, ours.pool().table, rtol=1e-3)
    np.testing.assert_allclose(
        list(own[0].variance_components.values()),
        [ours[0].variance_components[k] for k in list(ours[0].variance_components)[:2]],
        rtol=1e-3,
    )


def test_a_callable_cannot_change_the_data(small):
    before = small[0].copy()

    def careless(data):
        data["y"] = 0.0
        return ONE

    fit(small, careless)
    pd.testing.assert_frame_equal(small[0], before)


def assert_same_fits(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.estimate, other.estimate)


def test_processes_give_the_same_fits(small, processes):
    found = fit(small, "y ~ x + sex", executor=processes)
    assert_same_fits(found, fit(small, "y ~ x + sex"))


def test_threads_give_the_same_fits_of_a_function(small):
    def analysis(data):
        return smf.ols("y ~ x + sex", data).fit()

    with ThreadPoolExecutor(max_workers=1) as threads:
        assert_same_fits(fit(small, analysis, executor=threads), fit(small, analysis))


def test_fits_tell_what_they_are(small):
    fits = fit(dict(enumerate(small, start=1)), "y ~ x")
    assert isinstance(fits, Fits)
    assert (len(fits), len(list(fits))) == (3, 3)
    assert fits[0].model.rsquared >= 0
    assert "'y ~ x' to 3 data sets" in repr(fits)
    assert "(Intercept), x" in repr(fits)


def test_one_data_set_warns_and_passes_through(small):
    fits = fit(small[:1], "y ~ x")
    with pytest.warns(ImputationWarning, match="m = 1"):
        table = fits.pool().table
    np.testing.assert_allclose(table["p_value"], fits[0].model.pvalues)


def test_warnings_of_the_fits_come_once_with_the_imputations_they_concern(small):
    def warned(data):
        if data["y"].iloc[0] != small[1]["y"].iloc[0]:
            import warnings

            warnings.warn("singular", RuntimeWarning, stacklevel=1)
        return ONE

    with pytest.warns(ImputationWarning) as caught:
        fit(small, warned)
    assert [str(each.message) for each in caught] == ["Analysis of imputation 1, 3: singular"]


def raising(data):
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("formula", "options", "text"),
    [
        ("y ~ xx", {}, "names 'xx'.*did you mean 'x'"),
        ("y ~ x + (1 | gg)", {}, "names 'gg'.*did you mean 'g'"),
        ("y ~ log(xs) + x", {}, "names 'xs'"),
        ("y + x", {}, "does not parse"),
        ("y ~ ", {}, "does not parse"),
        ("y ~ x +", {}, "it ends where a term is expected .position 8"),
        ("y ~ x + (1 | g", {}, "parenthesis is not closed .position 9"),
        ("y ~ log(x", {}, "parenthesis is not closed"),
        ("y ~ log(y)", {}, "not finite for"),
        ("y ~ x", {"family": "binomal"}, "did you mean 'binomial'"),
        ("y ~ x", {"family": "binomial"}, "between 0 and 1"),
        ("sex ~ x", {}, "needs one that is numeric"),
        ("grade ~ x", {"family": "binomial"}, "of two categories"),
        ("y ~ x + I(2 * x)", {}, r"'I\(2 \* x\)' is a linear combination"),
        ("y ~ x + I(2 * x) + (1 | g)", {}, r"'I\(2 \* x\)' is a linear combination"),
        ("whole ~ x + (1 | g)", {"family": sm.families.Poisson()}, "of another package"),
        (raising, {}, "imputation 1 failed: ZeroDivisionError: division by zero"),
        (lambda data: None, {}, "returned NoneType; return a fit of"),
        (lambda data: {"mean": 1.0}, {}, "'estimates' and 'covariance'"),
        (lambda data: (np.nan, [[1.0]]), {}, "not a finite number"),
        (lambda data: ([1.0], [[-1.0]]), {}, "is negative"),
        (lambda data: {"coef": [1.0], "se": [-1.0]}, {}, "standard error of 0 is negative"),
        (lambda data: ([1.0, 2.0], [[1.0]]), {}, "covariance of shape"),
        (lambda data: (["a"], [[1.0]]), {}, "are not numbers"),
        (
            lambda data: {"coef": pd.Series({"x": 1.0}), "se": pd.Series({"z": 1.0})},
            {},
            "gives no variance for 'x'",
        ),
        (lambda data: ONE, {"family": "binomial"}, "family belongs to a formula"),
        (3, {}, "a formula or a callable, not int"),
    ],
)
def test_an_analysis_that_cannot_be_done_gets_one_clear_sentence(small, formula, options, text):
    with pytest.raises(AnalysisError, match=text):
        fit(small, formula, **options)


def test_the_failing_imputation_is_named(small):
    small[1].loc[3, "x"] = np.nan
    with pytest.raises(AnalysisError, match="imputation 2 failed: 'x' still has 1 missing values"):
        fit(small, "y ~ x")


def test_an_infinite_value_is_refused(small):
    small[2].loc[3, "x"] = np.inf
    with pytest.raises(AnalysisError, match="imputation 3 failed: 'x' holds infinite"):
        fit(small, "y ~ x")


def test_no_data_sets_are_refused():
    with pytest.raises(AnalysisError, match="at least one DataFrame"):
        fit([], "y ~ x")


def test_terms_that_differ_between_imputations_are_named(small):
    small[2]["sex"] = np.where(small[2].index == 0, "other", small[2]["sex"])
    fits = fit(small, "y ~ sex")
    with pytest.raises(AnalysisError, match=r"Imputations 1 and 3 .* sexother is in one"):
        fits.pool()


def test_terms_in_another_order_are_matched_by_name(small):
    turned = iter([1, -1, 1])

    def analysis(data):
        result = smf.ols("y ~ x", data).fit()
        order = result.params.index[:: next(turned)]
        return result.params[order], result.cov_params().loc[order, order]

    np.testing.assert_allclose(
        fit(small, analysis).pool(38).table, fit(small, "y ~ x").pool(38).table
    )


def test_repeated_index_labels_do_no_harm(small):
    repeated = [frame.set_axis(np.zeros(40, dtype=int), axis=0) for frame in small]
    for formula in ("y ~ x + sex + log(x)", "y ~ x + sex + log(x) + (1 | g)"):
        np.testing.assert_allclose(
            fit(repeated, formula).pool().table, fit(small, formula).pool().table
        )


def test_estimates_pass_through_as_they_are():
    given = Estimates(("x",), np.array([1.0]), np.array([[0.5]]), df_residual=3)
    assert estimates_from(given) is given
    with pytest.raises(AnalysisError, match="named twice"):
        Estimates(("x", "x"), np.ones(2), np.eye(2))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["(Intercept)", "a.1", "a.2"], ["(Intercept)", "a2", "a3"]),
        (["a.1", "a.2", "a.3"], ["a1", "a2", "a3"]),  # no intercept: labels, not numbers
        (["a.1:b.1", "x"], ["a2:byes", "x"]),
        (["a.x", "x.1"], ["a.x", "x.1"]),
    ],
)
def test_columns_of_categories_are_named_by_their_labels(names, expected):
    assert level_names(names, {"a": [1, 2, 3], "b": ["no", "yes"]}) == expected


def test_deprecations_inside_a_fitting_package_are_not_told_to_its_users():
    import warnings

    def analysis(data):
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
        return ONE

    frames = [pd.DataFrame({"y": [0.0, k]}) for k in (1, 2)]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(frames, analysis)
    assert not told
