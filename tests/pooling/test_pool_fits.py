"""``bi.pool`` on fits: lists, ``imp.fit``, tidy tables, single numbers, and sets that differ."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import bayesimpute as bi
from bayesimpute.errors import AnalysisError, ImputationWarning
from bayesimpute.pooling.estimates import estimates_from


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(1)
    base = pd.DataFrame({"x": rng.normal(size=50), "z": rng.normal(size=50)})
    base["b"] = (rng.random(50) < 0.5) * 1
    return [base.assign(y=base["x"] + rng.normal(size=50)) for _ in range(3)]


@pytest.fixture(scope="module")
def fits(frames):
    return [smf.ols("y ~ x + z", frame).fit() for frame in frames]


def test_a_list_of_fits_is_pooled_as_imp_fit_pools_them(frames, fits):
    expected = bi.fit(frames, lambda d: smf.ols("y ~ x + z", d).fit()).pool()
    given = (fits, tuple(fits), dict(enumerate(fits, start=1)), iter(fits), pd.Series(fits),
             bi.fit(frames, lambda d: smf.ols("y ~ x + z", d).fit()))  # fmt: skip
    for each in given:
        found = bi.pool(each)
        pd.testing.assert_frame_equal(found.table, expected.table)
        assert (found.m, found.dfcom) == (3, 47)
        pd.testing.assert_frame_equal(found.covariance, expected.covariance)
    assert bi.pool(fits, dfcom=10).dfcom == bi.pool(fits, None, 10).dfcom == 10
    assert bi.pool(fits, conf_level=0.5).conf_level == 0.5
    each = dataclasses.replace(estimates_from(fits[0]), variance_components={"ICC|g": 0.2})
    assert bi.pool([each, each]).variance_components.to_dict() == {"ICC|g": 0.2}


def tidy(fit):
    return pd.DataFrame(
        {"term": fit.params.index, "estimate": fit.params.to_numpy(),
         "std_error": fit.bse.to_numpy(), "p_value": fit.pvalues.to_numpy()}
    )  # fmt: skip


@pytest.mark.parametrize(
    "spelling",
    [
        {},
        {"std_error": "std.error", "p_value": "p.value"},
        {"term": "Coefficient", "estimate": "Estimate", "std_error": "Std. Error"},
        {"term": "covariate", "estimate": "coef", "std_error": "se(coef)"},
        {"estimate": "Coef.", "std_error": "Std.Err."},
    ],
)
def test_tidy_tables_of_all_spellings_give_the_numbers_of_the_fits(fits, spelling):
    expected = bi.pool(fits, dfcom=np.inf).table
    tables = [tidy(fit).rename(columns=spelling) for fit in fits]
    if spelling.get("term") == "Coefficient":  # pyfixest names its index so
        tables = [table.set_index("Coefficient") for table in tables]
    pd.testing.assert_frame_equal(bi.pool(tables).table, expected)
    long = pd.concat(tables)
    pd.testing.assert_frame_equal(bi.pool(long).table, expected)
    numbered = pd.concat([t.assign(**{".imp": k}) for k, t in enumerate(tables)])
    shuffled = bi.pool(numbered.sample(frac=1, random_state=2)).table
    pd.testing.assert_frame_equal(shuffled.loc[expected.index], expected)


def test_tidy_tables_bring_df_equations_and_variances():
    table = pd.DataFrame(
        {"y.level": ["a", "b"], "term": "x", "estimate": [1.0, 2.0], "variance": [0.04, 0.09],
         "df.residual": 40}
    )  # fmt: skip
    found = bi.pool([table, table])
    assert list(found.table.index) == ["a: x", "b: x"]
    np.testing.assert_allclose(found.table["std_error"], [0.2, 0.3])
    assert found.dfcom == 40


def test_tidy_tables_that_do_not_fit_together_are_refused(fits):
    long = pd.concat([tidy(fit) for fit in fits])
    with pytest.raises(AnalysisError, match="'Intercept' comes 3 times and 'z' 2"):
        bi.pool(long[:-1])
    with pytest.raises(AnalysisError, match="pooled already"):
        bi.pool([bi.pool(fits).table] * 2)


def test_a_number_with_its_variance_is_pooled_as_mices_pool_scalar_does():
    each = [{"estimate": 1.0, "variance": 0.04}, {"estimate": 1.2, "variance": 0.05}]
    row = bi.pool(each, dfcom=100).table.loc["estimate"]
    np.testing.assert_allclose(row[["ubar", "b", "t", "df"]], [0.045, 0.02, 0.075, 5.64982286])
    errors = [{"estimate": e["estimate"], "std_error": e["variance"] ** 0.5} for e in each]
    np.testing.assert_allclose(bi.pool(errors, dfcom=100).table.loc["estimate"], row)
    matrices = [(e["estimate"], [[e["variance"]]]) for e in each]
    np.testing.assert_allclose(bi.pool(matrices, dfcom=100).table.loc["estimate"], row)


def test_one_fit_warns_and_no_spread_between_fits_leaves_the_complete_data_answer(fits):
    with pytest.warns(ImputationWarning, match="m = 1"):
        alone = bi.pool(fits[:1]).table
    np.testing.assert_allclose(alone["p_value"], fits[0].pvalues)
    same = bi.pool([fits[0]] * 3).table
    np.testing.assert_allclose(same["std_error"], fits[0].bse)
    np.testing.assert_allclose(same["df"], 48 / 50 * 47)  # Barnard and Rubin's ν_obs
    assert (same["lambda"] == 0).all()


def other(frame, formula="y ~ x + z"):
    return {
        "model": lambda: smf.logit("b ~ x + z", frame).fit(disp=0),
        "weights": lambda: smf.wls(formula, frame, weights=np.ones(50)).fit(),
        "covariance": lambda: smf.ols(formula, frame).fit(cov_type="HC3"),
    }


@pytest.mark.parametrize("what", ["model", "weights", "covariance"])
def test_fits_of_different_models_are_not_averaged(frames, fits, what):
    with pytest.raises(AnalysisError, match="Imputation 2 was analysed by another model"):
        bi.pool([fits[0], other(frames[1])[what]()])


def test_families_and_links_count_as_models(frames):
    binomial, poisson = sm.families.Binomial(), sm.families.Poisson()
    probit = sm.families.Binomial(sm.families.links.Probit())
    one = smf.glm("b ~ x", frames[0], family=binomial).fit()
    for family in (poisson, probit):
        with pytest.raises(AnalysisError, match="by another model"):
            bi.pool([one, smf.glm("b ~ x", frames[1], family=family).fit()])


def test_terms_are_matched_by_name_and_a_dropped_one_is_named(frames, fits):
    turned = [fits[0], smf.ols("y ~ z + x", frames[1]).fit(), fits[2]]
    pd.testing.assert_frame_equal(bi.pool(turned).table, bi.pool(fits).table)
    with pytest.raises(AnalysisError, match=r"Imputations 1 and 2 .* z is in one only"):
        bi.pool([fits[0], smf.ols("y ~ x", frames[1]).fit()])
    fewer = [fits[0], smf.ols("y ~ x + z", frames[1][:20]).fit()]
    assert bi.pool(fewer).dfcom == 17


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (lambda fits, frames: fits[0], "RegressionResultsWrapper is no set of fits"),
        (lambda fits, frames: bi.pool(fits), "Pooled is pooled already"),
        (lambda fits, frames: frames, r"bi.fit\(frames, 'y ~ x'\)"),
        (lambda fits, frames: [1.0, 2.0], r"bi.pool\(estimates, variances\)"),
        (lambda fits, frames: np.ones(3), r"bi.pool\(estimates, variances\)"),
        (lambda fits, frames: [], "no analysis in the list"),
        (lambda fits, frames: "y ~ x", "str is no set of fits"),
        (lambda fits, frames: None, "NoneType is no set of fits"),
        (lambda fits, frames: {"estimate": 1.0, "variance": 1.0}, "dict is no set of fits"),
        (lambda fits, frames: [fits[0], (0.2, 0.03)], "Imputation 2: .* a tuple of 2"),
    ],
)
def test_what_is_no_set_of_fits_gets_one_clear_sentence(fits, frames, given, text):
    with pytest.raises(AnalysisError, match=text):
        bi.pool(given(fits, frames))


def test_options_of_numbers_do_not_belong_to_fits(fits):
    with pytest.raises(AnalysisError, match="fits bring their terms"):
        bi.pool(fits, terms=["a", "b", "c"])
