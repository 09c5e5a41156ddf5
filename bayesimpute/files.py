"""One way to write a file: whole or not at all, and looked at before the work it is to hold.

What is written stands beside its final place under a name of its own and is then renamed, so that
a full disk, a signal or a power cut leaves what was there before.
"""

import os
import re
import secrets
import shutil
import socket
import time
import zlib
from os import PathLike
from pathlib import Path

from bayesimpute.errors import WritingError

#: Which machine a left-over belongs to: process numbers of another one say nothing.
HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
PART = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.part")
#: Seconds after which what another machine left is taken to be left over.
OLD = 86_400.0


def place(path: str | PathLike[str]) -> Path:
    """Give the path that is meant: ``~`` is the user's folder.

    Raises
    ------
    FileNotFoundError
        If it is empty, or no name of a file or folder can be.
    """
    text = os.fspath(path)
    if not text.strip() or "\0" in text:
        raise FileNotFoundError(f"{text!r} is no name of a file or folder.")
    return Path(os.path.expanduser(text))


def write(path: str | PathLike[str], content: bytes) -> None:
    """Write a file, all or nothing; a link is followed, permissions of an existing file are kept.

    Parameters
    ----------
    path
        File to write; an existing one is replaced.
    content
        All of it.

    Raises
    ------
    FileNotFoundError
        If there is no folder to write it in.
    WritingError
        If it cannot be written: no room, no permission, a folder or device in its place. What was
        there before is unchanged.
    """
    check_target(path)
    given = place(path)
    target = Path(os.path.realpath(given))
    part = _part(target)
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        os.replace(part, target)
    except OSError as problem:
        raise _refusal(given, problem) from problem
    finally:
        part.unlink(missing_ok=True)


def check_target(path: str | PathLike[str]) -> None:
    """Raise before any work what writing a file would raise after it, room aside.

    Parts that a process left when it died are removed from the folder.

    Raises
    ------
    FileNotFoundError
        If there is no folder to write it in.
    WritingError
        If a folder or device is in its place, or it may not be written.
    """
    given = place(path)
    target = Path(os.path.realpath(given))
    try:
        if target.is_dir():
            raise WritingError(f"{str(given)!r} is a folder; give the name of a file in it.")
        if not target.parent.is_dir():
            raise FileNotFoundError(
                f"There is no folder {str(given.parent)!r} to write {given.name!r}."
            )
        if target.exists() and not target.is_file():
            raise WritingError(f"{str(given)!r} is a device or pipe; name a file.")
        if target.exists() and not os.access(target, os.W_OK):
            raise WritingError(f"{str(given)!r} is write-protected; name another file.")
        _probe(target)
    except (WritingError, FileNotFoundError):
        raise
    except OSError as problem:
        raise _refusal(given, problem) from problem
    sweep(target.parent)


def make_folder(path: str | PathLike[str]) -> Path:
    """Make a folder, with those above it, and see that files can be written in it; give its path.

    Raises
    ------
    WritingError
        If it cannot be made or written to.
    """
    folder = place(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _probe(folder / "probe")
    except OSError as problem:
        raise _refusal(folder, problem) from problem
    sweep(folder)
    return folder


def sweep(folder: Path) -> None:
    """Remove what processes that are gone were writing in a folder."""
    for part in folder.glob(".*.part"):
        known = PART.fullmatch(part.name)
        if known is None:
            continue
        try:
            here = known["host"] == HOST
            left = not _runs(int(known["process"])) if here else _age(part) > OLD
            if left:
                part.unlink()
        except OSError:
            continue  # another process swept it, or its folder is another's


def _probe(target: Path) -> None:
    part = _part(target)
    part.open("xb").close()
    part.unlink()


def _part(target: Path) -> Path:
    # a name may be as long as the file system allows, and this one is longer
    name = target.name.encode()[:80].decode(errors="ignore")
    return target.with_name(f".{name}.{HOST}-{os.getpid()}-{secrets.token_hex(4)}.part")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _refusal(path: Path, problem: OSError) -> WritingError:
    why = (problem.strerror or str(problem)).lower()
    error = WritingError(
        f"{str(path)!r} cannot be written: {why}. What was there before is unchanged; make room, "
        "or name a place that can be written to."
    )
    error.errno = problem.errno
    return error
