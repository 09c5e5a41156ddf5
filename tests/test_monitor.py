"""Monitored quantities: recorded everywhere, kept everywhere, and without a trace in the chains."""

from concurrent.futures import ThreadPoolExecutor

import arviz
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.result.restored import require_callables


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(4)
    x = rng.normal(size=60)
    df = pd.DataFrame({"g": np.repeat(np.arange(6), 10), "x": x, "y": x + rng.normal(size=60)})
    df.loc[rng.random(60) < 0.3, "y"] = np.nan
    df.loc[rng.random(60) < 0.2, "x"] = np.nan
    return df


def slope(data):
    data["x"] += 1  # what is done to the copy must not reach the chain
    return np.polyfit(data["x"], data["y"], 1)[0]


def means(data):
    return data[["x", "y"]].mean()


MONITOR = {"slope": slope, "means": means}


def run(frame, iterations=4, **options):
    """Two short chains that take turns: a monitor that counts its calls meets them in one order."""
    turns = {} if "executor" in options else {"cores": 1}
    given = {"method": "sample", "m": 2, "iterations": iterations, "seed": 3, "progress": False}
    return bi.impute(frame, **given, **turns, **options)


@pytest.fixture(scope="module")
def imp(frame):
    return run(frame, iterations=6, monitor=MONITOR)


def same(first, second):
    pd.testing.assert_frame_equal(first.complete("long"), second.complete("long"))
    for name, draws in first.history.monitored.items():
        np.testing.assert_array_equal(draws, second.history.monitored[name])
    assert first.history.monitored.keys() == second.history.monitored.keys()
    assert first.history.monitor_labels == second.history.monitor_labels


def test_each_chain_is_followed_at_each_iteration(imp):
    assert imp.history.monitored["slope"].shape == (2, 6)
    assert imp.history.monitored["means"].shape == (2, 6, 2)
    for k in (1, 2):
        final = imp.complete(k)
        assert imp.history.monitored["slope"][k - 1, -1] == slope(final.copy())
        assert imp.history.monitored["means"][k - 1, -1].tolist() == means(final).tolist()
    assert np.ptp(imp.history.monitored["slope"]) > 0


def test_chains_are_the_same_bits_with_and_without_a_monitor(imp, frame):
    without = run(frame, iterations=6)
    assert without.history.states == imp.history.states
    assert without.history.monitored == {}
    assert "monitor" not in without.datatree.children


def test_values_that_are_imputed_over_observed_ones_are_what_the_monitor_sees(frame):
    where = frame.isna()
    where.loc[0, "y"] = True
    over = run(frame, iterations=1, where=where, monitor={"first": lambda d: d.loc[0, "y"]})
    drawn = over.history.monitored["first"][:, -1].tolist()
    assert drawn == [over.complete(k).loc[0, "y"] for k in (1, 2)]


def test_diagnostics_and_convergence_have_a_row_for_each_number(imp):
    table = imp.diagnostics().set_index(["variable", "quantity"])
    draws = imp.history.monitored["slope"]
    assert table.loc[("slope", "monitor"), "r_hat"] == arviz.rhat(draws, method="rank")
    assert table.loc[("slope", "monitor"), "ess_bulk"] == arviz.ess(draws, method="bulk")
    assert table.loc[("means", "monitor[y]"), "mean"] == pytest.approx(
        imp.history.monitored["means"][..., 1].mean()
    )
    monitored = imp.convergence("monitor")
    assert monitored["vrb"].unique().tolist() == ["slope", "means[x]", "means[y]"]
    assert np.isfinite(monitored["psrf"].iloc[-1])
    assert imp.convergence("all")["parameter"].unique().tolist() == ["mean", "sd", "monitor"]
    assert imp.convergence()["vrb"].unique().tolist() == ["x", "y"]


def test_arviz_finds_the_monitors_in_a_group_of_their_own(imp):
    assert imp.datatree["monitor"]["slope"].dims == ("chain", "draw")
    summary = arviz.summary(imp.datatree, group="monitor")
    assert list(summary.index) == ["slope", "means[x]", "means[y]"]


def test_extending_equals_one_longer_run(imp, frame):
    same(run(frame, monitor=MONITOR).extend(2, progress=False), imp)


def test_workers_give_the_same_numbers(imp, frame):
    with ThreadPoolExecutor(1) as executor:
        same(run(frame, iterations=6, monitor=MONITOR, executor=executor), imp)


def test_a_file_keeps_the_numbers_and_asks_for_the_functions_to_go_on(imp, frame, tmp_path):
    path = tmp_path / "imp.nc"
    run(frame, monitor=MONITOR).to_netcdf(path)
    opened = bi.open(path)
    np.testing.assert_array_equal(
        opened.history.monitored["means"], imp.history.monitored["means"][:, :4]
    )
    assert opened.history.monitor_labels == imp.history.monitor_labels
    require_callables(opened.specification)  # models need no monitor
    with pytest.raises(SpecificationError, match=r"monitor=\{'slope': …\} \(was slope\)"):
        opened.extend(1, progress=False)
    with pytest.raises(SpecificationError, match="'means': …"):
        bi.open(path, monitor={"slope": slope}).extend(1, progress=False)
    same(bi.open(path, monitor=MONITOR).extend(2, progress=False), imp)
    with pytest.raises(SpecificationError, match=r"bi.open\(monitor=…\) names 'other'"):
        bi.open(path, monitor={"other": slope})
    opened.to_netcdf(path)
    assert str(bi.open(path).specification.monitors["slope"]) == "slope"


def test_a_checkpoint_goes_on_and_refuses_other_monitors(imp, frame, tmp_path):
    path = tmp_path / "run.nc"
    run(frame, monitor=MONITOR, checkpoint=path)
    with pytest.raises(SpecificationError, match="different: monitor"):
        run(frame, iterations=6, monitor={"slope": slope}, checkpoint=path)
    same(run(frame, iterations=6, monitor=MONITOR, checkpoint=path), imp)


@pytest.mark.parametrize(
    ("monitor", "words"),
    [
        (slope, "monitor must be a dict"),
        ({"y": slope}, "has the name of a column"),
        ({"": slope}, "must be text that is not empty"),
        ({"slope": "x"}, "must be a function"),
        ({"slope": lambda data: data["nope"].mean()}, "'slope' fails on the start data.*KeyError"),
        ({"slope": lambda data: None}, "NoneType 'None', not a number"),
        ({"slope": lambda data: "steep"}, "str 'steep', not a number"),
        ({"slope": lambda data: np.arange(3)}, "ndarray .*not a number"),
        ({"slope": lambda data: {}}, "an empty dict"),
        ({"slope": lambda data: {"x": 1, "z": "a"}}, "its 'z' is str 'a'"),
        ({"slope": lambda data: float("nan")}, "it is nan, not a finite number"),
        ({"slope": lambda data: pd.Series([1, 2], index=["a", "a"])}, "labels repeat"),
    ],
)  # fmt: skip
def test_a_wrong_monitor_is_refused_before_any_work(frame, monitor, words, monkeypatch):
    monkeypatch.setattr("bayesimpute.engine.bench.Bench.of", None)
    with pytest.raises(SpecificationError, match=words):
        run(frame, monitor=monitor)


def late(calls):
    """A monitor that works so many times: the start data, then on one core both chains in turn."""
    seen = iter(range(100))

    def failing(data):
        if next(seen) >= calls:
            raise ZeroDivisionError("no spread")
        return 1.0

    return failing


def test_a_monitor_that_fails_later_is_named_with_its_place(frame):
    with pytest.raises(
        SamplingError, match="monitor 'share', imputation 1, iteration 3: ZeroDivisionError: no spr"
    ):
        run(frame, monitor={"share": late(5)})


def test_a_failing_monitor_can_be_kept_going_without(frame):
    imp = run(frame, monitor={"share": late(4), "slope": slope}, on_error="keep")
    assert np.isnan(imp.history.monitored["share"]).tolist() == [
        [False] * 2 + [True] * 2,
        [False] + [True] * 3,
    ]
    assert np.isfinite(imp.history.monitored["slope"]).all()
    failed = imp.events[imp.events["action"] == "monitor failed"]
    assert failed["variable"].unique().tolist() == ["share"]
    assert failed[["imputation", "iteration"]].iloc[0].tolist() == [2, 2]


def test_elements_must_stay_the_same(frame):
    answers = iter([{"a": 1, "b": 2}, {"a": 1, "c": 2}])
    with pytest.raises(SamplingError, match="the elements a, c here and the elements a, b"):
        run(frame, monitor={"fit": lambda data: next(answers)})
