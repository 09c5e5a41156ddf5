"""Columns that other columns give exactly are computed; what is nearly so is only said."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.relations import step_expression
from bayesimpute.specification.specification import Passive
from bayesimpute.specification.specify import specify

RUN = {"m": 2, "iterations": 1, "seed": 1, "progress": False}
N = 120


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def with_gaps(frame, rng, **shares):
    return frame.assign(**{c: frame[c].mask(rng.random(len(frame)) < p) for c, p in shares.items()})


def weights(rng):
    kg = rng.normal(70, 10, N)
    return pd.DataFrame({"y": kg / 10 + rng.normal(size=N), "kg": kg, "lb": kg * 2.2046})


def scores(rng):
    items = np.round(4 + rng.normal(size=(N, 1)) + rng.normal(size=(N, 3)))
    frame = pd.DataFrame(items, columns=["i1", "i2", "i3"])
    return frame.assign(total=frame.sum(axis=1))


def said(events, action):
    return [e for e in events if e.action == action]


def test_a_copy_of_a_complete_column_is_computed(rng):
    truth = weights(rng)
    frame = with_gaps(truth, rng, kg=0.3)
    imp = bi.impute(frame, **RUN)
    assert np.allclose(imp.complete(2)["kg"], truth["kg"], rtol=1e-12)
    assert imp.complete(0).equals(frame)
    event = imp.events[imp.events["action"] == "computed exactly"]
    assert event["message"].str.contains("kg = lb / 2.2046 in all", regex=False).tolist() == [True]
    assert "kg = lb / 2.2046" in str(imp.diagnose())
    assert imp.method["kg"] == "~ I(lb / 2.2046)"


def test_with_gaps_in_both_what_one_knows_gives_the_other_and_the_rest_agrees(rng):
    truth = weights(rng)
    frame = with_gaps(truth, rng, kg=0.3, lb=0.2)
    imp = bi.impute(frame, method="normal", **RUN)
    one_known = frame["kg"].isna() ^ frame["lb"].isna()
    neither = frame["kg"].isna() & frame["lb"].isna()
    for k in (1, 2):
        filled = imp.complete(k)
        assert np.allclose(filled.loc[one_known, ["kg", "lb"]], truth.loc[one_known, ["kg", "lb"]])
        assert np.allclose(filled["lb"], filled["kg"] * 2.2046)
    drawn = [imp.complete(k).loc[neither, "lb"] for k in (1, 2)]
    assert neither.any() and (drawn[0] != drawn[1]).all()


def test_the_model_learns_from_the_cells_that_follow(rng):
    frame = with_gaps(weights(rng), rng, kg=0.4, lb=0.2)
    specification = specify(frame, method="normal")
    assert isinstance(specification.targets["kg"], Passive)
    known = ~np.isnan(specification.known["lb"])
    assert np.array_equal(known, (frame["kg"].notna() | frame["lb"].notna()).to_numpy())


def test_a_total_that_is_missing_with_its_items_is_their_sum(rng):
    frame = with_gaps(scores(rng), rng, i1=0.1, i2=0.1, i3=0.1)
    frame["total"] = frame[["i1", "i2", "i3"]].sum(axis=1, skipna=False)
    imp = bi.impute(frame, method="pmm", **RUN)
    filled = imp.complete(1)
    assert filled["total"].equals(filled[["i1", "i2", "i3"]].sum(axis=1))
    assert imp.method["total"] == "~ I(i1 + i2 + i3)"
    assert not (imp.events["action"] == "predictor dropped").any()


def test_one_missing_item_beside_a_known_total_is_deduced(rng):
    truth = scores(rng)
    frame = truth.copy()
    for row in range(0, N, 2):
        frame.loc[row, f"i{row // 2 % 3 + 1}"] = np.nan
    imp = bi.impute(frame, **RUN)
    assert imp.complete(1).equals(truth)
    assert not imp.specification.visit_sequence


def test_rows_in_which_a_sum_cannot_be_kept_are_counted(rng):
    frame = with_gaps(scores(rng), rng, i1=0.3, i2=0.3, i3=0.3)
    specification = specify(frame, method="pmm")
    (event,) = said(specification.events, "identity not kept")
    missing = frame.isna()
    (computed,) = [n for n, t in specification.targets.items() if isinstance(t, Passive)]
    others = missing[["i1", "i2", "i3"]].drop(columns=computed).sum(axis=1)
    assert event.message.startswith(f"In {(~missing[computed] & (others == 2)).sum()} row(s)")


def test_a_code_and_its_label_are_kept_together(rng):
    code = rng.integers(1, 5, N)
    frame = pd.DataFrame({"y": rng.normal(size=N), "code": code * 1.0})
    frame["label"] = pd.Categorical(np.array(list("dbca"))[code - 1])
    gaps = with_gaps(frame, rng, code=0.2, label=0.2)
    imp = bi.impute(gaps, method="pmm", **RUN)
    filled = imp.complete(1)
    assert (np.array(list("dbca"))[filled["code"].astype(int) - 1] == filled["label"]).all()
    one_known = ~(gaps["code"].isna() & gaps["label"].isna())
    assert filled.loc[one_known].equals(frame.loc[one_known])
    assert "code ↔ label" in imp.events["message"].str.cat()


def test_a_region_follows_from_its_complete_district_only(rng):
    district = rng.choice(list("abcdef"), N)
    frame = pd.DataFrame({"y": rng.normal(size=N), "district": district})
    frame["region"] = np.where(frame["district"] < "d", "north", "south")
    imp = bi.impute(with_gaps(frame, rng, region=0.3), **RUN)
    assert imp.complete(1).equals(frame)
    specification = specify(with_gaps(frame, rng, region=0.3, district=0.3), method="pmm")
    assert not said(specification.events, "computed exactly")


def test_units_with_an_offset_and_several_copies(rng):
    celsius = np.round(rng.normal(20, 5, N), 1)
    truth = pd.DataFrame({"c": celsius, "f": celsius * 1.8 + 32, "k": celsius + 273.15})
    frame = with_gaps(truth, rng, c=0.3, f=0.3, k=0.3).assign(z=rng.normal(size=N))
    filled = bi.impute(frame, method="normal", **RUN).complete(1)
    known = frame[["c", "f", "k"]].notna().any(axis=1)
    assert np.allclose(filled.loc[known, ["c", "f", "k"]], truth.loc[known])
    assert np.allclose(filled["f"], filled["c"] * 1.8 + 32)
    assert np.allclose(filled["k"], filled["c"] + 273.15)


@pytest.mark.parametrize(("far", "offset"), [(1.6e9, 30.0), (1e6, 0.01), (-1e8, 0.5)])
def test_an_offset_is_kept_however_far_from_zero_the_numbers_are(rng, far, offset):
    start = far + rng.integers(0, 10**5, N).astype(float)
    frame = with_gaps(pd.DataFrame({"start": start, "end": start + offset}), rng, end=0.3)
    specification = specify(frame)
    filled = specification.known["end"]
    np.testing.assert_allclose(filled, start + offset, rtol=1e-15)


def test_coefficients_that_cannot_be_shortened_are_numbers_too(rng):
    x = rng.normal(20, 5, N)
    y = np.round(x / 7 + np.pi, 9)  # exact to its last decimal only
    frame = with_gaps(pd.DataFrame({"x": x, "y": y}), rng, y=0.3)
    np.testing.assert_allclose(specify(frame).known["y"], y, atol=1e-8)


@pytest.mark.parametrize("values", [[0.3, 0.1 + 0.2], [2.0**53, 2.0**53 + 2, 2.0**53 + 4], [1, 2]])
def test_steps_between_neighbouring_numbers_fall_between_them(values):
    source, results = np.array(values, dtype=float), np.arange(len(values)) * 1.0
    text = step_expression("code", source, results)
    assert evaluate(text, {"code": source}).tolist() == results.tolist()


@pytest.mark.parametrize("spoil", ["rounded", "mistyped"])
def test_what_is_nearly_exact_is_kept_and_said_once(rng, spoil):
    frame = weights(rng)
    if spoil == "rounded":
        frame["lb"] = frame["lb"].round(1)
    else:
        frame.loc[5, "lb"] = 20.0
    frame.loc[20:50, "kg"] = np.nan
    specification = specify(frame.assign(lb=frame["lb"].mask(frame.index > 110)), method="pmm")
    assert not said(specification.events, "computed exactly")
    (event,) = said(specification.events, "nearly exact")
    assert "'kg'" in event.message and "'lb'" in event.message
    assert "in 1 of" in event.message if spoil == "mistyped" else "R² 0.99999" in event.message


def test_a_method_of_the_users_own_is_kept_and_said(rng):
    frame = with_gaps(weights(rng), rng, kg=0.3)
    specification = specify(frame, method={"kg": bi.delta("normal", -1.0)})
    assert not isinstance(specification.targets["kg"], Passive)
    assert specification.predictors.loc["kg"].tolist() == [1, 0, 0]
    (event,) = said(specification.events, "identity not kept")
    assert "'kg' keeps the model asked for" in event.message


def test_columns_that_agree_by_chance_or_are_properties_of_clusters_are_left(rng):
    frame = pd.DataFrame({"a": [0, 1, 0, 1, 1, 0, 1, 0, 1, np.nan], "b": [0, 1] * 5})
    frame["b"] = [0, 1, 0, 1, 1, 0, 1, 0, 1, 1]
    assert not said(specify(frame, method="pmm").events, "computed exactly")
    school = np.repeat(np.arange(12), 10)
    size = pd.Series(rng.choice(["small", "large"], 12)[school])
    clustered = pd.DataFrame({"school": school, "y": rng.normal(size=N), "size": size})
    clustered.loc[::7, "size"] = np.nan
    specification = specify(clustered, cluster="school", method="pmm")
    assert not said(specification.events, "computed exactly")
    assert specification.targets["size"].level == 2


def test_it_survives_the_file_and_goes_on(rng, tmp_path):
    frame = with_gaps(weights(rng), rng, kg=0.3, lb=0.2)
    imp = bi.impute(frame, method="normal", **RUN)
    imp.to_netcdf(tmp_path / "run.nc")
    longer = bi.open(tmp_path / "run.nc").extend(1)
    assert longer.complete(1).equals(imp.extend(1).complete(1))


@pytest.mark.parametrize("schools", [5, 8, 12])
@pytest.mark.parametrize("cluster", ["g", None])
def test_properties_of_few_schools_that_agree_are_no_identity(schools, cluster):
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(schools), 20)
    numbers = rng.normal(size=(schools, 4))
    half = np.resize([0.0, 1.0], schools)
    frame = pd.DataFrame(numbers[g], columns=list("abcd")).assign(
        g=g, sector=half[g], urban=np.where(half == 1, "u", "r")[g], y=rng.normal(size=len(g))
    )
    frame["mean"], frame["region"] = frame["b"], np.resize(["n", "s", "e"], schools)[g]
    frame.loc[g == schools - 1, ["a", "sector", "mean", "region"]] = np.nan
    frame.loc[g > 2, ["c", "region"]] = np.nan
    specification = specify(frame, cluster=cluster, method="pmm")
    assert not [e.message for e in specification.events if e.action == "computed exactly"]


def test_properties_of_many_schools_are_one_where_they_are():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(60), 5)
    size, half = rng.normal(size=60), rng.integers(0, 2, 60) * 1.0
    frame = pd.DataFrame({"g": g, "size": size[g], "double": 2 * size[g], "half": half[g]})
    frame["label"] = np.where(half == 1, "u", "r")[g]
    frame.loc[g > 50, ["double", "label"]] = np.nan
    specification = specify(frame, cluster="g", method="pmm")
    said = {e.variable for e in specification.events if e.action == "computed exactly"}
    assert said == {"double", "label"}


def test_a_third_name_of_the_same_groups_takes_nothing_away():
    rng = np.random.default_rng(0)
    code = rng.integers(0, 12, 300)
    answer = rng.integers(1, 6, 300) * 1.0
    frame = pd.DataFrame(
        {
            "iso2": [f"c{k}" for k in code], "iso3": [f"co{k}" for k in code],
            "country": [f"country {k}" for k in code], "item": answer, "reversed": 6 - answer,
            "copy": answer, "y": rng.normal(size=300),
        }
    )  # fmt: skip
    frame.loc[:20, "country"] = None
    frame.loc[30:50, "reversed"] = np.nan
    specification = specify(frame, method="pmm")
    said = {e.variable for e in specification.events if e.action == "computed exactly"}
    assert said == {"country", "reversed"}
