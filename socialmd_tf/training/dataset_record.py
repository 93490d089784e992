"""A run's record of its dataset, to notice that the data have changed since it began."""

import dataclasses
import json

from pipelines.errors import UserError
from pipelines.fingerprint import fingerprint, same_content
from socialmd_tf.config import load_json
from socialmd_tf.training.settings import difference

_NOT_DATA = ("name", "provenance")
"""Fields of the manifest that no result depends on."""


def dataset_record(directory, manifest, known=None):
    """The manifest and the fingerprint of all files, JSON-ready.

    Args:
        directory: The dataset.
        manifest: Its `Manifest`.
        known: An earlier record; files of the same size and modification time are not read again.
    """
    names = [*manifest.files, *manifest.side_files]
    return {
        "manifest": json.loads(json.dumps(dataclasses.asdict(manifest))),
        "files": fingerprint(directory, names, known and known["files"]),
    }


def dataset_change(old, new):
    """The first difference between two records in words, or None; where the dataset lies does not matter."""
    return difference(old["manifest"], new["manifest"], _NOT_DATA) or same_content(old["files"], new["files"])


def read_record(path):
    """Read a record.

    Raises:
        UserError: The file is missing or damaged.
    """
    values = load_json(path)
    parts = [values.get(name) if isinstance(values, dict) else None for name in ("manifest", "files")]
    if not all(isinstance(part, dict) for part in parts) or not all(
        isinstance(entry, dict) and "sha256" in entry for entry in parts[1].values()
    ):
        raise UserError(f"{path}: expected the manifest and the fingerprint of a dataset")
    return values
