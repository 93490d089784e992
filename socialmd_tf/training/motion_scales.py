"""Typical sizes of what particles do between frames, by which a model scales its numbers."""

import dataclasses

import numpy as np

from pipelines import dataset
from pipelines.errors import UserError
from pipelines.manifest import Manifest

_NUM_WINDOWS = 1024
_BATCH = 16
_MOST_NUMBERS = 50_000_000
_LARGEST_FEATURE = 1e4
"""Features enter the network as they are: untrained, it multiplies moves by numbers of this size."""


def motion_scales(directory, config):
    """Typical move and second difference of positions in the training windows.

    Means of the absolute values over at most 1024 windows, drawn at random, all real particles and coordinates; never
    less than `scale_floor`. Of large systems fewer windows are read, until these hold 50 million positions.

    Args:
        directory: The dataset.
        config: The `TrainConfig`.

    Returns:
        Two numbers in the length unit of the data.

    Raises:
        UserError: Nothing moves, float32 cannot represent the moves where the particles are, or the typical move is
            below `scale_floor`, the smallest standard deviation that the model can predict; or a feature is larger
            than 10 000.
    """
    windows = dataclasses.replace(config.windows, rotations=0)
    batches = dataset.batches(directory, "train", windows, batch_size=_BATCH, seed=config.seed, shuffle=True)
    moves, places, seconds, features = _Mean(), _Mean(), _Mean(), 0.0
    for inputs, targets in batches.take(_NUM_WINDOWS // _BATCH):
        frames = np.concatenate([inputs["positions"], targets], axis=1).swapaxes(1, 2)
        paths = frames[np.asarray(inputs["mask"]) > 0].astype(np.float64)  # [particles, T + T', D]
        moves.add(np.abs(np.diff(paths, axis=1)))
        seconds.add(np.abs(np.diff(paths, n=2, axis=1)))
        places.add(np.abs(paths))
        features = np.maximum(features, np.abs(np.asarray(inputs["features"])).max(axis=(0, 1)))
        if places.count > _MOST_NUMBERS:
            break
    fault = _fault(moves.value, places.value, config) or _feature_fault(features, Manifest.load(directory))
    if fault:
        raise UserError(f"{directory}: {fault}")
    return tuple(max(float(np.mean(mean.value)), config.model.scale_floor) for mean in (moves, seconds))


class _Mean:
    """Mean over particles and frames of `[particles, frames, D]`, axis by axis."""

    def __init__(self):
        self.count, self._total = 0, 0.0

    def add(self, values):
        self._total = self._total + values.sum(axis=(0, 1))
        self.count += values.shape[0] * values.shape[1]

    @property
    def value(self):
        return self._total / max(self.count, 1)


def _fault(moves, places, config):
    """Why nothing can be learned from typical moves and distances from the origin along the axes `[D]`, or None."""
    spacings = np.spacing(places.astype(np.float32))
    floor = config.model.scale_floor
    if not moves.any():
        return "no particle moves from frame to frame, so nothing can be learned"
    for axis, (move, place, spacing) in enumerate(zip(moves, places, spacings, strict=True)):
        if 0 < move < spacing:
            return (
                f"{'xyz'[axis]} is about {place:.2g}, where float32 numbers are {spacing:.2g} apart, but a typical "
                f"move between frames is {move:.2g}. Subtract a reference position in float64 before saving the files"
            )
    if moves.mean() < floor:
        return (
            f"a typical move between frames is {moves.mean():.2g}, but the smallest standard deviation that the model "
            f"predicts is `scale_floor` = {floor:g}. Convert the positions to a length unit in which moves are about "
            "1, or lower --model.scale-floor"
        )
    return None


def _feature_fault(sizes, manifest):
    """Which feature, of the largest absolute values `[F]`, is too large for a network, or None."""
    for name, size in zip(manifest.particle_features, sizes, strict=True):
        if size > _LARGEST_FEATURE and name in manifest.own_features:
            return (
                f"feature {name!r} reaches {size:.2g}, but a network expects numbers of about 1, at most "
                f"{_LARGEST_FEATURE:g}. Convert it to another unit before saving the files"
            )
    return None
