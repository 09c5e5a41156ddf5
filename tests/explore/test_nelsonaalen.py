"""The cumulative hazard is that of mice and survival, ties and all."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi


@pytest.mark.parametrize("name", ["leukemia", "lung60"])
def test_efron_ties_give_the_numbers_of_mice(name, reference):
    expected = reference("nelsonaalen")[name]
    df = pd.DataFrame({"t": expected["time"], "d": expected["status"]})
    ours = bi.nelsonaalen(df, "t", "d")
    np.testing.assert_allclose(ours, expected["na"], rtol=1e-8)


def test_both_kinds_of_ties_on_numbers_done_by_hand():
    df = pd.DataFrame({"t": [1, 2, 2, 2, 3, 4, 4, 5], "d": [1, 1, 1, 0, 1, 1, 1, 0]})
    efron = np.cumsum([1 / 8, 1 / 7 + 1 / 6, 1 / 4, 1 / 3 + 1 / 2])
    breslow = np.cumsum([1 / 8, 2 / 7, 1 / 4, 2 / 3])
    at = [0, 1, 1, 1, 2, 3, 3, 3]
    np.testing.assert_allclose(bi.nelsonaalen(df, "t", "d"), efron[at])
    np.testing.assert_allclose(bi.nelsonaalen(df, "t", "d", ties="breslow"), breslow[at])


def test_a_stratum_has_the_hazard_of_its_rows_alone():
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"t": rng.integers(1, 9, 60), "d": rng.random(60) < 0.6})
    df["site"] = rng.choice(["x", "y", "z"], 60)
    together = bi.nelsonaalen(df, "t", "d", strata="site")
    for _, part in df.groupby("site"):
        np.testing.assert_array_equal(together[part.index], bi.nelsonaalen(part, "t", "d"))
    renamed = df.assign(site=df["site"].map({"x": 3, "y": 1, "z": 2}))
    pd.testing.assert_series_equal(together, bi.nelsonaalen(renamed, "t", "d", strata="site"))


def test_rows_in_any_order_keep_their_hazard():
    rng = np.random.default_rng(2)
    df = pd.DataFrame({"t": rng.integers(1, 9, 40), "d": rng.integers(0, 2, 40)})
    shuffled = df.sample(frac=1, random_state=1)
    found = bi.nelsonaalen(shuffled, "t", "d")
    assert list(found.index) == list(shuffled.index)
    pd.testing.assert_series_equal(found.sort_index(), bi.nelsonaalen(df, "t", "d"))


def test_what_is_missing_is_not_at_risk():
    df = pd.DataFrame({"t": [1.0, 2.0, np.nan, 2.0, 0.5], "d": [1, 1, 1, None, 0]})
    found = bi.nelsonaalen(df, "t", "d")
    # at risk: three rows at 0.5, two at 1, one at 2
    np.testing.assert_allclose(found, [1 / 2, 3 / 2, np.nan, 3 / 2, 0])


def test_status_may_be_boolean():
    df = pd.DataFrame({"t": [1, 2, 3], "d": [True, False, True]})
    for status in (df["d"], df["d"].astype("boolean"), df["d"].astype(object), df["d"] * 1.0):
        found = bi.nelsonaalen(df.assign(d=status), "t", "d")
        np.testing.assert_allclose(found, [1 / 3, 1 / 3, 4 / 3])


def test_what_is_no_survival_time_says_so():
    df = pd.DataFrame({"t": [1, 2, 3], "d": [1, 2, 1], "s": ["a", None, "b"], "e": [np.nan] * 3})
    with pytest.raises(bi.DataError, match="'d' must be 1 for an event and 0 for censoring"):
        bi.nelsonaalen(df, "t", "d")
    with pytest.raises(bi.DataError, match="needs times as numbers"):
        bi.nelsonaalen(df, "s", "d")
    good = df.assign(d=[1, 0, 1])
    with pytest.raises(bi.DataError, match=r"'s' is missing in 1 row\(s\), the first at index 1"):
        bi.nelsonaalen(good, "t", "d", strata="s")
    with pytest.raises(bi.DataError, match="no observed value"):
        bi.nelsonaalen(df, "t", "e")
    with pytest.raises(bi.DataError, match="no observed value"):
        bi.nelsonaalen(
            pd.DataFrame({"time": [1.0], "died": pd.array([None], "str")}), "time", "died"
        )
    with pytest.raises(bi.SpecificationError, match="Did you mean 'breslow'"):
        bi.nelsonaalen(good, "t", "d", ties="Breslow")
    with pytest.raises(bi.SpecificationError, match="time= names 'tt'"):
        bi.nelsonaalen(good, "tt", "d")
