"""A dataset from molecular trajectories (thesis section 3.2), made simulation by simulation, resumable.

A directory holds `prepare.json` (the configuration, written first), for every simulation its `.npy` files and then
`simulations/00000.json` (its `Record`: the files count once this is there), and `dataset.json` (written last). All
are written under a temporary name and renamed. The centre atoms of a simulation go to a temporary file as they
are read; what is in memory is one frame of all atoms and a few frames of centre atoms.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from pipelines.manifest import MANIFEST_FILE, Manifest
from pipelines.molecules.alignment import Aligner, Unwrapped
from pipelines.molecules.centers import one_hot
from pipelines.molecules.config import SPLITS, MoleculesConfig
from pipelines.molecules.frame_times import Clock
from pipelines.molecules.plan import Plan, make_plans
from pipelines.molecules.reading import read_frames
from pipelines.molecules.records import Record, Summary
from pipelines.molecules.slices import Slice, thinness
from pipelines.molecules.splits import cut_time
from pipelines.npy_files import save_chunks
from pipelines.output_directory import check_claim, claim
from pipelines.progress import Progress
from pipelines.validation import check

CONFIG_FILE = "prepare.json"
RECORDS = "simulations"
_CHUNK_NUMBERS = 1 << 20


def prepare(config: MoleculesConfig, directory: Path, *, command: str) -> Summary:
    """Make a dataset; a run that was stopped at any moment is finished by the same call.

    A file is float32 `[num_frames, N, D + F]`: positions about the centre, in the length unit, then a 1 in the
    column of the molecule's name. N differs between slices and between simulations.

    Args:
        config: The trajectories and what to make of them.
        directory: Where the dataset goes: new, empty, or a dataset of the same `config`.
        command: What the user called, for `dataset.json`.

    Returns:
        The summary.

    Raises:
        UserError: The input or the directory is at fault; `directory` is then left as it was, unless whole
            simulations were prepared before.
    """
    directory = Path(directory)
    ours = (directory, CONFIG_FILE, _as_json(config), "a dataset of molecules")
    was_complete = check_claim(*ours) and (directory / MANIFEST_FILE).exists()
    was_there = directory.exists()
    plans = [] if was_complete else make_plans(config)
    lock = claim(*ours)
    try:
        for index, plan in enumerate(plans):
            if not _record_path(directory, index).exists():
                record = _prepare_one(config, plan, index, directory, len(plans))
                write_json(_record_path(directory, index), dataclasses.asdict(record))
        records = tuple(Record.load(path) for path in sorted((directory / RECORDS).glob("*.json")))
        summary = Summary(directory, config, records, was_complete)
        if not was_complete:
            _manifest(config, command, summary).save(directory)
            check(directory, min_frames=config.min_frames)
        return summary
    except UserError:
        lock.release()
        _leave_as_it_was(directory, was_there)
        raise
    finally:
        lock.release()


def _as_json(config: MoleculesConfig) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return values


def _record_path(directory: Path, index: int) -> Path:
    return directory / RECORDS / f"{index:05d}.json"


def _leave_as_it_was(directory: Path, was_there: bool) -> None:
    """Give back a directory in which nothing was finished, so that a mended command can use it."""
    if any(entry.name != CONFIG_FILE for entry in directory.iterdir()):
        return
    (directory / CONFIG_FILE).unlink(missing_ok=True)
    if not was_there:
        directory.rmdir()


def _prepare_one(config: MoleculesConfig, plan: Plan, index: int, directory: Path, num_simulations: int) -> Record:
    # The name is that of the temporary files which `claim` removes after a kill.
    store = directory / f".{index:05d}.centers.tmp"
    try:
        with Progress("prepare", None) as progress:
            where = f"simulation {index + 1} of {num_simulations}"
            num_frames, clock, particles = _store_centers(config, plan, store, progress, where)
        if plan.split is None:
            parts = cut_time(plan.simulation.label, num_frames, config.fractions, config.min_frames)
        else:
            parts = cut_time(plan.simulation.label, num_frames, (1.0,), config.min_frames, splits=(plan.split,))
        time_between_frames = clock.time_between_frames
        if time_between_frames is None:
            raise UserError(f"{plan.simulation.label}: one frame says no time between frames; expected several")
        num_particles = len(plan.selection.atoms)
        positions = np.memmap(store, np.float32, mode="r", shape=(num_frames, num_particles, 3))
        files = {split: _write_split(config, plan, index, positions, split, parts, directory) for split in parts}
        measures = [thinness(positions, piece, config.slice_half_thickness or 0.0) for piece in plan.slices]
    finally:
        store.unlink(missing_ok=True)
    return Record.of(plan, num_frames, time_between_frames, particles, files, measures)


def _store_centers(
    config: MoleculesConfig, plan: Plan, store: Path, progress: Progress, where: str
) -> tuple[int, Clock, Unwrapped]:
    """Read all frames of a simulation; append its aligned centre atoms `[N, 3]`, in the length unit, to a file."""
    parts = (read_frames(path, plan.num_atoms, config.input_unit) for path in plan.simulation.parts)
    frames = itertools.chain.from_iterable(parts)
    first = next(frames)
    clock, aligner, num_frames = Clock(config.time_between_frames), Aligner(plan.selection, first), 0
    with store.open("wb") as file:
        for num_frames, frame in enumerate(itertools.chain([first], frames), start=1):
            clock.note(frame)
            file.write((aligner(frame) / config.units_in_angstrom).astype(np.float32).data)
            progress.show(num_frames, f"{where}, {num_frames} frames")
    return num_frames, clock, aligner.particles


def _write_split(
    config: MoleculesConfig,
    plan: Plan,
    index: int,
    positions: npt.NDArray[np.float32],
    split: str,
    parts: dict[str, range],
    directory: Path,
) -> tuple[str, ...]:
    """Write the files of one split, one a slice or one in all; their names."""
    if not parts[split]:
        return ()
    features = one_hot(plan.selection.kinds, len(config.molecules))
    frames = positions[parts[split].start : parts[split].stop]
    names = []
    for number, piece in enumerate(plan.slices or (None,)):
        name = f"{split}/{index:05d}.npy" if piece is None else f"{split}/{index:05d}_{number:02d}.npy"
        columns = features if piece is None else features[piece.members]
        shape = (len(frames), len(columns), config.num_dimensions + columns.shape[1])
        save_chunks(directory / name, shape, _chunks(frames, columns, piece))
        names.append(name)
    return tuple(names)


def _chunks(
    frames: npt.NDArray[np.float32], features: npt.NDArray[np.float32], piece: Slice | None
) -> Iterator[npt.NDArray[np.float32]]:
    """A few frames of positions and features `[frames, N, D + F]` at a time."""
    step = max(1, _CHUNK_NUMBERS // frames[0].size)
    for start in range(0, len(frames), step):
        chunk = frames[start : start + step]
        flat = chunk if piece is None else piece.rotate(chunk)[..., :2].astype(np.float32)
        yield np.concatenate([flat, np.broadcast_to(features, (len(flat), *features.shape))], axis=-1)


def _manifest(config: MoleculesConfig, command: str, summary: Summary) -> Manifest:
    times = [record.time_between_frames for record in summary.records]
    if max(times) > 1.01 * min(times):
        raise UserError(f"`trajectory` must have one time between frames. Received: {sorted(set(times))} ps")
    return Manifest(
        name="molecules",
        num_dimensions=config.num_dimensions,
        features=config.molecules,
        length_unit=config.length_unit,
        time_between_frames=times[0],
        splits={
            split: tuple(name for record in summary.records for name in record.files.get(split, ())) for split in SPLITS
        },
        provenance={
            "command": command,
            "version": version("socialmd_tf"),
            "time_unit": "ps",
            "config": _as_json(config),
            **summary.statistics(),
        },
    )
