"""A checksum behind the last byte of a file: damage is noticed before HDF5 reads it.

The HDF5 library may never return from a damaged file (tried: a few flipped bits made it loop), so
a file is checked as plain bytes first. HDF5 ignores what follows its own end, so that other
programs read a sealed file as any other.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from bayesimpute.errors import FileFormatError

MARK = b"\nbayesimpute sha256 "
LENGTH = len(MARK) + hashlib.sha256().digest_size
HDF5 = b"\x89HDF\r\n\x1a\n"
ADVICE = "give a file written by imp.to_netcdf()"


def sealed(content: bytes) -> bytes:
    """Give the contents of a file with mark and checksum behind them."""
    return content + MARK + hashlib.sha256(content).digest()


def seal(path: Path) -> None:
    """Append mark and checksum to a file, as whoever changed one in another program has to."""
    path.write_bytes(sealed(path.read_bytes()))


def check_seal(path: Path) -> None:
    """Raise unless a file is complete and unchanged since it was sealed.

    Raises
    ------
    FileFormatError
        If it is no netCDF-4 file, bears no seal, or was changed afterwards.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(HDF5)) != HDF5:
            raise FileFormatError(f"{str(path)!r} is not a netCDF-4 file; {ADVICE}.")
        file.seek(max(size - LENGTH, 0))
        end = file.read()
        if not end.startswith(MARK):
            raise FileFormatError(
                f"{str(path)!r} is not a whole result of bayesimpute: of another program, "
                f"or cut off; {ADVICE}."
            )
        if _digest(file, size - LENGTH) != end[len(MARK) :]:
            raise FileFormatError(f"{str(path)!r} is damaged: its checksum does not fit; {ADVICE}.")


def _digest(file: BinaryIO, length: int) -> bytes:
    """SHA-256 of the first bytes of a file, in pieces so that size costs no memory."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (piece := file.read(min(length, 1 << 20))):
        digest.update(piece)
        length -= len(piece)
    return digest.digest()
