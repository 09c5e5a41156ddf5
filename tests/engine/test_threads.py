"""Chains in threads: the bits of one thread, and nothing lost when something goes wrong."""

import signal
import threading

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.engine import cores as machine
from bayesimpute.engine.bench import shareable
from bayesimpute.engine.failures import StoppedWarning


def users_model(design):
    with pm.Model(coords=design.coords) as model:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        y = pm.Data("y", design.y, dims="row")
        intercept = pm.Normal("intercept", 0, 10)
        beta = pm.Normal("beta", 0, 5, dims="predictor")
        sigma = pm.HalfNormal("sigma", 5)
        pm.Normal("seen", intercept + x @ beta, sigma, observed=y, dims="row")
    return model


def run(study, cores, **given):
    arguments = {"m": 3, "iterations": 3, "seed": 4, "progress": False, **given}
    return bi.impute(study, "school", cores=cores, **arguments)


METHODS = {
    "default": {},
    "likelihoods": {"method": {"y": "normal.robust", "kind": "ordinal", "x": "normal"}},
    "selection and wrapper": {
        "method": {"y": "heckman", "x": bi.fixed_clusters("normal"), "kind": "categorical"}
    },
    "of the user's own": {
        "method": {"y": users_model, "x": "normal"},
        "post": {"x": lambda values, data, rng: values.clip(-3, 3)},
        "monitor": {"mean": lambda data: data["y"].mean()},
    },
    "a condition": {
        "method": {
            "y": bi.only_where("normal", lambda data: data["x"] > -1, otherwise=0.0),
            "x": "normal",
        }
    },
    "trees": {
        "method": dict.fromkeys(("y", "kind", "x"), "bart"),
        "model_options": {key: {"trees": 5, "tune": 20} for key in ("y", "kind", "x")},
    },
    "a block": {"method": {"y": "joint", "kind": "joint", "x": "normal"}},
}


def test_chains_of_one_design_do_not_write_into_what_they_share():
    # all predictors are complete: there is one design for all chains
    df = bi.simulate.simulate_popularity(seed=2).incomplete
    given = {"m": 6, "iterations": 12, "seed": 1, "method": "normal", "progress": False}
    one, more = (bi.impute(df, "school", cores=cores, **given) for cores in (1, 4))
    for name, drawn in one.history.parameters["popular"].items():
        np.testing.assert_array_equal(drawn, more.history.parameters["popular"][name], err_msg=name)


@pytest.mark.filterwarnings("ignore::bayesimpute.ImputationWarning")
@pytest.mark.parametrize("name", METHODS)
def test_any_number_of_cores_gives_the_same_bits(study, name):
    one, two, more = (run(study, cores, **METHODS[name]) for cores in (1, 2, 4))
    for other in (two, more):
        pd.testing.assert_frame_equal(one.complete("long"), other.complete("long"))
        for target, parameters in one.history.parameters.items():
            for key, values in parameters.items():
                np.testing.assert_array_equal(values, other.history.parameters[target][key])


def test_a_run_goes_on_with_another_number_of_cores(study, tmp_path):
    path = tmp_path / "run.nc"
    run(study, 2, iterations=1, checkpoint=path)
    gone_on = run(study, 3, checkpoint=path)
    pd.testing.assert_frame_equal(gone_on.complete("long"), run(study, 1).complete("long"))
    longer = run(study, 1, iterations=2).extend(1, cores=2)
    pd.testing.assert_frame_equal(longer.complete("long"), gone_on.complete("long"))


def test_a_failing_chain_ends_the_run_with_its_name(study, tmp_path):
    seen = threading.Event()

    def post(values, data, rng):
        if seen.is_set():
            raise ValueError("no more")
        return values

    def monitor(data):
        monitor.calls += 1
        if monitor.calls == 6:
            seen.set()
        return 0.0

    monitor.calls = 0
    with pytest.raises(
        bi.SamplingError, match=r"target 'x', imputation \d, iteration \d: .*no more"
    ):
        run(study, 2, m=4, iterations=9, post={"x": post}, monitor={"count": monitor},
            checkpoint=tmp_path / "run.nc")  # fmt: skip
    monitor.calls = -99
    seen.set()
    kept = run(study, 2, post={"x": post}, monitor={"count": monitor}, on_error="keep")
    assert (kept.events["action"] == "values kept").sum() == 9


@pytest.fixture
def interruptible():
    """Python's own answer to Ctrl-C: workers of a test run do not hear it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_returns_what_all_chains_have_finished(study, interruptible):
    def monitor(data):
        monitor.calls += 1
        if monitor.calls == 8:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return 0.0

    monitor.calls = 0
    with pytest.warns(StoppedWarning, match=r"after \d+ of 60 iterations"):
        stopped = run(study, 2, iterations=60, monitor={"count": monitor})
    assert 1 <= stopped.iterations < 60
    same = run(study, 1, iterations=stopped.iterations)
    pd.testing.assert_frame_equal(stopped.complete("long"), same.complete("long"))


def test_cores_are_whole_numbers_and_no_executors(study):
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(bi.SpecificationError, match="cores="):
            run(study, wrong)
        with pytest.raises(bi.SpecificationError, match="cores="):
            bi.sensitivity(
                study, "y", "y ~ x", "x", delta=[0, 1], method={"y": "normal"}, cores=wrong
            )
    with pytest.raises(bi.SpecificationError, match="leave one of them out"):
        run(study, 2, executor=machine.ThreadPoolExecutor(1))


def test_the_machine_has_cores_and_kernels_say_whether_they_are_shared():
    assert 1 <= machine.physical_cores() <= 4096

    class Whole:
        shareable = True

    class Part:
        parts = (Whole(), object())

    assert shareable(Whole()) and not shareable(Part()) and not shareable(object())
