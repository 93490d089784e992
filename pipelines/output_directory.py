"""The directory of a dataset that is being made: claimed by its configuration, so that a re-run can go on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.atomic_files import write_json
from pipelines.errors import UserError


def check_claim(directory: Path, config_file: str, config: Mapping[str, Any], kind: str) -> bool:
    """Refuse a directory that `claim` would refuse, without touching it; arguments and errors as there.

    Returns:
        Whether it was claimed before.
    """
    path = directory / config_file
    try:
        if path.exists():
            _check_same(path, config, kind)
            return True
        if directory.is_dir() and any(not entry.match(f".{config_file}.*tmp") for entry in directory.iterdir()):
            raise UserError(f"{directory}: not empty and not {kind}; expected a new directory")
    except OSError as error:
        raise _cannot_hold(directory, error) from None
    return False


def claim(directory: Path, config_file: str, config: Mapping[str, Any], kind: str) -> None:
    """Make a directory ours, or refuse it; what a killed run left half written is removed.

    Args:
        directory: New, empty, or claimed before by the same configuration.
        config_file: The file in it that holds the configuration.
        config: What the dataset is made of, as JSON holds it.
        kind: What the dataset is, as in "an N-body dataset".

    Raises:
        UserError: The directory holds something else, or cannot be written.
    """
    if not check_claim(directory, config_file, config, kind):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_json(directory / config_file, config)
        except OSError as error:
            raise _cannot_hold(directory, error) from None
    for stale in directory.rglob(".*.tmp"):  # of a run killed while it wrote
        stale.unlink()


def _cannot_hold(directory: Path, error: OSError) -> UserError:
    return UserError(f"{directory}: cannot hold a dataset: {error.strerror}")


def _check_same(path: Path, config: Mapping[str, Any], kind: str) -> None:
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not the configuration of {kind}; expected a new directory")
    for name, expected in config.items():
        if found.get(name) != expected:
            raise UserError(
                f"{path.parent}: holds a dataset with `{name}` = {found.get(name)!r}; "
                f"expected {expected!r} or a new directory"
            )
