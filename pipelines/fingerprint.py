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


def stamp_of(path: Path) -> tuple[int, int, int, int]:
    """Size, time of the last change of content and of status in ns, and number of a file.

    Of a directory (a Zarr store): the sum of sizes and the latest times of all its files, and their number.

    Raises:
        OSError: There is no such file.
    """
    files = _files_of(path)
    found = [file.stat() for file in files]
    size, times = sum(each.st_size for each in found), [(each.st_mtime_ns, each.st_ctime_ns) for each in found]
    changed, status = (max(each, default=0) for each in zip(*times, strict=True)) if times else (0, 0)
    return size, changed, status, found[0].st_ino if path.is_file() else len(found)


def _files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if _is_store(path) else [path]


def _is_store(path: Path) -> bool:
    return path.suffix == ".zarr" and path.is_dir()


def _entry(path: Path, known: object) -> dict[str, Any]:
    try:
        size, changed, *_ = stamp_of(path)
        stamp = {"size": size, "mtime_ns": changed}
        if isinstance(known, Mapping) and "sha256" in known and all(known.get(key) == stamp[key] for key in stamp):
            return {**stamp, "sha256": known["sha256"]}
        return {**stamp, "sha256": _content_hash(path)}
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _content_hash(path: Path) -> str:
    """SHA-256 of a file; of a directory, that of the names and hashes of its files."""
    if _is_store(path):
        parts = [f"{file.relative_to(path).as_posix()} {_content_hash(file)}" for file in _files_of(path)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
