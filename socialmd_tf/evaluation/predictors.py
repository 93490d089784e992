"""Registry of the predictors that are evaluated with the models. Add a new baseline here."""

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np

from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.known_forces import known_forces
from pipelines.manifest import Manifest
from socialmd_tf.evaluation import baselines

_PAIR_FRAMES = 1e8  # limit of the exact integrator: some minutes on one core
_TRAINING_WINDOWS = 64
_MOST_WINDOWS = 2048
_MOST_PARTICLES = 2_000_000


class DoesNotApply(Exception):
    """A predictor does not apply to a dataset; the text is the reason."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """Facts that a predictor may use before it sees the windows it is scored on."""

    manifest: Manifest
    """Manifest of the dataset."""
    windows: DataConfig
    """The frames it observes (`subsample`, `warm_up_steps`) and predicts (`rollout_steps`)."""
    num_windows: int
    """Number of windows it will be scored on."""
    num_particles: int
    """Particles of the largest system (N)."""
    training: Callable
    """`training(limit)`: iterable of (inputs, targets `[B, T', N, D]`) of the training split, of all windows or of
    `limit` evenly spaced ones if there are more."""


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Anything that predicts densities: a model or a baseline."""

    predict: Callable
    """Function of a batch's input dictionary that returns density parameters `[B, T', N, P]`."""
    layout: object
    """`DensityLayout` of these parameters."""
    windows: DataConfig
    """The frames it observes and predicts."""
    draw: Callable | None = None
    """Function of a batch's input dictionary and a seed (two integers) that returns one drawn path per window
    `[B, T', N, D]`; None if the predictor has only a density per frame."""
    is_sampled: bool = False
    """Whether it is a model of random motion, which is rolled out by draws: likelihood, coverage and statistics of its
    rollout of means then mean nothing."""
    first_frame: Callable | None = None
    """As `predict`, of at least the next frame alone; None for `predict`."""

    def next_frame(self, inputs):
        """Parameters of the density of the next frame `[B, 1, N, P]` after a batch's input dictionary."""
        return (self.first_frame or self.predict)(inputs)[:, :1]


def extrapolation(order, setting):
    """Polynomial through the last order + 1 observed frames; widths fitted on 64 to 2048 training windows."""
    if order >= setting.windows.warm_up_steps:
        raise DoesNotApply(f"needs {order + 1} observed frames; the windows have {setting.windows.warm_up_steps}")
    limit = max(_TRAINING_WINDOWS, min(_MOST_WINDOWS, _MOST_PARTICLES // setting.num_particles))
    return baselines.FittedGaussian(partial(baselines.extrapolate, order)).fit(setting.training(limit))


def exact_integrator(setting):
    """Integration of the true forces, see `baselines.integrate`, with widths fitted on 64 training windows."""
    forces, windows = known_forces(setting.manifest), setting.windows
    if forces is None:
        raise DoesNotApply("the dataset does not state its forces")
    if windows.warm_up_steps < 2:
        raise DoesNotApply("needs 2 observed frames; the windows have 1")
    frames = windows.rollout_steps * (setting.num_windows + _TRAINING_WINDOWS)
    interval = setting.manifest.time_between_frames * windows.subsample
    if frames * setting.num_particles**2 * forces.cost_of_frame(interval) > _PAIR_FRAMES:
        raise DoesNotApply("too many particles and windows to integrate")
    batch_size = CommonWindows.batch_size(setting.num_particles)
    mean = partial(baselines.integrate, forces, interval, batch_size)
    return baselines.FittedGaussian(mean).fit(setting.training(limit=_TRAINING_WINDOWS))


PREDICTORS = {
    "constant_position": partial(extrapolation, 0),
    "constant_velocity": partial(extrapolation, 1),
    "constant_acceleration": partial(extrapolation, 2),
    "exact_integrator": exact_integrator,
}
"""Name -> function of a `Setting`.

It returns a callable that maps a batch's input dictionary to density parameters `[B, T', N, P]` and has their
`DensityLayout` as attribute `layout`, or raises `DoesNotApply`.
"""


def make_all(setting):
    """Make all predictors of the registry that apply.

    Returns:
        Dictionary of name -> `Predictor`, and dictionary of name -> reason for those that do not apply.
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
    """The function `Setting.training`.

    Args:
        windows: `CommonWindows` of a single configuration.
        directory: Directory of the dataset.
    """

    def training(limit):
        index = windows.index(directory, "train")
        if len(index) > limit:
            index = index[np.linspace(0, len(index) - 1, limit).round().astype(int)]
        for batch in windows.batches(directory, "train", index):
            yield batch.inputs(windows.reference), batch.targets

    return training
