"""What a dataset is: sizes, space, time, and how its particles move, from the headers and a sample of the files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pipelines.boxes import wrap, wraps
from pipelines.errors import UserError
from pipelines.manifest import MANIFEST_FILE, Manifest
from pipelines.motion import Motion, measure
from pipelines.side_files import open_file
from pipelines.stored_trajectory import StoredTrajectory

Array = npt.NDArray[np.float64]

MAX_FILES = 12
MAX_FRAMES = 1000
MAX_PARTICLES = 100
"""Largest sample: these many files, successive frames of each, and particles, so that memory is bounded."""

_OFF_CENTER = 0.2


@dataclasses.dataclass(frozen=True)
class Sample:
    """The part of a dataset that was looked at."""

    split: str
    """Name of the split."""
    files: tuple[str, ...]
    """Its files that were read."""
    num_files: int
    """Number of files of the split."""
    num_frames: int
    """Largest number of successive frames that were read, from the middle of a file."""
    num_particles: int
    """Largest number of particles that were read."""


@dataclasses.dataclass(frozen=True)
class Description:
    """Facts about a dataset."""

    directory: Path
    manifest: Manifest
    num_frames: Mapping[str, tuple[int, ...]]
    """Split -> stored frames of each of its files."""
    num_particles: tuple[int, int]
    """Smallest and largest number of particles of a file."""
    sample: Sample
    """The part of the data from which the following facts are."""
    ranges: Mapping[str, tuple[float, float]]
    """Column -> smallest and largest value; observed velocities are left out."""
    boxes: Array | None
    """Smallest and largest lengths of the lattice vectors, `[2, D]`, zeros for open axes; None without a box."""
    is_box_constant: bool
    """Whether the box is the same in all files and frames, or there is none."""
    num_bonds: tuple[int, int] | None
    """Smallest and largest number of bonds of a file; None if the dataset has no `edges`."""
    crossing: tuple[str, int, int] | None
    """File, frame and particle of the first position that was wrapped into the box; None if there is none."""
    motion: Motion
    spacing: float | None
    """Median distance of a particle from its nearest neighbour, in the length unit; None for single particles."""

    @property
    def is_around_origin(self) -> bool:
        """Whether the origin is in the middle of the positions: off by at most a fifth of their range, in no box."""
        axes = [self.ranges[name] for name in "xyz"[: self.manifest.num_dimensions]]
        return self.boxes is None and all(abs(low + high) <= _OFF_CENTER * (high - low) for low, high in axes)

    @property
    def min_frames(self) -> int:
        """Stored frames of the shortest file of the splits with which `train` works."""
        used = [self.num_frames.get(split, ()) for split in ("train", "validation", "test")]
        return min((count for counts in used for count in counts), default=0)


@dataclasses.dataclass(frozen=True)
class _FileFacts:
    """Facts from one file of the sample."""

    path: Array
    """Positions `[num_frames, N, D]`, unwrapped."""
    lowest: Array
    highest: Array
    """Of each column."""
    boxes: Array | None
    """Lattice vectors `[num_frames or 1, D, D]` of all frames of the file."""
    num_bonds: int
    crossing: tuple[int, int] | None
    spacing: float | None


def describe(directory: Path) -> Description:
    """Describe a dataset, reading the headers of all files and the content of at most 12.

    Args:
        directory: Directory of a dataset without faults (see `pipelines.validation.validate`).

    Raises:
        UserError: The manifest, the header of a file, a box or bonds are faulty, or there are no files.
    """
    directory = Path(directory)
    manifest = Manifest.load(directory)
    shapes = {
        split: [StoredTrajectory.check(directory / file, manifest).shape for file in files]
        for split, files in manifest.splits.items()
    }
    split = next((name for name in ("train", *shapes) if shapes.get(name)), None)
    if split is None:
        raise UserError(f"{directory}: expected files in `splits` of {MANIFEST_FILE}, found none")
    files = manifest.splits[split]
    chosen = tuple(files[place] for place in _spread(len(files), MAX_FILES))
    found = {file: _file_facts(manifest, directory, file) for file in chosen}
    sizes = [shape[1] for of_split in shapes.values() for shape in of_split]
    facts = list(found.values())
    bonds = [fact.num_bonds for fact in facts]
    boxes = [fact.boxes for fact in facts if fact.boxes is not None]
    paths = [fact.path for fact in facts]
    return Description(
        directory=directory,
        manifest=manifest,
        num_frames={name: tuple(shape[0] for shape in of_split) for name, of_split in shapes.items()},
        num_particles=(min(sizes), max(sizes)),
        sample=Sample(split, chosen, len(files), max(map(len, paths)), max(path.shape[1] for path in paths)),
        ranges=_ranges(manifest, facts),
        boxes=_box_lengths(boxes),
        is_box_constant=all((box == boxes[0][0]).all() for box in boxes),
        num_bonds=None if manifest.edges is None else (min(bonds), max(bonds)),
        crossing=next(((file, *fact.crossing) for file, fact in found.items() if fact.crossing), None),
        motion=measure(paths),
        spacing=float(np.median(spacings))
        if (spacings := [f.spacing for f in facts if f.spacing is not None])
        else None,
    )


def _spread(count: int, most: int) -> list[int]:
    """Up to `most` of the numbers 0, ..., count - 1, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist()


def _file_facts(manifest: Manifest, directory: Path, file: str) -> _FileFacts:
    stored, size = open_file(manifest, directory, file), manifest.num_dimensions
    start = max(0, (len(stored) - MAX_FRAMES) // 2)
    whole = stored.open()
    frames = whole[start : start + MAX_FRAMES]
    # A slice of a memory map, then some particles: the others are not copied.
    sample = np.asarray(frames[:, _spread(stored.shape[1], MAX_PARTICLES)], np.float64)
    path, boxes, crossing = sample[..., :size], stored.boxes, None
    if boxes is not None:
        added = wraps(path, boxes[0] if len(boxes) == 1 else boxes[start : start + MAX_FRAMES])
        path, crossing = path - added, _first_crossing(added, start, stored.shape[1])
    return _FileFacts(
        path=path,
        lowest=sample.min(axis=(0, 1)),
        highest=sample.max(axis=(0, 1)),
        boxes=boxes,
        num_bonds=0 if stored.edges is None else len(stored.edges),
        crossing=crossing,
        spacing=_spacing(whole[len(whole) // 2][:, :size], boxes),
    )


def _spacing(positions: npt.NDArray[np.float32], boxes: Array | None) -> float | None:
    """Median distance of a particle `[N, D]` from its nearest neighbour; across the faces of a box, none is seen."""
    inside = np.asarray(positions, np.float64)
    if boxes is not None:
        inside = wrap(inside, boxes[len(boxes) // 2])
    if len(inside) < 2 or not np.isfinite(inside).all():
        return None
    return float(np.median(cKDTree(inside).query(inside, k=2)[0][:, 1]))


def _first_crossing(added: Array, start: int, num_particles: int) -> tuple[int, int] | None:
    """Frame and particle of the first position that is not where its particle went on to; see `wraps`."""
    wrapped = added.any(axis=-1)
    if not wrapped.any():
        return None
    frame, place = np.unravel_index(np.argmax(wrapped), wrapped.shape)
    return start + int(frame), _spread(num_particles, MAX_PARTICLES)[int(place)]


def _ranges(manifest: Manifest, facts: list[_FileFacts]) -> dict[str, tuple[float, float]]:
    lowest = np.min([fact.lowest for fact in facts], axis=0)
    highest = np.max([fact.highest for fact in facts], axis=0)
    names = ["x", "y", "z"][: manifest.num_dimensions] + list(manifest.features)
    bounds = zip(names, lowest.tolist(), highest.tolist(), strict=True)
    return {name: (low, high) for name, low, high in bounds if name not in manifest.velocity_names}


def _box_lengths(boxes: list[Array]) -> Array | None:
    if not boxes:
        return None
    lengths = np.concatenate([np.linalg.norm(box, axis=-1) for box in boxes])
    return np.stack([lengths.min(axis=0), lengths.max(axis=0)])
