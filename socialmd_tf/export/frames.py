"""Observed frames, the input of a trained model: from a file or from arrays."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from pipelines.boxes import lattice_vectors
from pipelines.errors import UserError, require
from pipelines.manifest import MANIFEST_FILE, Manifest
from pipelines.molecules.known_molecules import particle_names
from pipelines.side_files import edge_matrix, load_boxes, load_edges, name_in
from pipelines.stored_trajectory import StoredTrajectory

_LARGEST_ROUNDING = 1e-3
"""Share of a typical move that float32 may take from the positions without a warning."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Frames:
    """Positions of one system or of several systems side by side, and what is known about them.

    `frames[100:]` leaves out the first 100 frames.

    Raises:
        UserError: An array has the wrong number of axes, or sizes that do not fit each other.
    """

    positions: np.ndarray
    """`[T, N, D]` or `[B, T, N, D]`, in units of length."""
    features: object = None
    """Values `[N, F]` or `[B, N, F]`, or a dictionary of values `[N]` or `[B, N]` by name."""
    mask: np.ndarray | None = None
    """`[N]` or `[B, N]`, 1 for real particles and 0 for padding. None if all particles are real."""
    velocities: np.ndarray | None = None
    """Observed velocities, same shape as `positions`, in units of length per unit of time."""
    box: np.ndarray | None = None
    """Periodic box, in units of length: edge lengths `[D]` or lattice vectors in rows `[D, D]`, or those of every
    frame, `[T, D, D]`. Zeros are an open axis. Positions may be wrapped into it or not."""
    edges: np.ndarray | None = None
    """Bonds as rows of i, j and type, integers `[E, 3]`."""
    types: tuple[str, ...] | None = None
    """Names of the particles' types `[N]`, if known."""
    length_unit: str | None = None
    """Unit of the positions, if known."""
    time_unit: str | None = None
    """Unit of the times, if known."""
    time_between_frames: float | None = None
    """Time from one frame to the next. None means the interval of the model that is given these frames."""
    name: str = "frames"
    """Where the frames come from, for messages."""
    is_file: bool = False
    """Whether they are those of a file of a dataset."""
    first_frame: int = 0
    """Index of the first frame in the file, for messages."""

    def __post_init__(self):
        """Check shapes."""
        shape = self.positions.shape
        require(len(shape) in (3, 4), "positions", "an array [T, N, D] or [B, T, N, D]", shape)
        require(all(size >= 1 for size in shape), "positions", "an array without empty axes", shape)
        wanted = "of 2 or 3 coordinates, the last axis; features are given apart, as in `Frames(positions, features)`"
        require(shape[-1] in (2, 3), "positions", wanted, shape)
        if self.mask is not None:
            allowed = [shape[-2:-1], (*shape[:-3], shape[-2])]
            require(self.mask.shape in allowed, "mask", f"of shape {list(allowed[-1])}", self.mask.shape)
        if self.velocities is not None:
            found = self.velocities.shape
            require(found == shape, "velocities", f"of the shape of the positions, {list(shape)}", found)
        if self.box is not None:
            lattice_vectors(self.box, shape[-1], leading=self.box.ndim // 3)
            frames = len(self.box) if self.box.ndim == 3 else len(self)
            require(frames == len(self), "box", f"one, or one for each of the {len(self)} frames", frames)
        if self.edges is not None:
            edge_matrix(self.edges, shape[-2])

    def __repr__(self):
        """Source and shape, without the numbers."""
        return f"Frames({self.name}, positions {list(self.positions.shape)})"

    def __len__(self):
        """Number of frames."""
        return self.positions.shape[-3]

    def __getitem__(self, frames):
        """Some of the frames, in order.

        Args:
            frames: A slice with a positive step.
        """
        require(isinstance(frames, slice) and (frames.step or 1) >= 1, "frames", "a slice, such as [100:]", frames)
        start, _, step = frames.indices(len(self))
        interval = None if self.time_between_frames is None else self.time_between_frames * step
        return dataclasses.replace(
            self,
            positions=self.positions[..., frames, :, :],
            velocities=None if self.velocities is None else self.velocities[..., frames, :, :],
            box=self.box[frames] if self.box is not None and self.box.ndim == 3 else self.box,
            time_between_frames=interval,
            first_frame=self.first_frame + start,
        )


def read(source, *, features=None, mask=None, velocities=None, box=None, edges=None, data=None):
    """Frames for a trained model.

    Args:
        source: A trajectory file of a dataset, whose `dataset.json` is looked for in the directories above it; or
            positions `[T, N, D]` or `[B, T, N, D]`, in units of length.
        features: Of positions: values `[N, F]` or `[B, N, F]`, or a dictionary of values `[N]` or `[B, N]` by name.
            Needed if the model has features. A file holds its own.
        mask: Of positions: `[N]` or `[B, N]`, 1 for real particles and 0 for padding.
        velocities: Of positions: observed velocities, same shape, in units of length per unit of time, for models that
            take them.
        box: Of positions: edge lengths `[D]` of a periodic box, or its lattice vectors in rows `[D, D]` (or in every
            frame `[T, D, D]`), for models that take one. Positions may be wrapped into the box or not.
        edges: Of positions: bonds as rows of i, j and type, integers `[E, 3]`, for models that take them.
        data: Directory of the dataset that the source belongs to. It says which units and time between frames
            positions have, and how to read a file that lies elsewhere.

    Returns:
        `Frames`. Those of a dataset carry its units and the time between stored frames; other positions are taken to be
        one frame interval of the model apart. A file is read when its frames are used.

    Warns:
        UserWarning: The positions are so far from the origin that float32, in which models compute, changes them by
            more than a thousandth of a typical move.

    Raises:
        UserError: No such file, no dataset, a wrong header, or arrays whose shapes do not fit.
    """
    if isinstance(source, Frames):
        return source
    if isinstance(source, str | Path):
        given = {"features": features, "mask": mask, "velocities": velocities, "box": box, "edges": edges}
        for name, value in given.items():
            require(value is None, name, "left out for a file, which holds its own", value)
        return _read_file(Path(source), data)
    known = {} if data is None else _facts(Manifest.load(Path(data)))
    frames = Frames(
        floats("positions", source),
        features=features,
        mask=None if mask is None else floats("mask", mask),
        velocities=None if velocities is None else floats("velocities", velocities),
        box=None if box is None else floats("box", box),
        edges=None if edges is None else np.asarray(edges),
        **known,
    )
    _warn_of_rounding(np.asarray(source), frames.positions)
    return frames


def _warn_of_rounding(given, positions):
    """Compare positions `[..., T, N, D]` as they were given with those in float32, axis by axis."""
    if given.dtype == positions.dtype or given.shape[-3] < 2:
        return
    given, axes = given.astype(np.float64), tuple(range(positions.ndim - 1))
    with np.errstate(invalid="ignore"):  # infinity is refused later
        lost = np.abs(given - positions).mean(axis=axes)
        moves = np.abs(np.diff(given, axis=-3)).mean(axis=axes)
    # An axis without moves is compared with the others.
    moves = np.where(moves > 0, moves, moves.max())
    worst = int(np.argmax(lost - _LARGEST_ROUNDING * moves))
    if moves[worst] > 0 and np.isfinite(lost[worst]) and lost[worst] > _LARGEST_ROUNDING * moves[worst]:
        warnings.warn(
            f"`positions`: float32, in which models compute, changes {'xyz'[worst]} by {lost[worst]:.2g}, "
            f"{lost[worst] / moves[worst]:.1%} of a typical move between frames, {moves[worst]:.2g}: subtract a "
            "reference position from all frames in float64 first",
            stacklevel=3,
        )


def _read_file(path, data):
    if not path.exists():
        raise UserError(f"{path}: no such file")
    directory = _dataset_of(path) if data is None else Path(data)
    manifest = Manifest.load(directory)
    stored = StoredTrajectory.check(path, manifest)
    stored = stored.open() if path.suffix == ".npy" else stored[:]
    size, start, file = manifest.num_dimensions, manifest.velocity_start, name_in(directory, path)
    columns = dict(zip(manifest.features, stored[0, :, size:].T, strict=True))
    boxes = load_boxes(manifest, directory, file, len(stored))
    return Frames(
        stored[..., :size],
        features={name: columns[name] for name in manifest.particle_features},
        velocities=None if start is None else stored[..., size + start : 2 * size + start],
        box=boxes[0] if boxes is not None and len(boxes) == 1 else boxes,
        edges=load_edges(manifest, directory, file, stored.shape[1]),
        types=particle_names(manifest, stored[0, :, size:]),
        name=str(path),
        is_file=True,
        **_facts(manifest),
    )


def _dataset_of(path):
    """The nearest directory above a file that holds a `dataset.json`."""
    for directory in path.absolute().parents:
        if (directory / MANIFEST_FILE).exists():
            return directory
    raise UserError(f"{path}: found no {MANIFEST_FILE} in the directories above it; name the dataset with `data`")


def _facts(manifest):
    return {
        "length_unit": manifest.length_unit,
        "time_unit": manifest.time_unit,
        "time_between_frames": manifest.time_between_frames,
    }


def floats(name, values):
    """An array of float32; a number that float32 cannot hold becomes infinite.

    Raises:
        UserError: The values are not real numbers, or form no array.
    """
    try:
        with np.errstate(over="ignore"):
            return np.asarray(values).astype(np.float32, casting="same_kind", copy=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"`{name}` must be an array of numbers: {error}") from None
