"""Lines and fixed columns of text files, packed or not."""

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import Array, IncompleteFileError

_OPENERS: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".bz2": bz2.open}


def format_suffix(path: Path) -> str:
    """Suffix that names the format, in lower case: ".pdb" for `a.PDB` and `a.pdb.gz`; "" if there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _OPENERS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Read a file line by line, unpacking `.gz` and `.bz2`.

    Args:
        path: The file.

    Yields:
        Line number, from 1, and line.

    Raises:
        UserError: The file cannot be read or unpacked.
        IncompleteFileError: A packed file ends early.
    """
    opener = _OPENERS.get(path.suffix.lower(), open)
    try:
        with opener(path, "rb") as file:
            yield from enumerate(file, start=1)
    except EOFError:
        raise IncompleteFileError(f"{path}: the packed file is cut off") from None
    except (OSError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def atom_count(path: Path, number: int, line: bytes) -> int:
    """The number of atoms, from a line that holds nothing else.

    Raises:
        UserError: The line holds something else.
    """
    if not line.strip().isdigit() or int(line) < 1:
        found = line.decode("latin-1").strip()[:40]
        raise UserError(f"{path}: line {number}: expected the number of atoms, found {found!r}")
    return int(line)


def columns(rows: npt.NDArray[np.bytes_], start: int, stop: int) -> npt.NDArray[np.bytes_]:
    """Characters `start` to `stop` of every row: `[n]` -> `[n]`."""
    characters = rows.view("S1").reshape(len(rows), -1)[:, start:stop]
    return np.ascontiguousarray(characters).view(f"S{stop - start}")[:, 0]


def texts(fields: npt.NDArray[np.bytes_]) -> npt.NDArray[np.str_]:
    """Fields without surrounding blanks, as text `[n]`."""
    return np.char.strip(np.char.decode(fields, "latin-1"))


def coordinates(path: Path, lines: Sequence[bytes], numbers: Sequence[int], start: int, width: int) -> Array:
    """Three numbers of every line, from fixed columns.

    Args:
        path: The file, for the message.
        lines: One line per atom `[n]`.
        numbers: Their line numbers `[n]`.
        start: First column, from 0.
        width: Columns per number.

    Returns:
        `[n, 3]`.

    Raises:
        UserError: A line holds something else; the message names the line.
    """
    stop = start + 3 * width
    fields = columns(np.array(lines, dtype=f"S{stop}"), start, stop).view(f"S{width}").reshape(-1, 3)
    try:
        return fields.astype(np.float64)
    except ValueError:
        wrong = next(row for row, field in enumerate(fields) if not _are_numbers(field))
        found = lines[wrong][start:stop].decode("latin-1").rstrip()
        raise UserError(
            f"{path}: line {numbers[wrong]}: expected three coordinates in columns {start + 1} to {stop}, "
            f"found {found!r}"
        ) from None


def _are_numbers(fields: npt.NDArray[np.bytes_]) -> bool:
    try:
        fields.astype(np.float64)
    except ValueError:
        return False
    return True
