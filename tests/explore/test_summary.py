"""One row a variable: kind, level, and which clusters lack it."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi


@pytest.fixture
def df():
    return pd.DataFrame(
        {
            "site": ["b", "b", "b", "a", "a", "a", "c", "c", "c"],
            "size": [10, 10, np.nan, 20, 20, 20, 30, np.nan, 30],
            "x": [1.0, np.nan, 3.0, np.nan, np.nan, np.nan, 4.0, 5.0, 9.0],
            "sex": ["f", "m", "f", None, "f", "m", "m", "f", "f"],
            "seen": pd.to_datetime(["2020-01-01"] * 8 + [None]),
        }
    )


def test_systematic_and_sporadic_clusters_are_told_apart(df):
    found = bi.missing_summary(df, cluster="site")
    assert found.index.tolist() == list(df.columns)
    assert found.loc["x", "systematic_clusters"] == ("a",)
    assert found.loc["x", "sporadic_clusters"] == ("b",)
    assert found.loc["sex", "sporadic_clusters"] == ("a",)
    assert found["kind"].tolist() == ["nominal", "numeric", "numeric", "binary", "other"]
    assert found["level"].tolist() == [2, 2, 1, 1, 2]
    assert found.loc["x", ["n_observed", "n_missing"]].tolist() == [5, 4]
    assert found.loc["x", "share_missing"] == pytest.approx(4 / 9)
    assert found.loc["size", "icc"] == 1
    assert np.isnan(found.loc["seen", "icc"])


def test_without_a_cluster_only_rows_are_counted(df):
    found = bi.missing_summary(df)
    assert list(found.columns) == ["kind", "n_observed", "n_missing", "share_missing"]


@pytest.mark.parametrize(
    "ids",
    [
        lambda s: s.map({"a": 3, "b": 1, "c": 2}),
        lambda s: s.map({"a": 3.5, "b": 1.0, "c": 2.5}),
        lambda s: s.astype("category"),
        lambda s: s.map({"a": "x", "b": 7, "c": (1, 2)}),
        lambda s: s.map({"a": "2020-01-01", "b": "2021-01-01", "c": "2022-01-01"}).astype("M8[s]"),
    ],
)
def test_ids_of_any_type_give_the_same(df, ids):
    columns = ["level", "systematic", "sporadic", "inconsistent", "icc"]
    plain = bi.missing_summary(df, cluster="site")[columns]
    other = bi.missing_summary(df.assign(site=ids(df["site"])), cluster="site")[columns]
    pd.testing.assert_frame_equal(plain, other)


def test_rows_and_columns_may_come_in_any_order(df):
    plain = bi.missing_summary(df, cluster="site")
    shuffled = df.sample(frac=1, random_state=2)[df.columns[::-1]]
    other = bi.missing_summary(shuffled, cluster="site").loc[df.columns]
    pd.testing.assert_frame_equal(plain, other)


def test_a_property_of_clusters_recorded_inconsistently_is_found():
    rng = np.random.default_rng(1)
    site = np.repeat(np.arange(30), 20)
    size = rng.normal(size=30)[site]
    size[site == 4] += np.arange(20) == 3
    rare = (np.arange(600) == 77).astype(int)
    found = bi.missing_summary(pd.DataFrame({"site": site, "size": size, "rare": rare}), "site")
    assert found.loc["size", "inconsistent_clusters"] == (4,)
    # a rare event is constant in most clusters by chance
    assert found.loc["rare", "inconsistent"] == 0


def test_the_icc_column_is_that_of_lmer(shared_data):
    popmis = bi.missing_summary(shared_data("popmis"), cluster="school")
    assert popmis.loc["popular", "icc"] == pytest.approx(0.563, abs=5e-4)
    assert popmis.loc["popular", "sporadic"] == 100
    obesity = bi.missing_summary(shared_data("obesity").dropna(), cluster="Cluster")
    assert obesity.loc["BMI", "icc"] == pytest.approx(0.362, abs=5e-4)


def test_a_missing_cluster_id_is_an_error_that_says_where(df):
    df.loc[4, "site"] = None
    with pytest.raises(
        bi.DataError, match=r"'site' is missing in 1 row\(s\), the first at index 4"
    ):
        bi.missing_summary(df, cluster="site")
    with pytest.raises(bi.SpecificationError, match="Did you mean 'site'"):
        bi.missing_summary(df, cluster="sites")
