"""Does the scale of a dataset suit float32 and a neural network? Warnings for data that train badly in their unit."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.boxes import nearest_image
from pipelines.config import DataConfig
from pipelines.counts import unit_suffix
from pipelines.manifest import Manifest
from pipelines.side_files import open_file
from pipelines.stored_trajectory import StoredTrajectory

Array = npt.NDArray[np.float64]

MIN_SPACINGS_PER_MOVE = 100
"""A typical move shorter than this many float32 spacings is known to less than 1 %."""
EXTENTS = (0.1, 1e5)
"""Extents of a system to which the presets' lengths (grids, cutoff, smallest deviation) can be fitted."""
FEATURE_SIZES = (1e-3, 1e3)
"""Sizes of a feature that a network can tell apart; features enter it as they are."""
_CHUNK_NUMBERS = 1 << 20
"""Numbers that are read at a time."""


class _Scales(NamedTuple):
    """Scales of one trajectory, or of all."""

    largest: Array
    """Largest |position| along each axis `[D]`."""
    extent: Array
    """Largest minus smallest position, over all axes; a scalar."""
    moves: Array
    """Mean |move| between subsampled frames along each axis `[D]`; rounding changes a mean little."""
    num_moves: Array
    """Number of moves of a particle; a scalar."""
    features: Array
    """Largest |value| of each feature `[F]`."""


def resolution_warnings(directory: Path, splits: Sequence[str], config: DataConfig) -> list[str]:
    """Look for scales of a dataset that are unusual; each line says how to correct them.

    - Along some axis the typical move between subsampled frames is less than 100 spacings of float32 numbers
      at the largest position, as with map coordinates.
    - No particle moves.
    - The systems are so small or so large that the lengths of the presets do not fit.
    - A feature is very large, or so small that a network cannot see it.

    Args:
        directory: Directory of a dataset without faults (see `pipelines.validation.validate`).
        splits: Names of the splits to look at.
        config: `subsample` sets which frames a move connects.

    Returns:
        One line per finding, none if the scales are usual.

    Raises:
        UserError: The manifest, the header of a file, a box or bonds are faulty.
    """
    manifest = Manifest.load(directory)
    files = [file for split in splits for file in manifest.splits[split]]
    if not files:
        return []
    scales = _overall(
        _measure(open_file(manifest, Path(directory), file), manifest.num_dimensions, config.subsample)
        for file in files
    )
    unit = unit_suffix(manifest.length_unit)
    lines = [_spacing_line(scales, unit, config.subsample), _extent_line(scales, unit)]
    sizes = dict(zip(manifest.features, scales.features, strict=True))
    lines += [_feature_line(name, sizes[name]) for name in manifest.own_features]
    return [f"{directory}: {line}" for line in lines if line]


def _measure(stored: StoredTrajectory, num_dimensions: int, subsample: int) -> _Scales:
    chosen = np.arange(0, len(stored), subsample)
    step = max(1, _CHUNK_NUMBERS // math.prod(stored.shape[1:]))
    chunks = [chosen[start : start + step + 1] for start in range(0, max(1, len(chosen) - 1), step)]
    bounds, sums = [], np.zeros(num_dimensions)
    for frames in chunks:  # each begins with the last frame of the one before it
        positions = np.asarray(stored[frames][..., :num_dimensions], np.float64)
        bounds.append((positions.min(axis=(0, 1)), positions.max(axis=(0, 1))))
        moves = np.diff(positions, axis=0)
        if stored.boxes is not None:
            moves = nearest_image(moves, stored.boxes if len(stored.boxes) == 1 else stored.boxes[frames[1:]])
        sums += np.abs(moves).sum(axis=(0, 1))
    lowest, highest = np.min([low for low, _ in bounds], axis=0), np.max([high for _, high in bounds], axis=0)
    features = stored[0][:, num_dimensions:]
    return _Scales(
        largest=np.maximum(np.abs(lowest), np.abs(highest)),
        extent=(highest - lowest).max(),
        moves=sums / max(1, (len(chosen) - 1) * stored.shape[1]),
        num_moves=np.array(len(chosen) - 1.0),
        features=np.abs(np.asarray(features, np.float64)).max(axis=0),
    )


def _overall(scales: Iterable[_Scales]) -> _Scales:
    largest, extents, moves, num_moves, features = map(np.stack, zip(*scales, strict=True))
    return _Scales(largest.max(axis=0), extents.max(), np.mean(moves, axis=0), num_moves.max(), features.max(axis=0))


def _spacing_line(scales: _Scales, unit: str, subsample: int) -> str | None:
    if not scales.moves.any():
        if not scales.num_moves:
            return None  # the files are too short for a move
        return f"no particle moves from one frame to the next (--subsample {subsample}); nothing can be learned"
    # An axis without moves may have lost them to rounding: compare it with the others.
    moves = np.where(scales.moves > 0, scales.moves, scales.moves.max())
    spacing = np.spacing(scales.largest.astype(np.float32)).astype(np.float64)
    axis = int(np.argmax(spacing / moves))
    if moves[axis] >= MIN_SPACINGS_PER_MOVE * spacing[axis]:
        return None
    return (
        f"{'xyz'[axis]} reaches {scales.largest[axis]:.3g}{unit}, where float32 numbers are {spacing[axis]:.2g} apart, "
        f"but a typical move between frames (--subsample {subsample}) is {moves[axis]:.2g}: subtract a reference "
        "position in float64 before saving the files, or use a larger --subsample"
    )


def _extent_line(scales: _Scales, unit: str) -> str | None:
    if not scales.moves.any() or EXTENTS[0] <= scales.extent <= EXTENTS[1]:
        return None
    return (
        f"the systems extend over {scales.extent:.2g}{unit}, but the presets expect lengths between 1 and 100: "
        "convert the positions to a suitable length unit, or set the lengths of the model (its --help lists them)"
    )


def _feature_line(name: str, size: float) -> str | None:
    if size == 0 or FEATURE_SIZES[0] <= size <= FEATURE_SIZES[1]:
        return None
    return f"feature {name!r} reaches {size:.2g}, but a network expects numbers of about 1: convert it to another unit"
