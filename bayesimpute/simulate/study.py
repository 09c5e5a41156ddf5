"""One replicate of a simulation study, and the folder where finished ones are kept."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, as_completed
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from threading import RLock, current_thread, main_thread
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesimpute.analysis import Fits, fit
from bayesimpute.content import PYTHON, digest, other_python, shown
from bayesimpute.engine.failures import FAILURES, StoppedWarning
from bayesimpute.errors import FileFormatError, ImputationWarning, SamplingError, SpecificationError
from bayesimpute.files import make_folder, write
from bayesimpute.imputation import impute as run_imputation
from bayesimpute.imputations import Imputations
from bayesimpute.pooling.estimates import Estimates, estimates_from
from bayesimpute.pooling.formula_design import check_formula
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.pooling.variance_intervals import (
    SCALES,
    component_intervals,
    pooled_parameters,
)
from bayesimpute.result.frame_store import parse
from bayesimpute.simulate.performance import COMPLETE_CASES, COMPLETE_DATA


class Answer(NamedTuple):
    """A term, its estimate, and the interval: around `middle` on a scale, if it is on one.

    Attributes
    ----------
    scale
        ``"log"`` or ``"logit"``; empty where the interval is of the estimate itself.
    """

    term: str
    estimate: float
    std_error: float
    df: float
    fmi: float
    scale: str = ""
    middle: float = np.nan
    scaled_error: float = np.nan

    def interval(self, ci_prob: float) -> tuple[float, float]:
        """Give the ends of the interval, NaN where there is none."""
        from scipy import stats

        quantile = float(stats.t.ppf((1 + ci_prob) / 2, self.df))
        if not self.scale:
            half = quantile * self.std_error
            return self.estimate - half, self.estimate + half
        half, back = quantile * self.scaled_error, SCALES[self.scale]
        return float(back(self.middle - half)), float(back(self.middle + half))

    def to_dict(self) -> dict[str, Any]:
        """Give what is stored: no scale where there is none."""
        stored = NUMBERS + (ON_SCALE if self.scale else ())
        numbers = {name: _written(getattr(self, name)) for name in stored}
        scale = {"scale": self.scale} if self.scale else {}
        return {"term": self.term, **scale, **numbers}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> "Answer":
        """Read what :meth:`to_dict` gave."""
        scale = held.get("scale", "")
        if scale and scale not in SCALES:
            raise ValueError(scale)
        stored = NUMBERS + (ON_SCALE if scale else ())
        return cls(held["term"], scale=scale, **{name: float(held[name]) for name in stored})


#: Fields of an answer that are numbers: of all, and of those whose interval is on a scale.
NUMBERS = ("estimate", "std_error", "df", "fmi")
ON_SCALE = ("middle", "scaled_error")


@dataclass(frozen=True, eq=False)
class Study:
    """All that a worker needs."""

    simulate: Callable[[int], Any]
    methods: Mapping[str, Any]
    analysis: str | Callable[[pd.DataFrame], Any]
    family: Any
    dfcom: float | None
    seed: int

    def data_seed(self, number: int) -> int:
        """Seed of a replicate's data, below 2⁶³."""
        return _number(np.random.SeedSequence(self.seed, spawn_key=(number,)))

    def method_seed(self, number: int, name: str) -> int:
        """Seed of a method in a replicate, below 2⁶³: of its name, not of its position."""
        words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4").tolist()
        return _number(np.random.SeedSequence(self.seed, spawn_key=(number, *words)))

    def simulated(self, number: int) -> Any:
        """Make the data of a replicate."""
        seed = self.data_seed(number)
        where = f"simulate(seed={seed}) of replicate {number}"
        try:
            data = self.simulate(seed)
        except FAILURES as error:
            raise SpecificationError(
                f"{where} failed: {type(error).__name__}: {error}. It must give a study for any "
                "seed."
            ) from error
        frames = (getattr(data, name, None) for name in ("incomplete", "complete"))
        true = getattr(data, "truth", None)
        if (
            not all(isinstance(frame, pd.DataFrame) for frame in frames)
            or not isinstance(true, Mapping)
            or not all(isinstance(value, Real) for value in true.values())
        ):
            raise SpecificationError(
                f"{where} gave {type(data).__name__}; it must give a bi.simulate.SimulatedStudy, "
                "with the frames incomplete and complete, and in truth a number by term."
            )
        return data


@dataclass(frozen=True)
class Outcome:
    """What one method gave in one replicate; NaN where there is nothing."""

    replicate: int
    method: str
    seconds: float
    truth: Mapping[str, float]
    answers: Sequence[Answer] = ()
    warnings: Sequence[str] = ()
    error: str | None = None

    def to_json(self) -> str:
        """One line of JSON; floats come back bit for bit."""
        held = {**asdict(self), "truth": {term: _written(x) for term, x in self.truth.items()}}
        held["answers"] = [answer.to_dict() for answer in self.answers]
        return json.dumps(held, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Read what :meth:`to_json` wrote."""
        held = parse(text.encode())
        held["truth"] = {term: float(x) for term, x in held["truth"].items()}
        held["answers"] = [Answer.from_dict(answer) for answer in held["answers"]]
        return cls(**held)


def _written(x: float) -> float | str:
    """JSON has no nan and inf; all other floats come back as they were."""
    return x if np.isfinite(x) else repr(x)


def _number(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def outcomes_of(
    study: Study, pending: Mapping[int, tuple[str, ...]], executor: Executor | None
) -> Generator[list[Outcome]]:
    """Replicates in the order in which they are finished."""
    if executor is None:
        for number, names in pending.items():
            yield _one_replicate(study, number, names)
        return
    import cloudpickle

    try:
        shared = cloudpickle.dumps(study)
    except Exception as error:
        raise SpecificationError(
            "replicate: simulate, methods and analysis must be able to travel to a worker: "
            f"{type(error).__name__}: {error}"
        ) from error
    futures = [executor.submit(_remote, shared, *item) for item in pending.items()]
    try:
        for future in as_completed(futures):
            yield future.result()
    except BrokenExecutor as error:
        raise SamplingError(
            "replicate: a worker of the executor died: its process ended, by code that ends it or "
            "for want of memory (then fewer workers help). With folder=, finished replicates are "
            "there, and the same call with a new executor goes on."
        ) from error
    finally:
        for future in futures:
            future.cancel()


@lru_cache(maxsize=4)
def _study_of(shared: bytes) -> Study:
    import cloudpickle

    return cloudpickle.loads(shared)


def _remote(shared: bytes, number: int, names: tuple[str, ...]) -> list[Outcome]:
    # each worker has a core: a run in it needs no others
    return _one_replicate(_study_of(shared), number, names, cores=1)


def _one_replicate(
    study: Study, number: int, names: tuple[str, ...], cores: int | None = None
) -> list[Outcome]:
    data = study.simulated(number)
    truth = {str(term): float(value) for term, value in data.truth.items()}
    outcomes = []
    for name in names:
        start = perf_counter()
        answers: list[Answer] = []
        said: list[str] = []
        reason = None
        try:
            answers, said = _watched(partial(_answers, study, data, number, name, cores))
        except MemoryError:  # of this machine, not of the method
            raise
        except FAILURES as error:
            reason = f"{type(error).__name__}: {error}"
        seconds = perf_counter() - start
        outcomes.append(Outcome(number, name, seconds, truth, answers, said, reason))
    return outcomes


def _watched(work: Callable[[], list[Answer]]) -> tuple[list[Answer], list[str]]:
    """Do the work, and catch what this package warns of in the meantime."""
    if current_thread() is not main_thread():  # catching warnings is not safe in threads
        return work(), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = work()
    if any(issubclass(w.category, StoppedWarning) for w in caught):
        raise KeyboardInterrupt  # a run that Ctrl-C cut short is no replicate
    said = {str(w.message) for w in caught if issubclass(w.category, ImputationWarning)}
    for other in caught:
        if not issubclass(other.category, ImputationWarning):
            seen = globals().setdefault("__warningregistry__", {})  # as Python itself remembers
            warnings.warn_explicit(
                other.message, other.category, other.filename, other.lineno, registry=seen
            )
    return answers, sorted(said)


_IMPUTING = RLock()  # PyTensor does not compile in two threads at once


def _answers(study: Study, data: Any, number: int, name: str, cores: int | None) -> list[Answer]:
    work, seed = study.methods[name], study.method_seed(number, name)
    if name == COMPLETE_DATA:
        given = data.complete
    elif name == COMPLETE_CASES:
        given = _complete_cases(data.incomplete, study.analysis)
    else:
        with _IMPUTING:
            if callable(work):
                given = work(deepcopy(data), seed)  # whatever it does, others see the same data
            else:
                given = run_imputation(
                    data.incomplete, seed=seed, progress=False, **{"cores": cores, **work}
                )
    analysed = _analysed(study, given)
    if isinstance(analysed, Pooled):
        table = analysed.table
        terms = list(map(str, table.index))
        columns = [table[column].to_list() for column in NUMBERS]
        random_effects = analysed.random_effects
    else:
        df = study.dfcom if study.dfcom is not None else analysed.df_residual
        k, terms = len(analysed.terms), list(analysed.terms)
        columns = [
            analysed.estimate.tolist(),
            np.sqrt(analysed.variances).tolist(),
            [float(df) if df is not None and df > 0 else np.inf] * k,
            [np.nan] * k,
        ]
        random_effects = pooled_parameters([analysed.model])
    coefficients = [Answer(*each) for each in zip(terms, *columns, strict=True)]
    return [*coefficients, *_components(analysed.variance_components, random_effects)]


def _components(
    components: Mapping[str, float] | pd.Series, random_effects: pd.DataFrame
) -> Iterator[Answer]:
    """Variance components, with the intervals of their roots where these have some."""
    intervals = component_intervals(random_effects)
    for term, value in components.items():
        name, estimate = str(term), float(value)
        if name not in intervals.index:
            yield Answer(name, estimate, np.nan, np.nan, np.nan)
            continue
        scale, *numbers = intervals.loc[name]
        middle, error, df, fmi = map(float, numbers)
        yield Answer(name, estimate, np.nan, df, fmi, str(scale), middle, error)


def _analysed(study: Study, given: Any) -> Pooled | Estimates:
    if isinstance(given, Imputations):
        given = given.complete("all")
    frames = given
    if isinstance(given, pd.DataFrame):
        frames = [given]
    elif isinstance(given, Mapping):
        frames = list(given.values())
    if isinstance(frames, list | tuple) and all(isinstance(f, pd.DataFrame) for f in frames):
        given = fit(frames, study.analysis, family=study.family)
    if isinstance(given, Fits):
        given = given.pool(study.dfcom) if len(given) > 1 else given[0]
    return given if isinstance(given, Pooled) else estimates_from(given)


def _complete_cases(frame: pd.DataFrame, analysis: Any) -> pd.DataFrame:
    used = check_formula(analysis, frame.columns) if isinstance(analysis, str) else frame.columns
    return frame.dropna(subset=list(used)).reset_index(drop=True)


FORMAT = "bayesimpute simulation study"
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Folder:
    """``study.json`` says which study this is; a folder a method holds a file a replicate."""

    path: Path

    def compare(self, study: Study, seed: int | None) -> int | None:
        """Seed of the study that is there, None if none is; refuse another study."""
        if os.path.exists(self.path) and not os.path.isdir(self.path):
            raise SpecificationError(f"folder={str(self.path)!r} is a file; name a folder.")
        held = self._held()
        if held is None:
            return None
        settings: dict[str, tuple[Any, Any]] = {}
        if seed is not None:
            settings["seed"] = (held["seed"], study.seed)
        for what, text in settings_of(study).items():
            settings[what] = (held["settings"].get(what), text)
        for name, text in methods_of(study).items():
            if name in held["methods"]:
                settings[f"method {name!r}"] = (held["methods"][name], text)
        differs = {name: pair for name, pair in settings.items() if pair[0] != pair[1]}
        if differs:
            (first, (before, now)), *others = differs.items()
            also = f"; {', '.join(name for name, _ in others)} differ, too" if others else ""
            raise SpecificationError(
                f"folder {self.path.name!r} holds another study: {first} was {before}, and is now "
                f"{now}{also}. {other_python(held['python'])}Name another folder, or delete it; a "
                "method that changed may also get another name."
            )
        return int(held["seed"])

    def begin(self, study: Study) -> None:
        """Say in the folder which study it holds."""
        held = self._held() or {}
        written = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "python": PYTHON,
            "seed": study.seed,
            "settings": settings_of(study),
            # those of earlier calls are still there
            "methods": {**held.get("methods", {}), **methods_of(study)},
        }
        make_folder(self.path)
        if written != held:
            text = json.dumps(written, indent=1, ensure_ascii=False) + "\n"
            self._replace(self.path / "study.json", text)

    def read(self, methods: Mapping[str, Any], replicates: int) -> dict[tuple[int, str], Outcome]:
        """Read what is finished; a file that cannot be read is work still to be done."""
        found = {}
        for name in methods:
            for number in range(replicates):
                try:
                    text = self._file(number, name).read_text("utf-8")
                    found[number, name] = Outcome.from_json(text)
                except (OSError, ValueError, KeyError, TypeError):
                    continue
        return found

    def write(self, outcome: Outcome) -> None:
        """Keep one result, all or nothing."""
        self._replace(self._file(outcome.replicate, outcome.method), outcome.to_json())

    def _file(self, number: int, method: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9._]+", "-", method).strip("-.")[:40]
        return self.path / f"{readable}-{digest(method)[:8]}" / f"{number:06d}.json"

    def _held(self) -> dict[str, Any] | None:
        path = self.path / "study.json"
        if not os.path.exists(path):  # which does not raise where it may not look
            return None
        try:
            held = parse(path.read_bytes())
            known = (held["format"], held["format_version"]) == (FORMAT, FORMAT_VERSION)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"{path} is damaged; delete the folder.") from error
        if not known:
            raise FileFormatError(f"{path} is not of this version's format; name another folder.")
        return held

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        if not path.parent.is_dir():
            make_folder(path.parent)
        write(path, text.encode())


def settings_of(study: Study) -> dict[str, str]:
    """Text of all that decides numbers, but seed and methods."""
    return {
        "simulate": shown(study.simulate),
        "analysis": shown(study.analysis),
        "family": shown(study.family),
        "dfcom": shown(None if study.dfcom is None else float(study.dfcom)),
        "bayesimpute": version("bayesimpute"),
    }


def methods_of(study: Study) -> dict[str, str]:
    """Text of each method."""
    return {name: shown(work) for name, work in study.methods.items()}
