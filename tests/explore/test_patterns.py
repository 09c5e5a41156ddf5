"""Patterns, pairs and flux are those of mice, number by number."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi

#: Columns that R had, where they are not those of the file.
COLUMNS = {"popmis": ["school", "popular", "texp", "sex"]}


@pytest.fixture
def data(shared_data, shared_path):
    def as_in_r(name: str) -> pd.DataFrame:
        if name.startswith("impact"):
            # "None" is a category of pupil
            path = shared_path("impact_incomplete")
            df = pd.read_csv(path, keep_default_na=False, na_values=[""])
            return df.drop(columns="hypox") if name == "impact_no_hypox" else df
        df = shared_data(name)
        return df[COLUMNS.get(name, list(df.columns))]

    return as_in_r


@pytest.fixture
def gaps():
    return pd.DataFrame(
        {"a": [1.0, 2.0, np.nan, 4.0], "b": ["x", None, None, "y"], "c": [True, False, True, True]},
        index=[7, 3, 5, 1],
    )


@pytest.mark.parametrize(
    "name", ["nhanes", "popmis", "boys", "obesity", "impact_no_hypox", "impact"]
)
def test_missing_pattern_is_the_md_pattern_of_mice(name, data, reference):
    expected = reference("md_pattern")["md.pattern"][name]
    ours = bi.missing_pattern(data(name))
    assert list(ours.columns[:-1]) == expected["cols"][:-1]
    assert ours.to_numpy().tolist() == expected["values"]
    counts = ours.index.get_level_values("n_rows")
    assert [str(count) for count in counts[:-1]] == expected["rows"][:-1]


@pytest.mark.parametrize("name", ["nhanes", "boys", "obesity"])
def test_missing_pairs_are_the_md_pairs_of_mice(name, data, reference):
    expected = reference("md_pairs")["md.pairs"][name]
    ours = bi.missing_pairs(data(name))
    assert list(ours) == ["rr", "rm", "mr", "mm"]
    for key in ours:
        assert list(ours[key].index) == expected[key]["rows"]
        assert list(ours[key].columns) == expected[key]["cols"]
        assert ours[key].to_numpy().tolist() == expected[key]["values"]


@pytest.mark.parametrize("name", ["boys", "nhanes", "obesity", "impact"])
def test_flux_is_that_of_mice(name, data, reference):
    expected = reference("flux")["flux"][name]
    ours = bi.flux(data(name))
    assert list(ours.index) == expected["rows"]
    assert list(ours.columns) == expected["cols"]
    values = np.array(expected["values"], dtype=float)
    np.testing.assert_allclose(ours.to_numpy(), values, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["boys", "nhanes"])
def test_fico_is_that_of_mice(name, data, reference):
    expected = np.array(reference("flux")["fico"][name]["values"])[:, 0]
    np.testing.assert_allclose(bi.flux(data(name))["fico"], expected, rtol=1e-8)


@pytest.mark.parametrize("name", ["nhanes", "boys", "obesity"])
def test_complete_and_incomplete_cases_are_counted_as_mice_does(name, data, reference):
    expected = reference("defaults")["nimp_ncc_nic"][name]
    df = data(name)
    assert len(bi.complete_cases(df)) == expected["ncc"]
    assert len(bi.incomplete_cases(df)) == expected["nic"]


def test_local_flux_is_that_of_the_columns_alone(data):
    boys = data("boys")
    chosen = ["tv", "hgt", "reg"]
    pd.testing.assert_frame_equal(bi.flux(boys, local=chosen), bi.flux(boys[chosen]))


def test_a_variable_without_values_has_influx_1_and_outflux_0():
    df = pd.DataFrame({"empty": [np.nan, np.nan], "full": [1, 2]})
    found = bi.flux(df)
    assert found.loc["empty", ["influx", "outflux"]].tolist() == [1, 0]
    assert found.loc["full", ["influx", "outflux"]].tolist() == [0, 1]


@pytest.mark.parametrize("table", [bi.missing_pattern, bi.flux, lambda df: bi.missing_pairs(df).mr])
def test_the_order_of_rows_changes_nothing(table, gaps, data):
    for df in (gaps, data("nhanes")):
        pd.testing.assert_frame_equal(table(df), table(df.sample(frac=1, random_state=1)))


def test_the_order_of_columns_only_reorders(data):
    df = data("boys")
    turned = df[df.columns[::-1]]
    pd.testing.assert_frame_equal(bi.flux(turned).loc[df.columns], bi.flux(df))
    pairs, backwards = bi.missing_pairs(df), bi.missing_pairs(turned)
    for key in pairs:
        same = backwards[key].loc[df.columns, df.columns]
        pd.testing.assert_frame_equal(same, pairs[key])

    # ties of missing counts stand as in the data, so patterns may be sorted otherwise
    def patterns(table):
        return {tuple(row) for row in table[df.columns].iloc[:-1].reset_index("n_rows").to_numpy()}

    assert patterns(bi.missing_pattern(turned)) == patterns(bi.missing_pattern(df))


def test_patterns_of_clusters_add_up_to_those_of_all(data):
    df = data("obesity")
    together = bi.missing_pattern(df)
    apart = bi.missing_pattern(df, cluster="Cluster")
    assert list(apart.columns) == list(together.columns)

    def counts(table):
        rows = table.drop("missing", level="pattern").reset_index("n_rows")
        return rows.groupby(list(table.columns))["n_rows"].sum()

    pd.testing.assert_series_equal(counts(apart), counts(together))
    renamed = bi.missing_pattern(df.assign(Cluster=df["Cluster"].map("s{}".format)), "Cluster")
    assert renamed.to_numpy().tolist() == apart.to_numpy().tolist()


def test_the_users_frame_is_left_alone(gaps):
    before = gaps.copy(deep=True)
    bi.missing_pattern(gaps, cluster="c")
    bi.missing_pairs(gaps), bi.flux(gaps)
    part = bi.complete_cases(gaps)
    part["a"] = 0.0
    pd.testing.assert_frame_equal(gaps, before)


def test_complete_data_have_one_pattern():
    found = bi.missing_pattern(pd.DataFrame({"a": [1, 2], "b": [3, 4]}))
    assert found.index.tolist() == [(1, 2), ("missing", 2)]
    assert found.to_numpy().tolist() == [[1, 1, 0], [0, 0, 0]]


def test_errors_name_what_is_wrong(gaps):
    with pytest.raises(bi.SpecificationError, match=r"local= names 'aa'.*Did you mean 'a'"):
        bi.flux(gaps, local=["aa"])
    with pytest.raises(bi.SpecificationError, match="local= names no variable"):
        bi.flux(gaps, local=[])
    with pytest.raises(bi.SpecificationError, match="rename it"):
        bi.missing_pattern(gaps.rename(columns={"a": "n_missing"}))
    with pytest.raises(bi.DataError, match=r"'b' is missing in 2 row\(s\)"):
        bi.missing_pattern(gaps, cluster="b")
    with pytest.raises(bi.DataError, match="no rows"):
        bi.missing_pairs(gaps.iloc[:0])
    with pytest.raises(KeyError):
        bi.missing_pairs(gaps)["xx"]


def test_pairs_show_themselves(gaps):
    pairs = bi.missing_pairs(gaps)
    assert all(name in repr(pairs) for name in ("rr", "rm", "mr", "mm"))
    assert pairs._repr_html_().count("<table") == 4
