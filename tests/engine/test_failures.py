"""What the user's own code, a worker or Ctrl-C does to a run, and what is said of it."""

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.engine.chain import ChainState
from bayesimpute.engine.failures import StoppedWarning
from bayesimpute.method import Adaptation, Visit


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(5)
    df = pd.DataFrame({"g": np.repeat(np.arange(6), 5), "y": rng.normal(size=30)})
    df["kind"] = pd.Categorical(rng.choice(["lo", "mid", "hi"], 30), categories=["lo", "mid", "hi"])
    df["size"] = np.repeat(rng.normal(size=6), 5)
    df.loc[df["g"] == 2, "size"] = np.nan
    for name in ("y", "kind"):
        df[name] = df[name].mask(rng.random(30) < 0.4)
    return df


def run(frame, **options):
    given = {"method": "sample", "m": 2, "iterations": 3, "seed": 3, "progress": False}
    if "executor" not in options:
        given["cores"] = 1  # calls are counted, so chains take turns
    return bi.impute(frame, **{**given, **options})


def raising(error):
    def post(values, data, rng):
        raise error

    return {"y": post}


KINDS = [
    KeyError("dose"), IndexError(), ValueError("no"), AttributeError("x"), NameError("n"),
    TypeError("t"), AssertionError(), StopIteration(), OSError("disk"), ImportError("m"),
    NotImplementedError(), RecursionError(), UnicodeError("u"), LookupError(), SystemExit(2),
    bi.DataError("of ours"), Exception("plain"),
]  # fmt: skip


@pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)
def test_whatever_post_raises_is_named_with_its_place_and_can_be_kept(frame, error):
    with pytest.raises(bi.SamplingError, match=r"target 'y', imputation 1, iteration 1: ") as said:
        run(frame, post=raising(error))
    assert said.value.__cause__ is error
    assert str(error) in str(said.value)
    imp = run(frame, post=raising(error), on_error="keep")
    kept = imp.events[imp.events["action"] == "values kept"]
    assert len(kept) == 6 and set(kept["variable"]) == {"y"}
    assert not imp.complete(2).isna().any().any()


def test_a_model_that_has_failed_throughout_is_said_to_have(frame):
    imp = run(frame, post=raising(ValueError("no")), on_error="keep")
    for asked in (lambda: imp.impute_new(frame[:3].assign(y=np.nan)), lambda: imp.predictive("y")):
        with pytest.raises(ValueError, match="has failed at every iteration"):
            asked()
    known = imp.impute_new(frame[:3].assign(y=1.0))  # models of others can be asked
    assert not known[0].isna().any().any()


def test_values_that_stand_in_a_model_which_has_failed_wait_for_it(frame):
    """Their distribution is that model's too; what keeps them is among the events."""
    frame = frame.assign(x=np.where(frame.index % 4, frame["y"].fillna(0.3) ** 2, np.nan))
    options = {"method": "normal", "cluster": "g", "analysis": "y ~ x", "on_error": "keep"}
    imp = run(frame[["g", "y", "x"]], post=raising(ValueError("no")), **options)
    kept = imp.events[imp.events["action"] == "values kept"]
    assert kept["variable"].value_counts().to_dict() == {"y": 6, "x": 6}
    assert kept.loc[kept["variable"] == "x", "message"].str.contains("of 'y' has failed").all()


def test_want_of_memory_is_not_kept_going_without(frame):
    with pytest.raises(bi.SamplingError, match="MemoryError"):
        run(frame, post=raising(MemoryError()), on_error="keep")


@pytest.mark.parametrize(
    ("target", "post", "words"),
    [
        ("y", lambda v, d, r: v[:-1], r"must return \d+ finite numbers.*returned shape"),
        ("y", lambda v, d, r: v[:, None], "returned shape"),
        ("y", lambda v, d, r: 0.0, r"returned shape \(\)"),
        ("y", lambda v, d, r: None, "returned"),
        ("y", lambda v, d, r: np.where(v > 0, np.nan, v), "are missing or infinite"),
        ("y", lambda v, d, r: v / 0, "are missing or infinite"),
        ("y", lambda v, d, r: v + 1j, "returned"),
        ("y", lambda v, d, r: ["low"] * len(v), "it returned .*low"),
        ("kind", lambda v, d, r: v + 1, "returned 3, which is no category.*2 = 'hi'"),
        ("kind", lambda v, d, r: v - 1, "returned -1, which is no category"),
        ("kind", lambda v, d, r: v + 0.5, "which is no category of it; there are 0, 1, 2"),
        ("kind", lambda v, d, r: ["hi"] * len(v), "by position: 0 = 'lo'.*returned .*hi"),
        ("size", lambda v, d, r: v + r.normal(size=v.size), "several values in g 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_post_gives_is_looked_at_before_it_is_stored(frame, target, post, words):
    with pytest.raises(
        bi.SamplingError, match=rf"'{target}', imputation 1, iteration 1: .*{words}"
    ):
        run(
            frame,
            method={"y": "sample", "kind": "sample", "size": "2lonly.pmm"},
            cluster="g",
            post={target: post},
        )


def test_a_code_of_a_number_must_be_one_of_those_seen(frame):
    df = frame[["y"]].assign(y=(frame["y"] > 0).astype(float).where(frame["y"].notna()))
    with pytest.raises(bi.SamplingError, match=r"returned 0\.5, which is no category.*are 0, 1"):
        run(df, method="logistic", post={"y": lambda v, d, r: v * 0 + 0.5}, iterations=1)
    flipped = run(df, method="logistic", post={"y": lambda v, d, r: 1 - v}, iterations=1)
    assert set(flipped.complete(1)["y"]) == {0.0, 1.0}


class OfTheUser:
    """A method of the user's: draws what it is told."""

    kinds = frozenset(Kind)

    def __init__(self, **does):
        self.does = does
        self.options = {}
        self.labels = {"level": ()}

    def model(self, design, priors, options):
        raise LookupError("no model")

    def kernel(self, design, priors, options):
        self.done("kernel")
        return self

    def done(self, step, value=None):
        does = self.does.get(step, value)
        if isinstance(does, BaseException):
            raise does
        return does

    def adapt(self, design, rng):
        self.done("adapt")
        return Adaptation(1.0, np.ones(1), np.zeros(1), np.ones(1))

    def start(self, adaptation, rng):
        return np.zeros(1)

    def visit(self, design, adaptation, state, rng, first):
        values = self.done("values", np.zeros(int(design.draw.sum())))
        return Visit(state, values, self.done("parameters", {"level": 0.0}), {})


@pytest.mark.parametrize("step", ["kernel", "adapt", "values"])
@pytest.mark.parametrize("error", [KeyError("dose"), SystemExit(1)], ids=["KeyError", "SystemExit"])
def test_a_method_that_fails_while_adapting_is_named(frame, step, error):
    words = rf"target 'y': .*while adapting.*{type(error).__name__}"
    with pytest.raises(bi.SamplingError, match=words) as said:
        run(frame, method={"y": OfTheUser(**{step: error}), "kind": "", "size": ""})
    assert said.value.__cause__ is error


def test_a_builder_that_fails_is_named(frame):
    def builder(design):
        return {}["dose"]

    with pytest.raises(bi.SamplingError, match=r"target 'y'.*while adapting.*KeyError: 'dose'"):
        run(frame, method={"y": builder, "kind": "", "size": ""})
    with pytest.raises(bi.SpecificationError, match=r"NeedsMore.*give an object of it"):
        run(frame, method={"y": NeedsMore, "kind": "", "size": ""})


class NeedsMore(OfTheUser):
    def __init__(self, scale):
        super().__init__(values=scale)


def test_the_model_of_a_method_that_has_none_is_said(frame):
    imp = run(frame, method={"y": OfTheUser(), "kind": "", "size": ""}, iterations=1)
    for look in (imp.model, imp.priors, imp.prior_predictive):
        with pytest.raises(bi.SamplingError, match=r"target 'y': .*LookupError: no model"):
            look("y")


class FailingInChains(OfTheUser):
    """Draws what it should while it is tuned, and what it is told in the chains."""

    visits = 0

    def visit(self, design, adaptation, state, rng, first):
        self.visits += 1
        if self.visits == 1:
            return Visit(state, np.zeros(int(design.draw.sum())), {"level": 0.0}, {})
        return super().visit(design, adaptation, state, rng, first)


@pytest.mark.parametrize(
    ("target", "does", "words"),
    [
        ("y", {"values": np.zeros(1)}, r"shape \(1,\), not one for each of the 12 rows"),
        ("y", {"values": 0.0}, r"shape \(\), not one"),
        ("y", {"values": np.full(12, np.nan)}, "not a finite number"),
        ("kind", {"values": np.full(12, 3.0)}, "drew 3, which is no category: .* 0 to 2"),
        ("kind", {"values": np.full(12, -1.0)}, "drew -1, which is no category"),
        ("y", {"parameters": {"other": 1.0}}, "a parameter 'other' that its labels lack"),
        ("y", {"parameters": {"level": np.ones(2)}}, "ValueError"),
        ("y", {"values": KeyError("dose")}, "KeyError: 'dose'"),
    ],
)
def test_what_a_method_draws_is_looked_at(frame, target, does, words):
    df = frame.assign(**{target: frame[target].bfill().ffill().where(np.arange(30) >= 12)})
    methods = {"y": "", "kind": "", "size": "", target: FailingInChains(**does)}
    with pytest.raises(
        bi.SamplingError, match=rf"'{target}', imputation 1, iteration 1: .*{words}"
    ):
        run(df, method=methods)


# --- workers -----------------------------------------------------------------------------------


class Workers(Executor):
    """An executor under control: tasks run when they are submitted, or fail as told."""

    def __init__(self, fail=None, at=0):
        self.futures, self.fail, self.at = [], fail, at

    def submit(self, task, /, *given, **more):
        future = Future()
        self.futures.append(future)
        if self.fail is not None and len(self.futures) > self.at:
            future.set_exception(self.fail)
        else:
            future.set_result(task(*given, **more))
        return future


def test_a_worker_that_dies_names_the_checkpoint_and_the_run_goes_on_there(frame, tmp_path):
    path = tmp_path / "run.nc"
    with pytest.raises(bi.SamplingError, match=r"died in iteration 2.*'run.nc' holds.*goes on"):
        run(frame, executor=Workers(BrokenProcessPool("abrupt"), at=3), checkpoint=path)
    with pytest.raises(bi.SamplingError, match=r"died in iteration 1.*named by checkpoint="):
        run(frame, executor=Workers(BrokenProcessPool("abrupt")))
    again = run(frame, executor=Workers(), checkpoint=path)
    pd.testing.assert_frame_equal(again.complete("long"), run(frame).complete("long"))


def test_an_executor_that_is_shut_down_is_said_to_be(frame):
    with ThreadPoolExecutor(1) as pool:
        pass
    with pytest.raises(bi.SamplingError, match=r"could not run iteration 1: .*shutdown"):
        run(frame, executor=pool)


def test_a_failing_chain_cancels_those_that_have_not_begun(frame):
    began = []

    def post(values, data, rng):
        began.append(1)
        raise KeyError("dose")

    words = "imputation 1, iteration 1: KeyError"
    with ThreadPoolExecutor(1) as pool, pytest.raises(bi.SamplingError, match=words):
        run(frame, executor=pool, m=20, post={"y": post}, iterations=1)
    assert len(began) < 10


@pytest.mark.parametrize(
    ("argument", "words"),
    [("post", "post of 'y'"), ("monitor", "monitor 'y_mean'")],
)
def test_what_cannot_travel_is_said_before_any_work(frame, argument, words, monkeypatch):
    lock = threading.Lock()

    def function(data, *others):
        with lock:
            return data

    monkeypatch.setattr("bayesimpute.engine.bench.Bench.of", None)
    name = {"post": "y", "monitor": "y_mean"}[argument]
    with pytest.raises(bi.SpecificationError, match=rf"executor: {words} cannot travel.*TypeError"):
        run(frame, executor=Workers(), **{argument: {name: function}})


# --- Ctrl-C ------------------------------------------------------------------------------------


def pressing(calls):
    """A monitor during whose last call Ctrl-C is pressed; the first is before any work."""
    left = iter(range(calls))

    def monitored(data):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return data["y"].mean()

    return {"mean": monitored}


def test_ctrl_c_returns_the_iterations_that_all_chains_have_finished(frame):
    with pytest.warns(StoppedWarning, match=r"after 2 of 3 iterations.*imp\.extend\(1\) goes on"):
        imp = run(frame, monitor=pressing(1 + 2 * 2 + 1))  # in the second chain's third
    assert imp.iterations == 2 and imp.history.monitored["mean"].shape == (2, 2)
    assert imp.events["action"].tolist().count("stopped") == 1
    pd.testing.assert_frame_equal(imp.complete("long"), run(frame, iterations=2).complete("long"))


def test_ctrl_c_before_anything_is_finished_is_ctrl_c(frame):
    for calls in (0, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(frame, monitor=pressing(calls))


def test_ctrl_c_while_extending_returns_what_is_there(frame):
    start = run(frame, iterations=1, monitor=pressing(1 + 2 + 1 + 2))
    with pytest.warns(StoppedWarning, match="after 2 of 4 iterations"):
        imp = start.extend(3, progress=False, cores=1)
    assert imp.iterations == 2 and start.iterations == 1


def test_ctrl_c_in_a_run_with_a_checkpoint_leaves_the_file_to_go_on_from(frame, tmp_path):
    path, countdown = tmp_path / "run.nc", tmp_path / "countdown"

    def monitored(data):
        if countdown.exists():
            left = int(countdown.read_text())
            if not left:
                countdown.unlink()
                raise KeyboardInterrupt
            countdown.write_text(str(left - 1))
        return data["y"].mean()

    given = {"monitor": {"mean": monitored}, "checkpoint": path}
    countdown.write_text("4")
    with pytest.warns(StoppedWarning, match="after 1 of 3"):
        run(frame, **given)
    assert bi.open(path).iterations == 1
    imp = run(frame, **given)
    assert imp.events["action"].tolist().count("stopped") == 0
    pd.testing.assert_frame_equal(imp.complete("long"), run(frame).complete("long"))


def test_ctrl_c_with_workers_cancels_them(frame):
    workers = Workers(KeyboardInterrupt(), at=2)
    with pytest.warns(StoppedWarning, match="after 1 of 3 iterations"):
        assert run(frame, executor=workers).iterations == 1


# --- what machine code is given ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["normal", "normal.robust"])
def test_a_state_of_another_length_is_refused_before_it_is_read(frame, method):
    imp = run(frame, method={"y": method}, m=1, iterations=1)
    state = ChainState.from_bytes(imp.specification, imp.history.states[0])
    state.kernel["y"] = state.kernel["y"][:-1]
    damaged = replace(imp, history=replace(imp.history, states=(state.to_bytes(),)))
    with pytest.raises(bi.SamplingError, match=r"'y'.*lengths.*start the run anew"):
        damaged.extend(1, progress=False)


def test_values_that_a_model_cannot_give_are_an_error_and_no_endless_search(frame):
    import pymc as pm

    def positive(design):
        with pm.Model() as model:
            y = pm.Data("y", design.y, dims="row")
            pm.Exponential("seen", pm.HalfNormal("rate", 1), observed=y, dims="row")
        return model

    negative = frame.assign(y=-frame["y"].abs() - 1)[["y"]]
    with pytest.raises(bi.SamplingError, match=r"'y'.*no finite log density.*cannot give"):
        run(negative, method={"y": positive})
