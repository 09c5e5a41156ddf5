"""Functions of parameters: mitml's numbers, the delta method, ways of writing, and errors."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.model_tests import PooledTest

EXACT = {"rtol": 1e-8, "atol": 0}
NAMES = ["a", "b", "c"]


@pytest.fixture
def fits(reference):
    """The estimates and covariances behind mitml's tests."""
    numbers = reference("mitml_tests")
    return [
        (pd.Series(q, NAMES), pd.DataFrame(u, NAMES, NAMES))
        for q, u in zip(numbers["qhat"]["values"], numbers["uhat"], strict=True)
    ]


def regression(m=4):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=40), "z": rng.normal(size=40)})
    frame["y"] = 2 + frame["x"] + 0.8 * frame["z"] + rng.normal(size=40)
    frames = [frame.assign(y=frame["y"] + 0.2 * rng.normal(size=40)) for _ in range(m)]
    return bi.fit(frames, "y ~ x * z")


@pytest.mark.parametrize("written", ["text", "equations", "functions"])
@pytest.mark.parametrize(
    ("case", "terms", "options"),
    [
        ("all3_D1", "abc", {"dfcom": np.inf}),
        ("bc_D1", "bc", {}),
        ("bc_D2", "bc", {"method": "D2"}),
        ("bc_D1_df.com60", "bc", {"dfcom": 60}),
    ],
)
def test_constraints_of_mitml_are_reproduced(fits, reference, case, terms, options, written):
    at = {"a": 3.6, "b": 0.09 if terms == "bc" else 0.0, "c": 0.85}
    constraints = {
        "text": [f"{term} - {at[term]}" for term in terms],
        "equations": [f"{term} = {at[term]}" for term in terms],
        "functions": lambda q: [q[term] - at[term] for term in terms],
    }[written]
    found = bi.test_constraints(fits, constraints, **options)
    expected = reference("mitml_tests")["testConstraints"][case]
    expected = expected["test"] if isinstance(expected, dict) else expected
    shown = [found.statistic, found.df1, found.df2, found.riv]
    # mitml differentiates by forward differences, so its own F and riv are exact to 4e-9 only
    # (these constraints are linear: by exact arithmetic ours are) ...
    np.testing.assert_allclose(shown, [expected[i] for i in (0, 1, 2, 4)], **EXACT)
    # ... and where p is 3e-5 that is multiplied by ten.
    np.testing.assert_allclose(found.p_value, expected[3], rtol=1e-7 if case[0] == "a" else 1e-8)


def test_linear_constraints_are_pooled_like_matrix_products():
    fits = regression()
    l = np.array([[0, 1, -1, 0], [0, 0, 2, 1]])  # noqa: E741
    expected = bi.pool(
        np.array([l @ each.estimate for each in fits]),
        np.array([l @ each.covariance @ l.T for each in fits]),
        36,
    )
    found = fits.constraint_estimates(["x - z", "2 * z + `x:z`"])
    np.testing.assert_allclose(found.table, expected.table, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9)
    assert list(found.table.index) == ["x - z", "2 * z + `x:z`"]


def test_nonlinear_functions_have_their_analytic_derivatives():
    fits = regression()
    found = fits.constraint_estimates(["exp(x) / z"])
    variances = []
    for each in fits:
        _, x, z, _ = each.estimate
        slope = np.array([0, np.exp(x) / z, -np.exp(x) / z**2, 0])
        variances.append(slope @ each.covariance @ slope)
    np.testing.assert_allclose(found.table["ubar"], np.mean(variances), rtol=1e-7)


def test_functions_and_predictions_follow_the_rule_for_synthetic_data():
    fits = regression()
    expected = fits.pool(rule="reiter2003").table.loc["x"]
    found = fits.constraint_estimates("x", rule="reiter2003").table.iloc[0]
    np.testing.assert_allclose(found[["t", "df"]], expected[["t", "df"]])
    rows = pd.DataFrame({"x": [0.0], "z": [0.0]})
    expected = fits.pool(rule="reiter2003").table.loc["(Intercept)"]
    found = fits.predict(rows, rule="reiter2003").iloc[0]
    np.testing.assert_allclose(found[["std_error", "df"]], expected[["std_error", "df"]])


def test_one_constraint_is_the_square_of_its_t():
    fits = regression()
    row = fits.constraint_estimates("x - z", np.inf).table.iloc[0]
    test = fits.test("x = z", dfcom=np.inf)
    assert isinstance(test, PooledTest)
    np.testing.assert_allclose(test.statistic, row["statistic"] ** 2)
    np.testing.assert_allclose(test.df2, row["df"])
    assert test.hypothesis == ("x - z = 0",)


def test_all_slopes_zero_is_d1_against_the_intercept():
    fits = regression()
    found, expected = fits.test(["x", "z", "x:z"]), bi.D1(fits)
    np.testing.assert_allclose(found.statistic, expected.statistic)
    np.testing.assert_allclose(found.df2, expected.df2)


def test_linearly_equivalent_constraints_give_the_same_test():
    fits = regression()
    one, other = fits.test(["x", "z"]), fits.test(["x + z = 0", "3 * x = z"])
    np.testing.assert_allclose([one.statistic, one.riv], [other.statistic, other.riv], rtol=1e-8)


def test_the_intercept_and_terms_with_signs_in_them_can_be_named():
    fits = regression()
    by_alias = fits.constraint_estimates("Intercept").table
    np.testing.assert_allclose(by_alias, fits.pool().table.loc[["(Intercept)"]])
    np.testing.assert_allclose(fits.constraint_estimates("`(Intercept)` * 1").table, by_alias)
    equation = fits.constraint_estimates("`x:z` == x - z").table
    np.testing.assert_allclose(equation, fits.constraint_estimates("`x:z` - (x - z)").table)


def test_functions_of_several_values_are_named_by_their_number():
    def both(q):
        return [q["x"], q["z"]]

    assert list(regression().constraint_estimates([both, "x"]).table.index) == [
        "both[0]",
        "both[1]",
        "x",
    ]


@pytest.mark.parametrize(
    ("constraints", "text"),
    [
        ("xx - z", "names 'xx', which is no term; did you mean"),
        ("x:z - 1", "no term"),
        (["x", "2 * x"], "follow from each other"),
        ("x - x", "variance of 0 in imputation 1: it depends on no parameter"),
        ("log(x - 100)", "not a finite number in imputation 1"),
        ("x = z = 1", "needs one ="),
        ("x =", "needs one ="),
        ([], "at least one constraint"),
        ([3], r"constraints=\[3\] must be a text, or a function"),
        ("open('x')", "cannot be read|no term"),
    ],
)
def test_constraints_that_cannot_be_tested_get_one_clear_sentence(constraints, text):
    with pytest.raises(AnalysisError, match=text):
        regression().test(constraints)


def test_standard_errors_alone_are_not_enough_and_other_tests_are_refused():
    with pytest.raises(AnalysisError, match="covariance matrices"):
        errors_only = {"estimates": [1.0, 2.0], "std_errors": [0.1, 0.2]}
        bi.test_constraints([errors_only] * 2, "`0` - `1`")
    with pytest.raises(AnalysisError, match="method='D3' must be 'D1' or 'D2'"):
        regression().test("x", method="D3")
    with pytest.raises(AnalysisError, match="at least 2"):
        regression(m=1).test("x")
