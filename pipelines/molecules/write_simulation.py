"""The files of one simulation: all frames are read once, then the splits and slices are cut from them.

The centre atoms, and the box where it is kept, go to a temporary file as they are read. Memory holds one frame of all
atoms and a few frames of centre atoms, whatever the length of the trajectory.
"""

import os
import socket
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import names_path, write_atomically
from pipelines.h5md_writer import save_h5md
from pipelines.manifest import Manifest
from pipelines.molecules.alignment import Aligner
from pipelines.molecules.centers import one_hot
from pipelines.molecules.config import SPLITS, MoleculesConfig
from pipelines.molecules.frame_times import FrameTimes
from pipelines.molecules.inputs import check_inputs, fingerprint_inputs
from pipelines.molecules.plan import Plan
from pipelines.molecules.records import Record
from pipelines.molecules.simulation_frames import SimulationFrames
from pipelines.molecules.slices import Slice, thinness
from pipelines.molecules.splits import cut_time
from pipelines.npy_files import save_chunks

_CHUNK_NUMBERS = 1 << 20


def write_simulation(config: MoleculesConfig, plan: Plan, index: int, directory: Path) -> Generator[int, None, Record]:
    """Write the files of a simulation.

    Args:
        config: The configuration of the dataset.
        plan: What to write.
        index: Number of the simulation, from 0.
        directory: The directory of the dataset.

    Yields:
        The number of frames read so far.

    Returns:
        What was found and written.

    Raises:
        UserError: A file cannot be read to its end, changes while it is read, or is too short.
    """
    label = plan.simulation.label
    inputs = fingerprint_inputs(plan.simulation)
    frames = plan.frames(config)
    # `claim` removes files of this name that a killed run left.
    store = directory / f".{index:05d}.{socket.gethostname()}-{os.getpid()}.centers.tmp"
    try:
        num_frames, times, aligner = yield from _store_centers(config, plan, frames, store)
        check_inputs(plan.simulation, inputs, "reading began")
        aligner.particles.check_moves(label)
        if frames.without_positions:
            label += f", without {frames.without_positions} frames that have no positions"
        shares, splits = (config.fractions, SPLITS) if plan.split is None else ((1.0,), (plan.split,))
        parts = cut_time(label, num_frames, shares, 1 if plan.start is not None else config.min_frames, splits)
        time_between_frames = config.stride * times.time_between_frames(label)
        num_columns = len(plan.selection.atoms) * (1 + config.velocities)
        shape = (num_frames, num_columns + 3 * plan.keeps_box, 3)
        stored = np.memmap(store, config.dtype, mode="r", shape=shape)
        positions, boxes = stored[:, :num_columns], stored[:, num_columns:]
        layout = config.layout(time_between_frames)
        files = {
            split: _write_split(config, plan, index, positions, split, parts, directory, layout) for split in parts
        }
        box = _constant(boxes) if plan.keeps_box else None
        if plan.keeps_box and box is None:
            for split, names in files.items():
                for name in names:
                    save_boxes(directory / name, boxes[parts[split].start : parts[split].stop])
        measures = [thinness(positions, piece, config.slice_half_thickness or 0.0) for piece in plan.slices]
    finally:
        store.unlink(missing_ok=True)
    return Record.of(plan, inputs, frames, num_frames, time_between_frames, aligner, files, measures, box)


def _store_centers(
    config: MoleculesConfig, plan: Plan, frames: SimulationFrames, store: Path
) -> Generator[int, None, tuple[int, FrameTimes, Aligner]]:
    """Read all frames; append the aligned particles of those that are kept `[N, 3]`, in the length unit, to a file.

    Their velocities and the box follow, if they are kept.
    """
    times, aligner, num_frames = FrameTimes(config.time_between_frames), None, 0
    start = None if plan.start is None else plan.start * config.units_in_angstrom
    with names_path(store.parent), store.open("wb") as file:
        for index, frame in enumerate(frames):
            aligner = aligner or Aligner(plan.selection, frame, start)
            times.note(frame)
            positions = aligner(frame)
            if index % config.stride == 0:
                num_frames += 1
                parts = [positions]
                parts += [plan.selection.velocities(frame)] if config.velocities else []
                parts += [frame.box] if plan.keeps_box and frame.box is not None else []
                for part in parts:
                    file.write((part / config.units_in_angstrom).astype(config.dtype).data)
            yield index + 1
    assert aligner is not None  # simulations without frames are refused
    return num_frames, times, aligner


def _constant(boxes: npt.NDArray[np.floating]) -> list[list[float]] | None:
    """The box `[3][3]` if it is the same in all frames `[num_frames, 3, 3]`, in the decimals that float32 has."""
    if (boxes != boxes[:1]).any():
        return None
    return [[float(f"{number:.7g}") for number in row] for row in boxes[0]]


def box_file(name: str) -> str:
    """Name of the file with the boxes of a trajectory file: `train/00000.box.npy` beside `train/00000.npy`."""
    return f"{name.rpartition('.')[0]}.box.npy"


def save_boxes(path: Path, boxes: npt.NDArray[np.floating]) -> None:
    """Write the boxes `[num_frames, 3, 3]` of a trajectory file beside it.

    Args:
        path: The trajectory file.
        boxes: Box vectors, one per row.
    """
    content = np.array(boxes, np.float32)
    write_atomically(path.with_name(box_file(path.name)), lambda file: np.save(file, content))


def _write_split(
    config: MoleculesConfig,
    plan: Plan,
    index: int,
    positions: npt.NDArray[np.floating],
    split: str,
    parts: Mapping[str, range],
    directory: Path,
    layout: Manifest,
) -> tuple[str, ...]:
    """Write the files of one split, one per slice or a single one, and return their names."""
    if not parts[split]:
        return ()
    frames = positions[parts[split].start : parts[split].stop]
    names = []
    for number, piece in enumerate(plan.slices or (None,)):
        name = f"{split}/{index:05d}{'' if piece is None else f'_{number:02d}'}.{config.file_format}"
        columns = _features(config, plan, piece)
        moving = 3 * config.velocities
        shape = (len(frames), len(columns), config.num_dimensions + columns.shape[1] + moving)
        chunks = _chunks(frames, columns, piece)
        if config.file_format == "npy":
            save_chunks(directory / name, shape, chunks, config.dtype)
        else:
            save_h5md(directory / name, layout, shape, chunks, config.dtype)
        if plan.selection.bonds is not None:
            save_bonds(directory / edge_file(name), plan.selection.bonds)
        names.append(name)
    return tuple(names)


def edge_file(name: str) -> str:
    """Name of the file with the bonds of a trajectory file: `train/00000.edges.npy` beside `train/00000.npy`."""
    return f"{name.rpartition('.')[0]}.edges.npy"


def save_bonds(path: Path, bonds: npt.NDArray[np.int32]) -> None:
    """Write bonds `[E, 3]`: two particles and a type."""
    write_atomically(path, lambda file: np.save(file, bonds))


def _features(config: MoleculesConfig, plan: Plan, piece: Slice | None) -> npt.NDArray[np.float32]:
    """Names, attributes and anchors of the particles, or of those in a slice `[N, F]`."""
    names = one_hot(plan.selection.kinds, len(config.molecules))
    names = np.concatenate([names, plan.selection.features], axis=1) if config.feature else names
    if plan.anchors is None:
        return names if piece is None else names[piece.members]
    if piece is None:
        return np.concatenate([names, plan.anchors.astype(np.float32)], axis=1)
    flat = piece.rotate(plan.anchors)[:, :2].astype(np.float32)
    return np.concatenate([names[piece.members], flat], axis=1)


def _chunks(
    frames: npt.NDArray[np.floating], features: npt.NDArray[np.float32], piece: Slice | None
) -> Iterator[npt.NDArray[np.floating]]:
    """Positions and features, and velocities if `frames` have them, `[frames, N, D + F]`, a few frames at a time."""
    step, count = max(1, _CHUNK_NUMBERS // frames[0].size), frames.shape[1] if piece is not None else len(features)
    for start in range(0, len(frames), step):
        chunk = frames[start : start + step, :count]
        flat = chunk if piece is None else piece.rotate(chunk)[..., :2].astype(chunk.dtype)
        constant = np.broadcast_to(features, (len(flat), *features.shape))
        moving = [frames[start : start + step, count:]] if frames.shape[1] > count else []
        yield np.concatenate([flat, constant, *moving], axis=-1)
