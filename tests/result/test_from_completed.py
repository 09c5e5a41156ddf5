"""Imputations made elsewhere."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.report.paper import TITLE


def data(n=120):
    rng = np.random.default_rng(2)
    df = pd.DataFrame({"g": np.arange(n) % 6, "x": rng.normal(size=n)}, index=np.arange(n) + 10)
    df["y"] = df["x"] + rng.normal(size=6)[df["g"]] + rng.normal(size=n)
    df["c"] = pd.Categorical(np.where(df["y"] + rng.normal(size=n) > 0, "u", "v"))
    df["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D")
    for name in ("x", "y", "c", "day"):
        df.loc[rng.random(n) < 0.2, name] = None
    return df


@pytest.fixture(scope="module")
def run():
    return bi.impute(data(), m=3, iterations=1, seed=1, progress=False,
                     method={"day": "pmm"})  # fmt: skip


@pytest.mark.parametrize("form", ["list", "dict", "long", "without id", "Stata", "shuffled"])
def test_completed_data_come_back_as_they_went_in(run, form):
    frames = run.complete("all")
    long = run.complete("long", include=True)
    given = {
        "list": (frames, data()),
        "dict": (dict(enumerate(frames)), data()),
        "long": (long, None),
        "without id": (long[long[".imp"] > 0].drop(columns=".id"), data()),
        "Stata": (long.rename(columns={".imp": "_mi_m", ".id": "_mi_id"}).assign(_mi_miss=0), None),
        "shuffled": (long.sample(frac=1, random_state=1), data()),
    }[form]
    imp = bi.from_completed(given[0], incomplete=given[1])
    assert imp.m == 3
    for k, frame in enumerate(frames, start=1):
        found = imp.complete(k).loc[frame.index]
        pd.testing.assert_frame_equal(found, frame)
    theirs, ours = (each.fit("y ~ x + c").pool().table for each in (run, imp))
    pd.testing.assert_frame_equal(theirs, ours)


def test_everything_but_models_works_on_them(run, tmp_path):
    imp = bi.from_completed(run.complete("all"), incomplete=data(), cluster="g")
    imp.fit("y ~ x + (1 | g)").pool()
    imp.plot.density("y")
    imp.plot.strip("c")
    for panel in imp.plot.trace().axes:  # of one iteration, which a line would not show
        assert {line.get_marker() for line in panel.lines} == {"o"}
        assert all(tick == int(tick) for tick in panel.get_xticks())
    assert "made elsewhere" in repr(imp) and imp.equations() == {}
    imp.report(tmp_path / "report.html", analyses={"slope": imp.fit("y ~ x")})
    page = (tmp_path / "report.html").read_text("utf-8").replace(TITLE, "")  # of what to cite
    assert "made by another program" in page and "chained equations" not in page
    assert "imputed elsewhere" in set(imp.diagnose()["finding"])
    imp.to_netcdf(tmp_path / "imp.nc")
    again = bi.open(tmp_path / "imp.nc")
    pd.testing.assert_frame_equal(again.complete("long"), imp.complete("long"))
    assert imp.method["y"] == "elsewhere"
    for each in (imp, again):
        for call in (
            lambda i: i.extend(1), lambda i: i.more(9), lambda i: i.model("y"),
            lambda i: i.joint_model(), lambda i: i.overimpute(), lambda i: i.priors("y"),
            lambda i: i.impute_new(data()), lambda i: i.congenial("y ~ x"), lambda i: i.analysis,
            lambda i: i.plot_chains("rank"),
        ):  # fmt: skip
            with pytest.raises(SpecificationError, match="made elsewhere"):
                call(each)
    both = imp.bind(again)
    assert both.m == 6


def test_cells_that_nothing_fills_stay_missing(run):
    frames = [frame.drop(columns="day").assign(day=data()["day"]) for frame in run]
    imp = bi.from_completed(frames, incomplete=data())
    assert (imp.complete(1)["day"].isna() == data()["day"].isna()).all()


def test_what_does_not_fit_together_is_said(run):
    frames = run.complete("all")
    bad = [frame.copy() for frame in frames]
    bad[1].loc[bad[1].index[5], "g"] = 77
    holes = [frame.copy() for frame in frames]
    holes[2].loc[data()["y"].isna(), "y"] = np.nan
    cases = {
        "another value of 'g'": (bad, data()),
        "missing in imputation 3": (holes, data()),
        "lacks 'x'": ([frame.drop(columns="x") for frame in frames], data()),
        "rows, the incomplete data": ([frame[:50] for frame in frames], data()),
        "give incomplete=df": (frames, None),
        "as a list": ("file.csv", data()),
        "numbers the imputations": (frames[0], data()),
        "a category that": ([frame.assign(c="w") for frame in frames], data()),
    }  # fmt: skip
    for words, (completed, incomplete) in cases.items():
        with pytest.raises(DataError, match=words):
            bi.from_completed(completed, incomplete=incomplete)


def test_dates_between_the_steps_of_those_observed_stay_as_they_are_given(tmp_path):
    dates = pd.to_datetime(["2020-01-01", None, "2021-01-01"])
    df = pd.DataFrame({"day": dates, "exact": dates.astype("datetime64[ns]"), "x": [1, 2, 3]})
    df["month"] = pd.PeriodIndex(["2020-01", None, "2021-01"], freq="M")
    noon, june = pd.Timestamp("2020-06-01 12:00"), pd.Period("2020-06", "M")
    filled = df.fillna({"day": noon, "exact": noon.as_unit("ns"), "month": june})
    days = df.fillna({"day": noon.floor("D"), "exact": noon.floor("D"), "month": june - 1})
    imp, other = (bi.from_completed([each], incomplete=df) for each in (filled, days))
    imp.to_netcdf(tmp_path / "imp.nc")
    for each in (imp, bi.open(tmp_path / "imp.nc"), imp.assign(z=1), other.bind(imp)):
        pd.testing.assert_frame_equal(each.complete(each.m)[list(df)], filled)
    assert "seed" not in other.bind(imp).events["message"].iloc[-1]


def test_rows_are_named_as_the_user_names_them(run):
    strange = [frame.assign(g=99) for frame in run]
    with pytest.raises(DataError, match="the first at 10;"):
        bi.from_completed(strange, incomplete=data())
