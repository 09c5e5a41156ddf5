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
