"""The phases of a training: epochs that train the same weights on rollouts of the same length."""

import dataclasses
import itertools
from collections.abc import Iterator

from pipelines.counts import counted
from socialmd_tf.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Phase:
    """Epochs that are trained alike."""

    epochs: range
    """Their numbers, from 0."""
    num_steps: int
    """Number of predicted frames; 0 for single frames after true ones."""
    calibrates: bool
    """Whether only the predictive spread is trained."""
    name: str
    """What is learned, for a reader."""

    def __str__(self) -> str:
        first, last = self.epochs.start + 1, self.epochs.stop
        where = f"epoch {last}" if first == last else f"epochs {first} to {last}"
        return f"{self.name} ({where})"


def phases(config: TrainConfig, first_epoch: int = 0) -> Iterator[Phase]:
    """The phases of the epochs `first_epoch`, ..., `config.epochs - 1`.

    Args:
        config: The `TrainConfig`.
        first_epoch: Number of the first epoch, from 0.
    """

    def settings(epoch: int) -> tuple[int, bool]:
        if config.is_sampled:
            return 0, False
        if epoch >= config.epochs - config.calibration_epochs:
            return config.windows.rollout_steps, True
        return dict(enumerate(config.curriculum)).get(epoch, config.windows.rollout_steps), False

    for (num_steps, calibrates), group in itertools.groupby(range(first_epoch, config.epochs), key=settings):
        epochs = list(group)
        yield Phase(range(epochs[0], epochs[-1] + 1), num_steps, calibrates, _name(config, num_steps, calibrates))


def _name(config: TrainConfig, num_steps: int, calibrates: bool) -> str:
    if config.is_sampled:
        return "learning drift and noise"
    if calibrates:
        return "calibrating spread"
    learned = "forces" if config.model.head == "verlet" else "motion"
    where = f"rollouts of {counted(num_steps, 'frame')}" if num_steps else "single frames"
    return f"learning {learned} on {where}"
