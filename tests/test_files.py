"""Files are written whole or not at all, and places are looked at before work."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute import files
from bayesimpute.errors import WritingError
from bayesimpute.result import storage
from bayesimpute.simulate.study import Folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_part(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    code = (
        "import resource, signal; from bayesimpute import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"try: files.write({str(target)!r}, b'x' * 5000)\n"
        "except OSError as error: print(error.errno, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written: file too large" in done.stdout and done.stderr == ""
    assert target.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


def test_links_are_followed_and_permissions_kept(tmp_path):
    target, link = tmp_path / "a.bin", tmp_path / "link.bin"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    files.write(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_what_is_no_place_for_a_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        files.check_target(tmp_path / "none" / "a.nc")
    with pytest.raises(WritingError, match="is a folder"):
        files.check_target(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(WritingError, match="device or pipe"):
        files.check_target(pipe)
    with pytest.raises(WritingError, match="cannot be written"):
        files.make_folder(tmp_path / "pipe" / "folder")


def test_parts_of_dead_processes_are_swept_and_those_of_live_ones_are_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = tmp_path / f".a.nc.{files.HOST}-{dead.pid}-00000000.part"
    mine = tmp_path / f".a.nc.{files.HOST}-{os.getpid()}-00000000.part"
    other = tmp_path / ".notes.part"
    for path in (gone, mine, other):
        path.write_bytes(b"")
    files.check_target(tmp_path / "a.nc")
    assert names(tmp_path) == sorted([mine.name, other.name])


def test_a_run_outlives_a_checkpoint_that_cannot_be_written(tmp_path, monkeypatch):
    def full(path, content):
        raise WritingError("no space left")

    monkeypatch.setattr(storage, "write", full)
    df = pd.DataFrame({"x": np.arange(30.0), "y": np.arange(30.0) ** 2})
    df.loc[::4, "y"] = np.nan
    run = {"m": 2, "iterations": 2, "seed": 1, "method": "sample", "progress": False}
    with pytest.warns(bi.ImputationWarning, match="no space left") as warned:
        imp = bi.impute(df, checkpoint=tmp_path / "run.nc", **run)
    assert len(warned) == 1 and imp.iterations == 2
    assert (imp.events["action"] == "checkpoint not written").sum() == 2
    assert imp.complete(1).equals(bi.impute(df, **run).complete(1))


def test_a_checkpoint_that_has_no_place_is_said_before_any_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        bi.impute(pd.DataFrame({"x": [1.0]}), checkpoint=tmp_path / "none" / "run.nc")


CALLS = ["checkpoint", "grid", "study", "file", "report"]
WORK = """
import os, resource, shutil, signal, sys, warnings
import numpy as np, pandas as pd, bayesimpute as bi
folder, = sys.argv[1:]
rng = np.random.default_rng(1)
df = pd.DataFrame({"x": rng.normal(size=60)}); df["y"] = df["x"] + rng.normal(size=60)
truth = df.copy(); df.loc[::4, "y"] = np.nan
run = dict(m=2, iterations=2, seed=1, method="sample", progress=False)
imp = bi.impute(df, **run)
def simulate(seed): return bi.simulate.SimulatedStudy(df, truth, {"x": 1.0})
study = dict(replicates=2, analysis="y ~ x", seed=1, progress=False)
methods = {"mi": dict(m=2, iterations=1, method="sample")}
grid = dict(delta=[0.0, 1.0], m=2, iterations=1, further=1, seed=1, method={"y": "sample"})
calls = {
    "checkpoint": lambda: bi.impute(df, checkpoint=f"{folder}/run.nc", **run),
    "grid": lambda: bi.sensitivity(df, "y", "y ~ x", "x", folder=f"{folder}/grid", **grid),
    "study": lambda: bi.simulate.replicate(simulate, methods, folder=f"{folder}/study", **study),
    "file": lambda: imp.to_netcdf(f"{folder}/old"),
    "report": lambda: imp.report(f"{folder}/old"),
}
bi.simulate.replicate(simulate, methods, **study)  # what is imported late is there
bi.sensitivity(df, "y", "y ~ x", "x", **grid)
imp.report(f"{folder}/report.html")
os.remove(f"{folder}/report.html")
def write_all(how):
    for name, call in calls.items():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", bi.ImputationWarning)
            try: got = type(call()).__name__
            except OSError as error: got = f"{type(error).__name__}: {error}"
        texts = [str(each.message) for each in said if "cannot be written" in str(each.message)]
        print(how, "|", name, "|", got, "|", len(texts), texts[:1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (600, most[1]))
write_all("full")
resource.setrlimit(resource.RLIMIT_FSIZE, most)
assert not [n for *_, names in os.walk(folder) for n in names if n.endswith(".part")]
for left in os.listdir(folder):
    if left != "old":
        path = f"{folder}/{left}"
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
os.chmod(folder, 0o555)
if os.geteuid() == 0: os.setresuid(65534, 65534, 65534)
write_all("read-only")
"""


def test_a_full_disk_loses_no_run_and_a_read_only_folder_is_seen_before_it(tmp_path):
    old = tmp_path / "old"
    old.write_text("old")
    call = [sys.executable, "-W", "ignore", "-c", WORK, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    tmp_path.chmod(0o755)
    for how, lost in {"full": ["file", "report"], "read-only": CALLS}.items():
        lines = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith(how)]
        assert [name for _, name, *_ in lines] == CALLS
        assert [name for _, name, got, _ in lines if got.startswith("WritingError")] == lost
    assert old.read_text() == "old" and list(tmp_path.rglob("*.part")) == []


def test_a_study_outlives_results_that_cannot_be_written(tmp_path, monkeypatch):
    def full(folder, outcome):
        raise WritingError("no space left")

    monkeypatch.setattr(Folder, "write", full)
    study = bi.simulate.simulate_popularity
    with pytest.warns(bi.ImputationWarning, match="no space left") as warned:
        done = bi.simulate.replicate(
            lambda seed: study(seed, schools=5, pupils=40),
            {"mi": {"m": 2, "iterations": 1, "method": "sample"}},
            replicates=2, analysis="popular ~ texp", seed=1, folder=tmp_path, progress=False,
        )  # fmt: skip
    assert done.replicates == 2
    assert sum("no space left" in str(each.message) for each in warned) == 1


def test_a_tilde_is_the_home_folder_and_an_empty_path_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    files.write("~/a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    for call in (bi.open, files.check_target, files.make_folder):
        with pytest.raises(FileNotFoundError, match="no name of a file"):
            call("")
    with pytest.raises(bi.SpecificationError, match=r"^open: path=3"):
        bi.open(3)
