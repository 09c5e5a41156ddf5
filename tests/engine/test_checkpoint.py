"""A file is gone on with by the run that wrote it, and by no other."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayesimpute as bi
from bayesimpute import content
from bayesimpute.result.run import versions
from bayesimpute.specification.specification import (
    SAYS_NOTHING,
    Fingerprint,
    Passive,
    Specification,
    Target,
    Term,
    fingerprint,
)
from bayesimpute.specification.specify import specify


def defined(text, **names):
    """Functions as a notebook defines them: from text, in a module without a file."""
    namespace = {"__name__": "notebook", **names}
    exec(compile(text, f"cell {len(text)}", "exec"), namespace)
    return namespace["f"]


POST = """SIZE = 2
def g(v):
    return v * SIZE
def f(values, data, rng, by=0):
    return g(values) + by + 1
"""


def mean_of_y(data):
    return data["y"].mean()


def frame():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(6), 10)
    x = rng.normal(size=60)
    df = pd.DataFrame({"g": g, "z": rng.normal(size=60), "x": x})
    df["y"] = x + df["z"] + rng.normal(size=60)
    df["k"] = pd.Categorical(rng.choice(["a", "b", "c"], 60), categories=["a", "b", "c"])
    df["p"] = 2 * df["x"]
    for name, share in {"x": 0.2, "y": 0.3, "k": 0.2}.items():
        df[name] = df[name].mask(rng.random(60) < share)
    df["p"] = df["p"].where(df["x"].notna())
    return df


def roles(**changed):
    matrix = pd.DataFrame(0, index=list(frame()), columns=list(frame()))
    matrix.loc[["x", "k"], "z"] = 1
    for cell, code in changed.items():
        matrix.loc[cell[0], cell[1]] = code
    return matrix


def run():
    """Arguments of the run, made anew, as a script that is started again makes them."""
    return {
        "df": frame(),
        "cluster": "g",
        "m": 2,
        "iterations": 2,
        "seed": 1,
        "method": {"y": bi.delta("normal", 1.0), "x": "sample", "k": "sample", "p": "~ I(x * 2)"},
        "predictors": roles(),
        "formulas": {"y": "y ~ x + z + (1 | g)"},
        "priors": {"y": {"sigma": pm.HalfNormal.dist(2.0)}},
        "post": {"y": defined(POST)},
        "where": frame().isna().to_numpy(),
        "ignore": (frame()["z"] > 2).to_numpy(),
        "visit_sequence": ["x", "y", "k"],
        "model_options": {"y": {"transitions": 2}},
        "monitor": {"mean": mean_of_y},
        "progress": False,
    }


def same(a, b):
    pd.testing.assert_frame_equal(a.complete("long"), b.complete("long"), check_exact=True)
    assert a.history.states == b.history.states
    np.testing.assert_array_equal(a.history.monitored["mean"], b.history.monitored["mean"])
    return True


@pytest.fixture(scope="module")
def whole():
    return bi.impute(**run())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file of the run after one iteration."""
    path = tmp_path_factory.mktemp("run") / "run.nc"
    bi.impute(**{**run(), "iterations": 1}, checkpoint=path)
    return path


def groups_of(path):
    with xr.open_datatree(path, engine="h5netcdf") as stored:
        return {*stored.children}


def test_the_same_run_goes_on_bit_for_bit(whole, written, tmp_path):
    path = tmp_path / "run.nc"
    path.write_bytes(written.read_bytes())
    assert same(bi.impute(**run(), checkpoint=path), whole)
    read = path.stat().st_mtime_ns
    assert same(bi.impute(**run(), checkpoint=path), whole)  # it is finished
    assert path.stat().st_mtime_ns == read


def test_what_decides_no_number_does_not_matter(whole, written, tmp_path):
    path = tmp_path / "run.nc"
    path.write_bytes(written.read_bytes())
    with ThreadPoolExecutor(1) as pool:
        other = {"on_error": "keep", "progress": True, "executor": pool, "seed": None}
        assert same(bi.impute(**{**run(), **other}, checkpoint=path), whole)


def changed_cell(df):
    df.loc[0, "z"] += 1e-9
    return df


def more_missing():
    where = frame().isna()
    where.loc[where.index[~where["y"]][0], "y"] = True
    return where


def without_a_value():
    df = frame()
    df.loc[df.index[df["y"].notna()][0], "y"] = np.nan
    return df


def post(text=POST, **names):
    return {"y": defined(text, **names)}


def closing_over(value):
    def f(values, data, rng):
        return values + value

    return f


METHOD = run()["method"]
CHANGES = {
    "a cell": ("df", changed_cell(frame()), "data"),
    "a missing cell": ("df", without_a_value(), "data"),
    "labels of rows": ("df", frame().set_axis(np.arange(60) + 1), "data"),
    "order of rows": ("df", frame()[::-1], "data"),
    "order of columns": ("df", frame()[["z", "g", "x", "y", "k", "p"]], "data"),
    "type of a column": ("df", frame().astype({"g": "int32"}), "data"),
    "text for categories": ("df", frame().assign(k=frame()["k"].astype(object)), "data"),
    "order of categories": (
        "df",
        frame().assign(k=frame()["k"].cat.reorder_categories(["b", "a", "c"])),
        "data",
    ),
    "m": ("m", 3, "m"),
    "seed": ("seed", 2, "seed"),
    "cluster": ("cluster", None, "cluster|terms|imputed|predictors"),
    "method": ("method", {**METHOD, "x": "normal"}, "method.*of 'x'"),
    "amount of delta": ("method", {**METHOD, "y": bi.delta("normal", 2.0)}, "method of 'y'"),
    "passive": ("method", {**METHOD, "p": "~ I(x + x)"}, "method of 'p'"),
    "column left out": ("method", {**METHOD, "p": ""}, "imputed columns"),
    "predictors": ("predictors", roles(kz=0), "predictors"),
    "a term less": ("formulas", {"y": "y ~ x + (1 | g)"}, r"formulas.*of 'y'"),
    "an interaction": ("formulas", {"y": "y ~ x * z + (1 | g)"}, r"formulas.*of 'y'"),
    "a random slope": ("formulas", {"y": "y ~ x + z + (1 + x | g)"}, r"formulas.*of 'y'"),
    "no random intercept": ("formulas", {"y": "y ~ x + z + (0 + x | g)"}, r"formulas.*of 'y'"),
    "prior": ("priors", {"y": {"sigma": pm.HalfNormal.dist(2.5)}}, "priors of 'y': sigma"),
    "family of a prior": ("priors", {"y": {"sigma": pm.HalfCauchy.dist(2.0)}}, "priors of 'y'"),
    "no prior": ("priors", None, "priors of 'y': sigma"),
    "no post": ("post", None, "post of 'y'"),
    "squeeze": ("post", {"y": bi.squeeze(0, 1)}, "post of 'y'"),
    "post of another": ("post", {**post(), "x": bi.squeeze(-9, 9)}, "post of 'x'"),
    "constant in post": ("post", post(POST.replace("+ 1", "+ 1.5")), "post of 'y'"),
    "operation in post": ("post", post(POST.replace("by + 1", "by - 1")), "post of 'y'"),
    "default in post": ("post", post(POST.replace("by=0", "by=1")), "post of 'y'"),
    "what post calls": ("post", post(POST.replace("v * SIZE", "v / SIZE")), "post of 'y'"),
    "what post reads": ("post", post(POST.replace("SIZE = 2", "SIZE = 3")), "post of 'y'"),
    "where": ("where", more_missing(), "where"),
    "ignore": ("ignore", frame()["z"] > 1.5, "ignore"),
    "no ignore": ("ignore", None, "ignore"),
    "visit_sequence": ("visit_sequence", ["y", "x", "k"], "visit_sequence"),
    "an option": ("model_options", {"y": {"transitions": 3}}, "model options of 'y': transitions"),
    "another option": ("model_options", {"y": {"transitions": 2, "tune": 400}}, "of 'y': tune"),
    "monitor": ("monitor", {"mean": lambda data: data["y"].median()}, "monitor 'mean'"),
    "name of a monitor": ("monitor", {"average": mean_of_y}, "monitor 'average', monitor 'mean'"),
    "no monitor": ("monitor", None, "monitor 'mean'"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_another_run_is_refused_by_the_name_of_what_differs(written, change, monkeypatch):
    argument, value, words = CHANGES[change]
    monkeypatch.setattr("bayesimpute.imputation.start", None)
    before = written.read_bytes()
    with pytest.raises(bi.SpecificationError, match=rf"another run \(different: .*({words})"):
        bi.impute(**{**run(), argument: value}, checkpoint=written)
    assert written.read_bytes() == before


def test_fewer_iterations_than_are_there_are_refused(whole, tmp_path):
    path = tmp_path / "run.nc"
    whole.to_netcdf(path)
    with pytest.raises(bi.SpecificationError, match=r"holds 2 iterations, and iterations=1.*open"):
        bi.impute(**{**run(), "iterations": 1}, checkpoint=path)


def test_a_run_that_failed_goes_on_once_the_cause_is_gone(whole, tmp_path):
    """A file is at hand at which the monitor fails: the function itself stays the same."""
    obstacle = tmp_path / "full"

    def monitored(data):
        if obstacle.exists():
            obstacle.unlink()
            raise OSError("no room")
        if data["y"].mean() and next(calls) == 3:
            obstacle.touch()
        return data["y"].mean()

    calls = iter(range(1000))
    given = {**run(), "monitor": {"mean": monitored}, "cores": 1}
    with pytest.raises(bi.SamplingError, match=r"imputation 2, iteration 2: OSError: no room"):
        bi.impute(**given, checkpoint=tmp_path / "run.nc")
    assert bi.open(tmp_path / "run.nc").iterations == 1
    assert groups_of(tmp_path / "run.nc") == {"bayesimpute"}  # others are slow to write
    calls = iter(range(1000))
    given = {**run(), "monitor": {"mean": monitored}}
    assert same(bi.impute(**given, checkpoint=tmp_path / "run.nc"), whole)
    assert groups_of(tmp_path / "run.nc") == {"bayesimpute", *whole.datatree.children}


def test_a_file_of_a_version_without_fingerprints_opens_but_is_not_gone_on_with(whole, tmp_path):
    path = tmp_path / "run.nc"
    replace(whole, fingerprint=None).to_netcdf(path)
    assert bi.open(path).fingerprint is None
    with pytest.raises(bi.SpecificationError, match=r"earlier version.*bi\.open reads it"):
        bi.impute(**run(), checkpoint=path)


def test_other_versions_go_on_with_one_event(whole, written, tmp_path, monkeypatch):
    path = tmp_path / "run.nc"
    path.write_bytes(written.read_bytes())
    now = dict(versions())
    monkeypatch.setattr("bayesimpute.result.run.versions", lambda: {**now, "numba": "99.0"})
    imp = bi.impute(**run(), checkpoint=path)
    assert same(imp, whole)
    said = imp.events[imp.events["action"] == "other versions"]
    assert len(said) == 1 and f"numba {now['numba']} → 99.0" in said["message"].item()
    more = bi.open(written, post=run()["post"], priors=run()["priors"], monitor=run()["monitor"])
    assert (more.extend(1, progress=False).events["action"] == "other versions").sum() == 1


def test_a_run_that_is_done_keeps_versions_and_time(whole, tmp_path):
    path = tmp_path / "run.nc"
    old = {**whole.versions, "numba": "0.1"}
    replace(whole, versions=old, created_at="2020-02-02").to_netcdf(path)
    again = bi.impute(**run(), checkpoint=path)
    assert again.versions == old and again.created_at == "2020-02-02"


def test_functions_of_another_python_are_refused_with_that_reason(written, tmp_path):
    stored = bi.open(written)
    old = Fingerprint({**stored.fingerprint.parts, "post of 'y'": "of another bytecode"}, "2.7")
    path = tmp_path / "old.nc"
    replace(stored, fingerprint=old).to_netcdf(path)
    with pytest.raises(bi.SpecificationError, match=r"post of 'y'\).*Python 2\.7.*go on under"):
        bi.impute(**run(), checkpoint=path)
    bi.open(path, post=run()["post"])  # given by hand, it is the user who says that it is the same


def test_a_file_takes_back_the_functions_it_had_and_no_others(whole, written):
    given = {"post": run()["post"], "priors": run()["priors"], "monitor": run()["monitor"]}
    assert same(bi.open(written, **given).extend(1, progress=False), whole)
    for argument, other, words in [
        ("post", post(POST.replace("+ 1", "+ 2")), r"bi.open\(post=…\): the post of 'y' is not"),
        ("monitor", {"mean": np.median}, "the monitor 'mean' is not"),
        ("priors", {"y": {"sigma": pm.HalfNormal.dist(9)}}, "the priors of 'y': sigma is not"),
    ]:
        with pytest.raises(bi.SpecificationError, match=words):
            bi.open(written, **{**given, argument: other})


def test_what_a_function_holds_counts_as_it_was_before_the_run(tmp_path):
    def counting():
        seen = []

        def monitored(data):
            seen.append(len(data))
            return data["y"].mean()

        return {"mean": monitored}

    given = {"df": frame()[["y"]], "method": "sample", "m": 2, "seed": 1, "progress": False}
    path = tmp_path / "run.nc"
    bi.impute(**given, monitor=counting(), checkpoint=path, iterations=2)
    longer = bi.impute(**given, monitor=counting(), checkpoint=path, iterations=3)
    assert same(longer, bi.impute(**given, monitor=counting(), iterations=3))


# --- what is in a fingerprint --------------------------------------------------------------------


@pytest.fixture(scope="module")
def specification():
    return specify(
        **{k: v for k, v in run().items() if k not in ("m", "iterations", "seed", "progress")}
    )


def target(specification, **changes):
    targets = {**specification.targets, "y": replace(specification.targets["y"], **changes)}
    return replace(specification, targets=targets)


@pytest.mark.parametrize(
    "field", [f.name for f in fields(Specification) if f.name not in SAYS_NOTHING]
)
def test_every_field_of_a_specification_is_in_its_fingerprint(specification, field):
    other = {"other": "value"} if field == "monitors" else "other"
    if field == "targets":
        other = dict(list(specification.targets.items())[:2])
    changed = replace(specification, **{field: other})
    assert fingerprint(changed).differences(fingerprint(specification))


@pytest.mark.parametrize("field", [f.name for f in fields(Target)])
def test_every_field_of_a_target_is_in_the_fingerprint(specification, field):
    other = {"other": 1} if field in ("priors", "options") else "other"
    changed = target(specification, **{field: other})
    (*_, first) = fingerprint(changed).differences(fingerprint(specification))
    assert first


@pytest.mark.parametrize(
    ("kind", "field"), [(k, f.name) for k in (Term, Passive) for f in fields(k)]
)
def test_every_field_of_terms_and_passive_variables_is_described(kind, field):
    made = {Term: Term("x", ("x",)), Passive: Passive("p", "2 * x", ("x",))}[kind]
    other = replace(made, **{field: "other"})
    assert content.described(other) != content.described(made) == content.described(replace(made))


def test_a_field_that_is_added_later_counts_and_at_its_default_changes_no_old_file(specification):
    @dataclass(frozen=True)
    class LaterTarget(Target):
        further: int = 0

    @dataclass(frozen=True, eq=False)
    class LaterSpecification(Specification):
        further: int = 0

    def later(in_target=0, in_specification=0):
        old = specification.targets["y"]
        held = {f.name: getattr(old, f.name) for f in fields(old)}
        new = LaterTarget(**held, further=in_target)
        held = {f.name: getattr(specification, f.name) for f in fields(specification)}
        held["targets"] = {**held["targets"], "y": new}
        return fingerprint(LaterSpecification(**held, further=in_specification))

    before = fingerprint(specification)
    assert later().differences(before) == []
    assert later(in_target=1).differences(before) == ["further of 'y'"]
    assert later(in_specification=1).differences(before) == ["further"]


class Shift:
    """A post, or any object of the user's with code and state."""

    def __init__(self, by):
        self.by = by

    def __call__(self, values, data, rng):
        return self.shifted(values)

    def shifted(self, values):
        return values + self.by


class ShiftDown(Shift):
    def shifted(self, values):
        return values - self.by


def custom(power):
    return pm.CustomDist.dist(1.0, logp=lambda value, mu: -(abs(value - mu) ** power))


@pytest.mark.parametrize(
    ("one", "again", "other"),
    [
        (Shift(1), Shift(1), Shift(2)),
        (Shift(1), Shift(1), ShiftDown(1)),
        (Shift(1).shifted, Shift(1).shifted, ShiftDown(1).shifted),
        (closing_over(1), closing_over(1), closing_over(2)),
        (closing_over(np.arange(9)), closing_over(np.arange(9)), closing_over(np.arange(9.0))),
        (partial(closing_over, 1), partial(closing_over, 1), partial(closing_over, 2)),
        (closing_over(frame()), closing_over(frame()), closing_over(changed_cell(frame()))),
        (
            closing_over(np.random.default_rng(1)),
            closing_over(np.random.default_rng(1)),
            closing_over(np.random.default_rng(2)),
        ),
        (custom(2), custom(2), custom(4)),
        (
            pm.Normal.dist(np.arange(2000.0), 1),
            pm.Normal.dist(np.arange(2000.0), 1),
            pm.Normal.dist(np.where(np.arange(2000) == 1000, 7, np.arange(2000.0)), 1),
        ),
        (np.array([0.0, np.nan]), np.array([-0.0, -np.nan]), np.array([0.0, 1.0])),
        (pd.Series(["a", None]), pd.Series(["a", np.nan]), pd.Series(["a", "nan"])),
        ({"a": {1, 2}}, {"a": {2, 1}}, {"a": [1, 2]}),
    ],
)
def test_content_and_not_identity_is_compared(one, again, other):
    assert content.described(one) == content.described(again) != content.described(other)


def test_a_function_is_what_it_does_wherever_it_stands():
    moved = defined("\n\n# another cell\n" + POST)
    assert content.described(moved) == content.described(defined(POST))
    notebook = defined(
        "class A:\n    def m(self):\n        return 1\ndef f(x):\n    return A().m()\n"
    )
    edited = defined(
        "class A:\n    def m(self):\n        return 2\ndef f(x):\n    return A().m()\n"
    )
    assert content.described(notebook) != content.described(edited)


def test_functions_of_a_module_of_the_users_own_are_looked_into(tmp_path, monkeypatch):
    import importlib
    import sys

    monkeypatch.syspath_prepend(tmp_path)
    texts = []
    for factor in (2, 2, 3):
        (tmp_path / "helpers_of_a_study.py").write_text(
            f"def scaled(v):\n    return v * {factor}\n"
        )
        sys.modules.pop("helpers_of_a_study", None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        helpers = importlib.import_module("helpers_of_a_study")
        texts.append(content.described(defined("def f(v):\n    return h.scaled(v)\n", h=helpers)))
    sys.modules.pop("helpers_of_a_study")
    assert texts[0] == texts[1] != texts[2]


def test_what_has_no_end_is_described_all_the_same():
    loop = [1]
    loop.append(loop)
    deep = []
    for _ in range(500):
        deep = [deep]
    shared = [1.5]
    for _ in range(60):
        shared = [shared, shared]  # as text in full it would have 2⁶⁰ parts
    assert all(content.described(each) for each in (loop, deep, shared))
