"""One more trajectory, made into a dataset by the settings of a dataset that `prepare` made."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import UserError, require
from pipelines.manifest import Manifest
from pipelines.molecules.anchors import BY_BONDS
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.known_molecules import known_molecules
from pipelines.molecules.prepare import prepare


def prepare_like(manifest: Manifest, trajectory: Path, topology: Path | None, directory: Path) -> Path:
    """Prepare a trajectory with the settings of a dataset: molecules, centre, anchors, box and units.

    Args:
        manifest: The manifest of the dataset.
        trajectory: A trajectory file, or a directory of its frames, in any format of `prepare`.
        topology: File that names the molecules; None for formats that name them.
        directory: Directory of the new dataset, which holds all frames in one file.

    Returns:
        The file.

    Raises:
        UserError: `prepare` did not make the dataset, or made flat slices, or the trajectory cannot be read or has
            other molecules.
    """
    config = manifest.provenance.get("config")
    if known_molecules(manifest) is None or not isinstance(config, Mapping):
        raise UserError(
            f"`input` must be a .npy file for the dataset {manifest.name}: `prepare` did not make it, and how it came "
            f"from trajectories is not known. Received: {str(trajectory)!r}"
        )
    require(manifest.num_dimensions == 3, "input", "a .npy file for a dataset of flat slices", str(trajectory))
    command = str(manifest.provenance["command"])  # the new dataset holds molecules, too
    prepare(_settings(config, manifest, trajectory, topology), directory, command=command)
    return directory / Manifest.load(directory).splits["train"][0]


def _settings(
    config: Mapping[str, Any], manifest: Manifest, trajectory: Path, topology: Path | None
) -> MoleculesConfig:
    known = {field.name for field in dataclasses.fields(MoleculesConfig)}
    kept = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items() if name in known}
    one_file: dict[str, Any] = {
        "trajectory": (trajectory,),
        "topology": () if topology is None else (topology,),
        "box": "keep" if manifest.is_periodic else "drop",
        "split_by": "time",
        "fractions": (1.0, 0.0, 0.0),
        "validation": (),
        "test": (),
        "min_frames": 1,
        "reruns": (),
    }
    notes = manifest.provenance.get("notes")
    if isinstance(notes, list) and any(str(note).endswith(BY_BONDS) for note in notes):
        one_file["anchor_by"] = "bonds"  # the nearest atom may be another one
    return MoleculesConfig(**{**kept, **one_file})
