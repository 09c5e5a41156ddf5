"""Tests of variables by what is missing of another."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesimpute as bi
from bayesimpute.explore import missing_model
from bayesimpute.explore.missing_model import by_clusters, contingency, welch


def row(tests, missing, variable):
    found = tests[(tests["missing"] == missing) & (tests["variable"] == variable)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_welch_test_of_the_paper(shared_data):
    found = row(bi.missing_tests(shared_data("popmis")), "popular", "texp")
    assert found["test"] == "Welch t"
    assert found["mean_observed"] == pytest.approx(14.15278, abs=5e-6)
    assert found["mean_missing"] == pytest.approx(14.41274, abs=5e-6)
    assert found["statistic"] == pytest.approx(-0.8731291, abs=5e-8)
    assert found["df"] == pytest.approx(1796.115, abs=5e-4)
    assert found["p_value"] == pytest.approx(0.3827095, abs=5e-8)
    assert found["difference"] == pytest.approx(-0.2599581, abs=5e-8)
    assert (found["n_observed"], found["n_missing"]) == (1152, 848)


def test_the_standardised_difference_is_in_units_of_the_mean_variance():
    found = welch(np.array([1.0, 3.0, 4.0, 8.0]), np.array([False, False, True, True]))
    assert found["std_difference"] == pytest.approx(-4 / np.sqrt((2 + 8) / 2))


def codes(*counts):
    """Category codes and missingness with these counts (observed, missing) by category."""
    values = [
        (k, gone) for k, both in enumerate(counts) for gone in (0, 1) for _ in range(both[gone])
    ]
    array = np.array(values, dtype=float)
    return array[:, 0], array[:, 1].astype(bool)


def test_categories_get_pearsons_test():
    table = np.array([[30, 12], [25, 20], [18, 19]])
    test, found = contingency(*codes(*table))
    expected = stats.chi2_contingency(table, correction=False)
    assert test == "chi2"
    assert found["p_value"] == pytest.approx(expected.pvalue)
    assert found["df"] == 2
    assert found["cramers_v"] == pytest.approx(np.sqrt(expected.statistic / table.sum()))


def test_small_tables_get_fishers_test():
    test, found = contingency(*codes((3, 1), (1, 3)))
    assert test == "Fisher"
    assert found["p_value"] == pytest.approx(34 / 70)  # tea and milk
    assert found["statistic"] == 9


@pytest.mark.parametrize("many", [missing_model.MANY_CATEGORIES, 2])
def test_a_larger_small_table_gets_the_exact_p_value_by_random_tables(many, monkeypatch):
    monkeypatch.setattr(missing_model, "MANY_CATEGORIES", many)
    table = np.array([[4, 0], [1, 3], [2, 2]])
    test, found = contingency(*codes(*table))
    assert test == "chi2, simulated"
    # all tables with these margins
    sizes = table.sum(axis=1)
    p, own = 0.0, stats.chi2_contingency(table, correction=False).statistic
    for a in range(5):
        for b in range(5):
            c = 5 - a - b
            if 0 <= c <= 4:
                missing = np.array([a, b, c])
                each = np.column_stack([sizes - missing, missing])
                if stats.chi2_contingency(each, correction=False).statistic > own - 1e-9:
                    p += stats.multivariate_hypergeom.pmf(missing, sizes, 5)
    assert found["p_value"] == pytest.approx(p, abs=0.015)


def test_random_tables_of_many_categories_are_as_many_as_a_moment_allows(monkeypatch):
    """Ten thousand clusters took half a minute a variable."""
    sizes = np.full(600, 3)
    missing = np.random.default_rng(1).multivariate_hypergeometric(sizes, 300)
    made = codes(*np.column_stack([sizes - missing, missing]))
    every = contingency(*made)[1]["p_value"]
    monkeypatch.setattr(missing_model, "SHUFFLED_ROWS", 300 * 400)
    some = contingency(*made)[1]["p_value"]
    assert some * 401 == pytest.approx(round(some * 401)) and abs(some - every) < 0.1


def test_with_one_row_a_cluster_the_robust_test_is_nearly_welchs():
    rng = np.random.default_rng(1)
    values, missing = rng.normal(size=400), rng.random(400) < 0.3
    values[missing] += 0.2
    robust = by_clusters(values[:, None], missing, np.arange(400))
    assert robust == pytest.approx(welch(values, missing)["p_value"], rel=0.03)


def test_rows_that_are_alike_count_once_in_the_robust_test():
    rng = np.random.default_rng(2)
    values, missing = rng.normal(size=60), rng.random(60) < 0.4
    values[missing] += 0.4
    once = by_clusters(values[:, None], missing, np.arange(60))
    copies = by_clusters(
        np.tile(values, 5)[:, None], np.tile(missing, 5), np.tile(np.arange(60), 5)
    )
    assert copies == pytest.approx(once)
    assert welch(np.tile(values, 5), np.tile(missing, 5))["p_value"] < once / 2


def test_p_values_with_clusters_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(20), 15)
    found = []
    for _ in range(400):
        values = (2 * rng.normal(size=20)[cluster] + rng.normal(size=300))[:, None]
        values = np.hstack([values, rng.normal(size=20)[cluster][:, None]])
        missing = rng.random(300) < 1 / (1 + np.exp(2 * rng.normal(size=20)))[cluster]
        found.append(by_clusters(values, missing, cluster))
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.12
    assert 0.4 < np.mean(found) < 0.6


@pytest.fixture
def df():
    rng = np.random.default_rng(5)
    n = 120
    df = pd.DataFrame(
        {
            "site": rng.choice(["p", "q", "r", "s", "t", "u"], n),
            "age": rng.normal(50, 9, n),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "flag": rng.random(n) < 0.5,
            "day": pd.Timestamp("2020-01-01"),
            "empty": np.nan,
        }
    )
    df.loc[rng.choice(n, 40, replace=False), "age"] = np.nan
    df.loc[rng.choice(n, 30, replace=False), "kind"] = None
    return df


def test_every_pair_is_there_and_nothing_else(df):
    found = bi.missing_tests(df, cluster="site")
    pairs = list(zip(found["missing"], found["variable"], strict=True))
    assert pairs == [
        ("age", "site"), ("age", "kind"), ("age", "flag"), ("age", "empty"),
        ("kind", "site"), ("kind", "age"), ("kind", "flag"), ("kind", "empty"),
    ]  # fmt: skip
    assert row(found, "age", "empty")[["n_observed", "n_missing"]].tolist() == [0, 0]
    assert np.isnan(row(found, "age", "empty")["p_value"])
    matrix = found.pivot(index="missing", columns="variable", values="p_value")
    assert matrix.shape == (2, 5)
    # categories count among the clusters' ids, too
    assert row(found, "age", "site")["df"] == 5
    assert row(found, "age", "kind")["p_cluster"] > 0


def test_order_and_labels_change_nothing(df):
    plain = bi.missing_tests(df, cluster="site")
    shuffled = df.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(plain, bi.missing_tests(shuffled, cluster="site"))
    renamed = df.assign(site=df["site"].map(dict(zip("pqrstu", (5, 3, 1, 6, 2, 4), strict=True))))
    other = bi.missing_tests(renamed, cluster="site")
    other_ids = other[other["variable"] == "site"].index
    pd.testing.assert_frame_equal(plain.drop(other_ids), other.drop(other_ids))
    turned = bi.missing_tests(df[df.columns[::-1]], cluster="site")
    for _, each in plain.iterrows():
        same = row(turned, each["missing"], each["variable"])
        pd.testing.assert_series_equal(same, each, check_names=False, rtol=1e-9)


def test_complete_data_have_no_tests():
    found = bi.missing_tests(pd.DataFrame({"a": [1, 2], "b": [1, 3]}))
    assert found.empty
    assert "p_value" in found.columns
    assert "p_cluster" not in found.columns


def test_a_group_without_any_spread_is_compared_without_a_warning():
    seen = np.array([5.0, 6.5, 8.0, 9.5] * 5)
    found = welch(np.append(np.full(20, 7.1), seen), np.arange(40) < 20)
    expected = (seen.mean() - 7.1) / np.sqrt(seen.var(ddof=1) / 20)
    assert found["statistic"] == pytest.approx(expected)
    assert found["df"] == pytest.approx(19)
