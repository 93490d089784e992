"""How far a run has got: the losses of its epochs, the best epoch, and whether to stop."""

import dataclasses
import functools

from socialmd_tf.config import TrainConfig


@dataclasses.dataclass
class RunState:
    """The finished epochs of a run."""

    epochs: list = dataclasses.field(default_factory=list)
    """Losses and metrics of every epoch: dictionaries with "val_loss" and so on."""
    monitor: str = TrainConfig.monitor
    """Validation metric that selects the best epoch: "loss" or "mae"."""

    @property
    def best_epoch(self):
        """Number (from 0) of the epoch with the lowest validation metric, or None before the first.

        Calibration epochs ("calibration" is 1) leave the means as they are, so their loss is compared. With another
        `monitor` the first of them is better than all epochs before it.

        It is always the last epoch or the best one before it: only these two checkpoints are kept.
        """
        if not self.epochs:
            return None
        return functools.reduce(
            lambda best, epoch: epoch if self._is_better(self.epochs[epoch], self.epochs[best]) else best,
            range(len(self.epochs)),
        )

    def _is_better(self, epoch, best):
        if not epoch.get("calibration"):
            return epoch[f"val_{self.monitor}"] < best[f"val_{self.monitor}"]
        if self.monitor != "loss" and not best.get("calibration"):
            return True
        return epoch["val_loss"] < best["val_loss"]

    def is_finished(self, config):
        """Whether all epochs are done, or `patience` of them after the curriculum brought no improvement.

        Calibration epochs are the last ones, so a run with calibration does not stop early.

        Args:
            config: The `TrainConfig`.
        """
        done = len(self.epochs)
        if done == 0 or done >= config.epochs:
            return done > 0
        last_success = max(self.best_epoch, len(config.curriculum) - 1)
        return not config.calibration_epochs and done - 1 - last_success >= config.patience
