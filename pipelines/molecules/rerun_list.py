"""Which simulations are run again, and from which frame: the JSON files of `--reruns`."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.molecules.config import SPLITS, MoleculesConfig
from pipelines.molecules.records import Record
from pipelines.molecules.series import Simulation, parts_of
from pipelines.molecules.splits import cut

_FORM = '{"of": trajectory, "frame": number}'


@dataclasses.dataclass(frozen=True)
class Rerun:
    """A simulation that restarts another one."""

    simulation: Simulation
    """Its files; the topology is that of the other one."""
    original: int
    """Place of the other one among the simulations."""
    frame: int
    """The frame of the other one that is its first, from 0."""


def find_reruns(config: MoleculesConfig, simulations: Sequence[Simulation]) -> list[Rerun]:
    """Read the lists of re-runs.

    Args:
        config: `reruns`.
        simulations: The simulations of the dataset.

    Returns:
        The re-runs, in the order of the lists.

    Raises:
        UserError: A list cannot be read, or a re-run does not exist or restarts something else.
    """
    owners: dict[Path, int] = {}
    for place, simulation in enumerate(simulations):
        parts = [part.resolve() for part in simulation.parts]
        owners |= dict.fromkeys([*parts, *(part.parent for part in parts if len(parts) > 1)], place)
    return [
        _rerun(path, name, entry, simulations, owners) for path in config.reruns for name, entry in _read(path).items()
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected a list of re-runs") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; expected a list of re-runs") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected an object, trajectory of a re-run -> {_FORM}")
    return values


def _rerun(path: Path, name: str, entry: Any, simulations: Sequence[Simulation], owners: dict[Path, int]) -> Rerun:
    if not isinstance(entry, dict) or set(entry) != {"of", "frame"} or not isinstance(entry["of"], str):
        raise UserError(f"{path}: {name}: expected {_FORM}, found {str(entry)[:80]}")
    frame, files = entry["frame"], path.parent / name
    if type(frame) is not int or frame < 0:
        raise UserError(f"{path}: {name}: expected a `frame` of at least 0, found {frame!r}")
    if not files.exists():
        raise UserError(f"{path}: {name}: no such file")
    original = owners.get((path.parent / entry["of"]).resolve())
    if original is None:
        raise UserError(
            f"{path}: {name} is a re-run of {entry['of']}, which is none of the simulations; expected it in "
            "`--trajectory`"
        )
    parts = parts_of(files) if files.is_dir() else (files,)
    return Rerun(Simulation(simulations[original].topology, parts), original, frame)


def restarted(config: MoleculesConfig, rerun: Rerun, record: Record) -> tuple[str, int]:
    """The file of the dataset, and its frame, that a re-run restarts.

    Args:
        config: The configuration of the dataset.
        rerun: The re-run.
        record: The record of the simulation that it restarts.

    Returns:
        Name of the file, and number of the frame in it, from 0.

    Raises:
        UserError: The simulation has no such frame.
    """
    by_file = config.split_by == "file"
    parts = (
        dict.fromkeys(record.files, range(record.num_frames))
        if by_file
        else cut(record.num_frames, config.fractions, SPLITS)
    )
    for split, frames in parts.items():
        if rerun.frame in frames and record.files.get(split):
            return record.files[split][0], rerun.frame - frames.start
    raise UserError(
        f"{rerun.simulation.label}: restarts frame {rerun.frame} of a simulation of {record.num_frames} frames; "
        f"expected a frame from 0 to {record.num_frames - 1}"
    )
