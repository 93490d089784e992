"""The version directories of an exported model, `saved_models/NAME/<integer>/`."""

import os
from pathlib import Path

from pipelines.errors import UserError, require

SAVED_MODEL = "saved_model.pb"


def versions(directory):
    """Numbers of the exported versions, smallest first.

    Args:
        directory: `saved_models/NAME`, which need not exist. Leading zeros, as in `0001`, are allowed.

    Raises:
        UserError: `directory` is a file or holds something other than versions.
    """
    directory = Path(directory)
    if not directory.exists():
        return []
    if not directory.is_dir():
        raise UserError(f"`export_directory` must be a directory. Received: {directory}")
    entries = [entry.name for entry in directory.iterdir() if not entry.name.startswith(".")]
    for name in entries:
        if not name.isdecimal():
            raise UserError(f"`export_directory` must hold only versions 1, 2, ... Found {name!r} in {directory}")
    return sorted(int(name) for name in entries)


def find_version(path):
    """The directory of one version.

    Args:
        path: `saved_models/NAME/VERSION`, or `saved_models/NAME`, which stands for its newest version.

    Raises:
        UserError: There is no SavedModel in either place.
    """
    require(isinstance(path, str | os.PathLike), "model", "the path of a SavedModel", path)
    path = Path(path)
    if (path / SAVED_MODEL).exists():
        return path
    found = [entry for entry in path.glob("*/") if entry.name.isdecimal() and (entry / SAVED_MODEL).exists()]
    if not found:
        raise UserError(
            f"`model` must be a SavedModel or a directory of its versions. Found none in {path}{_known(path)}"
        )
    return max(found, key=lambda entry: int(entry.name))


def _known(path):
    """Which models or versions there are instead, for a message; nothing where there are none."""
    for place, kind, pattern in (
        (path, "models", "*/*"),
        (path.parent, "versions", "*"),
        (path.parent, "models", "*/*"),
    ):
        exports = [file.parent for file in place.glob(f"{pattern}/{SAVED_MODEL}") if file.parent.name.isdecimal()]
        names = sorted({export.relative_to(place).parts[0] for export in exports})
        if names:
            return f". There are the {kind} {', '.join(names)} in {place}"
    return ""
