"""Typical sizes of what particles do between frames, by which a model scales its numbers."""

import dataclasses

import numpy as np

from pipelines import dataset
from pipelines.errors import UserError

_NUM_WINDOWS = 1024


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
        UserError: The typical move is below `scale_floor`, the smallest standard deviation that the model can predict.
    """
    windows = dataclasses.replace(config.windows, rotations=0)
    batches = dataset.batches(directory, "train", windows, batch_size=_NUM_WINDOWS, seed=config.seed, shuffle=True)
    inputs, targets = next(iter(batches))
    frames = np.concatenate([inputs["positions"], targets], axis=1)
    real = np.asarray(inputs["mask"]) > 0
    move, acceleration = (
        float(np.mean(np.abs(np.diff(frames, n=order, axis=1)).swapaxes(1, 2)[real])) for order in (1, 2)
    )
    floor = config.model.scale_floor
    if 0 < move < floor:
        raise UserError(
            f"{directory}: a typical move between frames is {move:.2g}, but the smallest standard deviation that the "
            f"model predicts is `scale_floor` = {floor:g}. Convert the positions to a length unit in which moves are "
            "about 1, or lower --model.scale-floor"
        )
    return max(move, floor), max(acceleration, floor)
