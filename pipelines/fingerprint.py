"""Fingerprints of input files: has the data changed since a run or a dataset was made from it?"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import UserError

Fingerprint = dict[str, Any]
"""File -> {"size": bytes, "mtime_ns": time of the last change, "sha256": hash of the content}, as JSON holds it."""


def fingerprint(directory: Path, files: Sequence[str], known: Mapping[str, Any] | None = None) -> Fingerprint:
    """Fingerprint files, reading only those that may have changed.

    Args:
        directory: Directory that the names are relative to; absolute names are taken as they are.
        files: Names of the files.
        known: An earlier fingerprint. A file whose size and modification time are the same keeps its hash
            and is not read.

    Returns:
        One entry per file, in the order of `files`. Modification times say nothing about equality: compare
        fingerprints with `same_content`.

    Raises:
        UserError: A file cannot be read.
    """
    known = known if isinstance(known, Mapping) else {}
    return {file: _entry(Path(directory) / file, known.get(file)) for file in files}


def _entry(path: Path, known: object) -> dict[str, Any]:
    try:
        status = path.stat()
        stamp = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        if isinstance(known, Mapping) and "sha256" in known and all(known.get(key) == stamp[key] for key in stamp):
            return {**stamp, "sha256": known["sha256"]}
        with path.open("rb") as file:
            return {**stamp, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def same_content(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Compare two fingerprints by name and content; where and when the files were written does not matter.

    Args:
        old: The earlier fingerprint.
        new: The later one.

    Returns:
        None if both hold the same files with the same contents, else a phrase that names the first
        difference, such as "train/00000.npy has changed".
    """
    for file in old:
        if file not in new:
            return f"{file} is missing"
        if old[file]["sha256"] != new[file]["sha256"]:
            return f"{file} has changed"
    added = [file for file in new if file not in old]
    return f"{added[0]} was added" if added else None
