"""Which files of a dataset are converted when they are read."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.stored_trajectory import StoredTrajectory

_WHY = {
    "float64": "positions are rounded to float32 after unwrapping",
    "Fortran order": "slow to read; numpy.save(file, numpy.ascontiguousarray(trajectory)) makes it fast",
}


def conversion_notes(directory: Path, splits: Sequence[str] | None = None) -> list[str]:
    """One line per way in which files differ from float32 in native byte order and C order; they are read all the same.

    Args:
        directory: The directory of the dataset. Files with a faulty header are left to `pipelines.validation`.
        splits: The splits whose files to look at; all by default.

    Raises:
        UserError: The manifest cannot be read.
    """
    manifest, found = Manifest.load(directory), dict[str, list[str]]()
    for split, files in manifest.splits.items():
        for file in files if splits is None or split in splits else ():
            try:
                conversion = StoredTrajectory.check(Path(directory) / file, manifest).conversion
            except UserError:
                continue
            if conversion:
                found.setdefault(conversion, []).append(file)
    return [conversion_line(conversion, files) for conversion, files in found.items()]


def conversion_line(conversion: str, files: Sequence[str]) -> str:
    """The note that files are converted when they are read.

    Args:
        conversion: `StoredTrajectory.conversion`.
        files: Their names.
    """
    others = f" and {len(files) - 1} more file{'s' if len(files) > 2 else ''}" if len(files) > 1 else ""
    reasons = "; ".join(why for name, why in _WHY.items() if name in conversion)
    return f"note: {files[0]}{others}: {conversion}, converted when read{f' ({reasons})' if reasons else ''}"
