"""Ctrl-C while machine code is made: never lost, never another error, and the next run is whole."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numba
import pytest
from numba.core import event

import bayesimpute.sampling.compiled  # noqa: F401  (which holds Ctrl-C back)
from bayesimpute.engine import cores
from bayesimpute.engine.cores import side_by_side
from bayesimpute.interrupts import going_no_further, whole


@pytest.fixture
def told(monkeypatch):
    """Set as soon as threads have been told to go no further: no clock decides these tests."""
    told = threading.Event()

    @contextmanager
    def telling(threads):
        with going_no_further(threads):
            told.set()
            yield

    monkeypatch.setattr(cores, "going_no_further", telling)
    return told


@pytest.fixture(autouse=True)
def interruptible():
    """Python's own answer to Ctrl-C: workers of a test run do not hear it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Pressing(event.Listener):
    """Ctrl-C within a function that is compiled, and whether it was gone on with."""

    went_on = False

    def on_start(self, _):
        signal.raise_signal(signal.SIGINT)
        self.went_on = True

    def on_end(self, _):
        """Only the start presses."""


def twice():
    return numba.njit(lambda x: 2 * x)


def test_ctrl_c_waits_until_a_function_is_compiled():
    function = twice()
    with (
        event.install_listener("numba:compile", Pressing()) as pressing,
        pytest.raises(KeyboardInterrupt),
    ):
        function(1.5)
    assert pressing.went_on and len(function.signatures) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert function(1.5) == 3


def test_ctrl_c_within_a_function_of_a_function_waits_for_both():
    inner = twice()
    outer = numba.njit(lambda x: inner(x) + 1)
    with event.install_listener("numba:compile", Pressing()), pytest.raises(KeyboardInterrupt):
        outer(1.5)
    assert len(outer.signatures) == len(inner.signatures) == 1
    assert outer(1.5) == 4


def test_ctrl_c_at_the_very_end_is_answered_once(monkeypatch):
    heard, take = [], signal.signal

    def answer(*_):
        heard.append(True)

    def pressed(number, new):  # Python answers what has come before it takes a new answer
        if new is answer and not heard:
            signal.raise_signal(number)
        return take(number, new)

    take(signal.SIGINT, answer)
    monkeypatch.setattr(signal, "signal", pressed)
    for _ in range(2):
        with whole():
            pass
        assert len(heard) == 1


@pytest.mark.parametrize("answer", [signal.SIG_IGN, lambda *_: None])
def test_whoever_answers_ctrl_c_otherwise_goes_on_doing_so(answer):
    signal.signal(signal.SIGINT, answer)
    with event.install_listener("numba:compile", Pressing()):
        assert twice()(1.5) == 3
    assert signal.getsignal(signal.SIGINT) is answer


def test_ctrl_c_does_not_wait_for_what_other_threads_have_not_begun_to_compile(told):
    compiling, made = threading.Event(), []

    def call(function):
        compiling.set()
        function(1.5)
        made.append(function)

    class Waiting(event.Listener):
        def on_start(self, _):
            if threading.current_thread() is not threading.main_thread():
                told.wait(30)

        def on_end(self, _):
            """Only the start waits."""

    def press_until_told():  # Python hears a signal that comes just before it waits after waiting
        compiling.wait()
        while not told.is_set():
            press()
            told.wait(0.05)

    def once(*_):
        if not heard:
            heard.append(True)
            raise KeyboardInterrupt

    heard = []
    signal.signal(signal.SIGINT, once)
    functions = [twice() for _ in range(2)]
    with event.install_listener("numba:compile", Waiting()):
        results = side_by_side([lambda f=f: call(f) for f in functions], 2)
        pressing = threading.Thread(target=press_until_told)
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            list(results)
        pressing.join()
    assert not made  # nothing was done after compiling
    assert [f(1.5) for f in functions] == [3, 3]


def test_ctrl_c_as_soon_as_work_begins_reaches_threads_that_begin_later(monkeypatch, told):
    made = []
    start = threading.Thread.start

    def pressed(thread):  # Ctrl-C while the first thread starts; the second is slow to begin
        if not made:
            signal.raise_signal(signal.SIGINT)
        made.append("thread")
        start(thread)

    def call():
        with whole():
            told.wait(30)
        made.append("call")

    monkeypatch.setattr(threading.Thread, "start", pressed)
    with pytest.raises(KeyboardInterrupt):
        list(side_by_side([call] * 2, 2))
    assert made == ["thread"] * 2


def test_threads_that_join_those_given_up_later_end_too():
    threads, ended = set(), []

    def work():
        threads.add(threading.get_ident())
        try:
            with whole():
                pass
        except KeyboardInterrupt:
            ended.append(True)

    with going_no_further(threads):
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    assert ended


def press():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


RUN = """
import signal, sys, threading
import bayesimpute as bi

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests
seconds, cores = float(sys.argv[1]), int(sys.argv[2])
study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
pressed = threading.Event()
def press():
    pressed.set()
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
def run():
    return bi.impute(study.incomplete, cluster="school", m=2, iterations=3, seed=1, cores=cores)
timer = threading.Timer(seconds, press)
timer.start()
try:
    done = run().iterations == 3
    timer.cancel()
    print("lost" if done and pressed.is_set() else "ended")
except KeyboardInterrupt:
    print("ended")
print(float(run().complete(1)["popular"].sum()).hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2])
def test_ctrl_c_at_any_time_of_a_first_run_is_ctrl_c_and_a_second_run_is_whole(cores, tmp_path):
    sums = set()
    for seconds in (1, 3, 6, 10, 15):
        kept = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / str(seconds))}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", RUN, str(seconds), str(cores)],
            env=kept, capture_output=True, text=True, check=False, timeout=1800,
        )  # fmt: skip
        assert not done.stderr and done.returncode == 0, done.stderr
        how, total = done.stdout.splitlines()
        assert how == "ended"
        sums.add(total)
    assert len(sums) == 1


def test_ctrl_c_waits_until_a_name_of_the_package_is_imported(monkeypatch):
    import bayesimpute as bi

    went_on = []

    def load(name):
        signal.raise_signal(signal.SIGINT)
        went_on.append(name)

    monkeypatch.setattr(bi, "_load", load)
    with pytest.raises(KeyboardInterrupt):
        bi.__getattr__("impute")
    assert went_on == ["impute"]
