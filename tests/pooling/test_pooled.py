"""The labelled pooled result: columns, intervals, and one clear sentence for bad input."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesimpute as bi
from bayesimpute.errors import AnalysisError, ImputationWarning
from bayesimpute.pooling.pooled import Pooled, pool

COLUMNS = [
    "estimate",
    "std_error",
    "statistic",
    "df",
    "p_value",
    "conf_low",
    "conf_high",
    "riv",
    "lambda",
    "fmi",
    "ubar",
    "b",
    "t",
]


def mitml(reference):
    numbers = reference("mitml_tests")
    names = numbers["qhat"]["cols"]
    return numbers, pd.DataFrame(numbers["qhat"]["values"], columns=names), names


def test_the_table_has_the_fixed_columns_with_terms_as_index(reference):
    numbers, q, names = mitml(reference)
    pooled = bi.pool(q, numbers["uhat"])
    assert isinstance(pooled, Pooled)
    assert list(pooled.table.columns) == COLUMNS
    assert pooled.table.index.name == "term"
    assert list(pooled.table.index) == names
    assert (pooled.m, pooled.dfcom) == (5, np.inf)


@pytest.mark.parametrize(
    ("case", "dfcom"), [("no_df.com", None), ("df.com_50", 50), ("df.com_1995", 1995)]
)
def test_every_column_of_mitml_is_reproduced(reference, case, dfcom):
    numbers, q, _ = mitml(reference)
    table = pool(q, numbers["uhat"], dfcom).table
    expected = np.array(numbers["testEstimates"][case]["values"])
    shown = table[["estimate", "std_error", "statistic", "df", "p_value", "riv", "fmi"]]
    # R's 1 - pt() is 0 where the upper tail is below 1e-16; p values else to 1e-8.
    np.testing.assert_allclose(shown, expected, rtol=1e-8, atol=1e-14)


def test_pool_of_linear_models_in_mice_is_reproduced(reference):
    mice = reference("mice_pool")["pool_lm"]
    fits = pd.DataFrame([fit["estimate"] for fit in mice["per_imputation"]])
    covariances = [fit["vcov"] for fit in mice["per_imputation"]]
    table = pool(fits, covariances, dfcom=22).table
    for row in mice["pooled"]:
        for key in ("estimate", "ubar", "b", "t", "df", "riv", "lambda", "fmi"):
            np.testing.assert_allclose(table.loc[row["term"], key], row[key], rtol=1e-8)


def test_the_interval_is_that_of_student_t():
    table = pool([1.0, 1.2, 1.4], [0.04, 0.05, 0.03], 30, conf_level=0.9).table
    row = table.loc["0"]
    half = stats.t.ppf(0.95, row["df"]) * row["std_error"]
    np.testing.assert_allclose([row["conf_low"], row["conf_high"]], [1.2 - half, 1.2 + half])


def test_numbers_frames_and_covariances_pool_alike():
    q = np.array([[1.0, 5.0], [1.5, 4.0], [0.5, 6.0]])
    u = np.array([[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]])
    plain = pool(q, u, 40).table
    framed = pool(pd.DataFrame(q, columns=["x", "y"]), pd.DataFrame(u, columns=["x", "y"]), 40)
    swapped = pd.DataFrame(u[:, ::-1], columns=["y", "x"])
    full = pool(q, np.array([np.diag(row) for row in u]), 40, terms=["x", "y"])
    np.testing.assert_array_equal(plain, framed.table)
    np.testing.assert_array_equal(plain, full.table)
    aligned = pool(pd.DataFrame(q, columns=["x", "y"]), swapped, 40)
    pd.testing.assert_frame_equal(aligned.table, framed.table)
    assert framed.covariance is None
    np.testing.assert_allclose(np.diagonal(full.covariance), full.table["t"])


def test_exponentiating_moves_estimate_and_interval_only():
    pooled = pool([0.5, 0.7], [0.04, 0.05])
    plain, rates = pooled.summary(), pooled.summary(exponentiate=True)
    scaled = ["estimate", "conf_low", "conf_high"]
    np.testing.assert_allclose(rates[scaled], np.exp(plain[scaled]))
    pd.testing.assert_frame_equal(rates.drop(columns=scaled), plain.drop(columns=scaled))
    np.testing.assert_allclose(pooled.table["estimate"], 0.6)


def test_one_imputation_warns_and_is_passed_through():
    with pytest.warns(ImputationWarning, match="m = 1"):
        pooled = pool([[2.0]], [[0.25]], dfcom=10)
    row = pooled.table.iloc[0]
    assert (row["estimate"], row["std_error"], row["df"]) == (2.0, 0.5, 10)
    assert np.isnan(row["fmi"])


def test_variance_components_are_averaged():
    parts = [{"Residual~~Residual": 1.0, "ICC|g": 0.2}, {"Residual~~Residual": 2.0, "ICC|g": 0.4}]
    pooled = pool([1.0, 2.0], [1.0, 1.0], variance_components=parts)
    assert pooled.variance_components.to_dict() == pytest.approx(
        {"Residual~~Residual": 1.5, "ICC|g": 0.3}
    )
    assert "Residual~~Residual" in repr(pooled)
    assert "ICC|g" in pooled._repr_html_()


def test_the_users_arrays_are_not_touched():
    q, u = np.array([1.0, 2.0]), np.array([0.1, 0.2])
    pool(q, u)
    assert (q.tolist(), u.tolist()) == ([1.0, 2.0], [0.1, 0.2])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([1.0, 2.0], [0.1, 0.2, 0.3]), "variances have the shape"),
        (([[1.0, 2.0], [1.0]], [[1.0, 1.0], [1.0]]), "all of the same length"),
        (([], []), "one row an imputation"),
        (([1.0, np.nan], [0.1, 0.1]), "imputation 2 is not a finite number"),
        (([1.0, 2.0], [0.1, -0.1]), "imputation 2 has a negative variance"),
        (([1.0, 2.0], [0.1, np.inf]), "imputation 2 is not a finite number"),
        (([1.0, "x"], [0.1, 0.1]), "must be numbers"),
        (([1.0, 2.0], [0.1, 0.1], 0), "dfcom=0 must be a number above 0"),
        (([1.0, 2.0], [0.1, 0.1], np.nan), "dfcom=nan must be a number above 0"),
        (([1.0, 2.0], [0.1, 0.1], "20"), "dfcom='20' must be a number above 0"),
        ((["1.0", "2.0"], [0.1, 0.1]), "they are text"),
        (([1.0, 2j], [0.1, 0.1]), "they are complex"),
    ],
)
def test_bad_numbers_get_one_clear_sentence(arguments, text):
    with pytest.raises(AnalysisError, match=text):
        pool(*arguments)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rule": "rubin"}, "Did you mean 'rubin1987'"),
        ({"conf_level": 95}, "conf_level=95 must be a number from 0 to 1"),
        ({"conf_level": "95%"}, "must be a number from 0 to 1"),
        ({"rule": ["rubin1987"]}, "must be 'rubin1987'"),
        ({"terms": ["a", "b"]}, "2 terms are named"),
        ({"variance_components": [{"a": 1.0}, {"b": 1.0}]}, "variance components differ"),
    ],
)
def test_bad_options_get_one_clear_sentence(options, text):
    with pytest.raises(AnalysisError, match=text):
        pool([1.0, 2.0], [0.1, 0.1], **options)


def test_frames_of_different_terms_are_refused():
    with pytest.raises(AnalysisError, match="the same terms"):
        pool(pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"b": [1.0, 2.0]}))


def test_a_p_value_is_never_shown_as_0():
    pooled = bi.pool(pd.DataFrame({"a": [50.0, 50.001], "b": [1.0, 1.2]}), [[1e-4, 1.0]] * 2)
    assert pooled.table.loc["a", "p_value"] < 1e-4
    for text in (repr(pooled), pooled._repr_html_().replace("&lt;", "<")):
        assert "< 0.0001" in text
    assert pooled.summary()["p_value"].dtype == float


def test_an_argument_is_understood_by_all_words_for_it():
    fits = [{"estimate": 1.0, "variance": 0.04}, {"estimate": 1.2, "variance": 0.05}]
    wanted = bi.pool(fits, ci_prob=0.8)
    for word in ("conf_level", "interval", "level"):
        pd.testing.assert_frame_equal(bi.pool(fits, **{word: 0.8}).table, wanted.table)
    with pytest.raises(TypeError, match="conf_level"):
        bi.pool(fits, ci_prob=0.8, conf_level=0.9)
    with pytest.raises(AnalysisError, match="conf_level=95 must be"):
        bi.pool(fits, conf_level=95)
