"""Typical sizes of what particles do between frames, by which a model scales its numbers."""

import dataclasses

import numpy as np

from pipelines import dataset
from pipelines.errors import UserError
from pipelines.manifest import Manifest

_NUM_WINDOWS = 1024
_LARGEST_FEATURE = 1e4
"""Features enter the network as they are: untrained, it multiplies moves by numbers of this size."""


def motion_scales(directory, config):
    """Typical move and second difference of positions in the training windows.

    Means of the absolute values over at most 1024 windows, all real particles and coordinates; never less than
    `scale_floor`.

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
    batches = dataset.batches(directory, "train", windows, batch_size=_NUM_WINDOWS, seed=config.seed, shuffle=True)
    inputs, targets = next(iter(batches))
    frames = np.concatenate([inputs["positions"], targets], axis=1).swapaxes(1, 2)
    paths = frames[np.asarray(inputs["mask"]) > 0].astype(np.float64)  # [particles, T + T', D]
    fault = _fault(paths, config) or _feature_fault(np.asarray(inputs["features"]), Manifest.load(directory))
    if fault:
        raise UserError(f"{directory}: {fault}")
    return tuple(
        max(float(np.mean(np.abs(np.diff(paths, n=order, axis=1)))), config.model.scale_floor) for order in (1, 2)
    )


def _fault(paths, config):
    """Why nothing can be learned from positions of this scale, or None."""
    moves = np.abs(np.diff(paths, axis=1)).mean(axis=(0, 1))
    places = np.abs(paths).mean(axis=(0, 1))
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


def _feature_fault(features, manifest):
    """Which feature `[B, N, F]` is too large for a network, or None."""
    sizes = np.abs(features).max(axis=(0, 1))
    for name, size in zip(manifest.particle_features, sizes, strict=True):
        if size > _LARGEST_FEATURE and name in manifest.own_features:
            return (
                f"feature {name!r} reaches {size:.2g}, but a network expects numbers of about 1, at most "
                f"{_LARGEST_FEATURE:g}. Convert it to another unit before saving the files"
            )
    return None
