"""The registry of what is judged beside the models; to judge something new on every data set, add it here."""

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np

from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.nbody.known_forces import known_forces
from socialmd_tf.evaluation import baselines

_PAIR_FRAMES = 1e8  # of the exact integrator: some minutes on one core
_TRAINING_WINDOWS = 64


class DoesNotApply(Exception):
    """A predictor cannot be made here; its text is the reason, a sentence."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a predictor may know before it sees the windows it is judged on."""

    manifest: Manifest
    """The data set."""
    windows: DataConfig
    """What it observes (`subsample`, `warm_up_steps`) and predicts (`rollout_steps`)."""
    num_windows: int
    """Windows it will be judged on."""
    num_particles: int
    """Particles of the largest system (N)."""
    training: Callable
    """`training(limit=None)`: (inputs, targets `[B, T', N, D]`) of the training split, all windows or `limit` evenly
    spaced ones."""


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Something to judge."""

    predict: Callable
    """Function of a batch's input dictionary that gives parameters `[B, T', N, P]`."""
    layout: object
    """The `DensityLayout` of these parameters."""
    windows: DataConfig
    """What it observes, and its own steps."""
    draw: Callable | None = None
    """Function of a batch's input dictionary and two integers, a seed, that gives drawn paths `[B, T', N, D]`, each a
    draw of all its frames together; None if it has only a density a frame."""


def extrapolation(order, setting):
    """A polynomial through the last order + 1 observed frames, with fitted widths."""
    if order >= setting.windows.warm_up_steps:
        raise DoesNotApply(f"it needs {order + 1} observed frames and there are {setting.windows.warm_up_steps}")
    return baselines.FittedGaussian(partial(baselines.extrapolate, order)).fit(setting.training())


def exact_integrator(setting):
    """The true forces, integrated from the last two observed frames, with widths fitted on 64 training windows."""
    forces, windows = known_forces(setting.manifest), setting.windows
    if forces is None:
        raise DoesNotApply("the data set does not tell its forces")
    if windows.warm_up_steps < 2:
        raise DoesNotApply("it needs 2 observed frames and there is 1")
    frames = windows.rollout_steps * (setting.num_windows + _TRAINING_WINDOWS)
    if frames * setting.num_particles**2 > _PAIR_FRAMES:
        raise DoesNotApply("integrating so many particles and windows would take too long")
    batch_size = CommonWindows.batch_size(setting.num_particles)
    interval = setting.manifest.time_between_frames * windows.subsample
    mean = partial(baselines.integrate, forces, interval, batch_size)
    return baselines.FittedGaussian(mean).fit(setting.training(limit=_TRAINING_WINDOWS))


PREDICTORS = {
    "constant_position": partial(extrapolation, 0),
    "constant_velocity": partial(extrapolation, 1),
    "constant_acceleration": partial(extrapolation, 2),
    "exact_integrator": exact_integrator,
}
"""Name -> function of a `Setting`.

It gives a callable of a batch's input dictionary, to parameters `[B, T', N, P]`, with their `DensityLayout` as its
attribute `layout`, or raises `DoesNotApply`.
"""


def make_all(setting):
    """Make every predictor of the registry that applies.

    Returns:
        Dictionary of name -> `Predictor`, and dictionary of name -> reason of those that do not apply.
    """
    made, left_out = {}, {}
    for name, make in PREDICTORS.items():
        try:
            predict = make(setting)
        except DoesNotApply as reason:
            left_out[name] = str(reason)
        else:
            made[name] = Predictor(predict, predict.layout, setting.windows)
    return made, left_out


def training_batches(windows, directory):
    """What `Setting.training` is, for the reference of `CommonWindows`.

    Args:
        windows: The windows of the reference alone, a `CommonWindows`.
        directory: The data set.
    """

    def training(limit=None):
        index = windows.index(directory, "train")
        if limit is not None and len(index) > limit:
            index = index[np.linspace(0, len(index) - 1, limit).round().astype(int)]
        for batch in windows.batches(directory, "train", index):
            yield batch.inputs(windows.reference), batch.targets

    return training
