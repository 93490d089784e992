"""A training run on disk: what a killed run needs to go on as if it had never been killed."""

import dataclasses
import os
import shutil
from pathlib import Path

import keras
import numpy as np

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from socialmd_tf.config import TrainConfig, from_dict, load_json, to_dict

_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_STATE = "state.json"
_SCALES = "scales.json"
_MAY_CHANGE = (
    "epochs",
    "calibration_epochs",
    "export_directory",
    "max_horizon",
    "run_directory",
    "config",
    "model.substeps",
    "model.step_fraction",
)


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


def open_run(config: TrainConfig) -> Path:
    """The directory of a run, new or to be continued.

    Args:
        config: The run's configuration; it is written to `config.json`.

    Returns:
        The directory.

    Raises:
        UserError: The directory holds something else, or a run of another configuration.
    """
    directory = Path(config.run_directory)
    path = directory / _CONFIG
    settings = {key: value for key, value in to_dict(config).items() if key != "config"}
    if directory.exists() and not directory.is_dir():
        raise UserError(f"`run_directory` must be a directory. Received: {directory}")
    if path.exists():
        _refuse_other(path, settings)
    elif directory.exists() and any(directory.iterdir()):
        raise UserError(f"`run_directory` must be empty or hold a run. Found other files in {directory}")
    directory.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)
    return directory


def _refuse_other(path, settings):
    different = _difference(path, flatten(settings))
    if different:
        raise UserError(
            f"{path.parent} holds a run of another configuration: {different}. Give another --run-directory"
        )


def _difference(path, settings):
    """The first of the flat settings that a run's `config.json` has otherwise, in words, or None."""
    saved = flatten(to_dict(from_dict(TrainConfig, load_json(path))))  # with what fields that are newer were then
    for key, value in settings.items():
        if key not in _MAY_CHANGE and saved.get(key) != value:
            return f"`{key}` is {saved.get(key)!r} there and {value!r} here"
    return None


def open_initial(config: TrainConfig) -> Path | None:
    """The run with whose best weights another begins; None if there is none, or if it has begun already.

    Raises:
        UserError: There is none in `initial_weights`, it has no weights yet, or they are of another model.
    """
    if config.initial_weights is None or load_state(config.run_directory).epochs:
        return None
    run = Path(config.initial_weights)
    if not (run / _SCALES).exists() or not load_state(run).epochs:
        raise UserError(f"`initial_weights` must be a run with at least one finished epoch. Received: {run}")
    different = _difference(run / _CONFIG, flatten({"model": to_dict(config.model)}))
    if different:
        raise UserError(f"`initial_weights` must be a run of the same model. In {run} {different}")
    return run


def load_best_weights(model, run):
    """Load the weights of a run's best epoch."""
    monitor = from_dict(TrainConfig, load_json(run / _CONFIG)).monitor
    load_weights(model, run, load_state(run, monitor).best_epoch)


def scales(run, initial, compute):
    """Typical move and second difference of positions that a run scales its numbers by, in units of length.

    They belong to the weights: those of the run, or of the one it begins with; of a new run, what `compute()` gives.
    """
    path = next(
        (directory / _SCALES for directory in (run, initial) if directory and (directory / _SCALES).exists()), None
    )
    values = tuple(load_json(path)) if path else compute()
    write_json(run / _SCALES, list(values))
    return values


def flatten(settings, prefix=""):
    """Nested dictionaries -> one with dotted keys."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


@dataclasses.dataclass
class RunState:
    """Where a run stands after its last whole epoch."""

    epochs: list = dataclasses.field(default_factory=list)
    """Losses and metrics of every epoch."""
    monitor: str = TrainConfig.monitor
    """Which of them, on the validation split, is to be low."""

    @property
    def best_epoch(self):
        """Number (from 0) of the epoch with the lowest validation figure, or None before the first."""
        figures = [epoch[f"val_{self.monitor}"] for epoch in self.epochs]
        return int(np.argmin(figures)) if figures else None

    def is_finished(self, config):
        """Whether all epochs are done, or `patience` of them after the curriculum have brought no improvement.

        With calibration, which comes last, all are done.
        """
        done = len(self.epochs)
        if done == 0 or done >= config.epochs:
            return done > 0
        last_success = max(self.best_epoch, len(config.curriculum) - 1)
        return not config.calibration_epochs and done - 1 - last_success >= config.patience


def checkpoint_directory(run, epoch):
    """Where the weights after an epoch (from 0) are."""
    return Path(run) / "checkpoints" / f"{epoch + 1:04d}"


def load_state(run, monitor=RunState.monitor):
    """The state of a run after its last whole epoch."""
    checkpoints = sorted((Path(run) / "checkpoints").glob("[0-9]*"))
    return RunState(load_json(checkpoints[-1] / _STATE) if checkpoints else [], monitor)


def load_weights(model, run, epoch):
    """Load weights, and of a compiled model the optimizer's state, as they were after an epoch (from 0).

    Raises:
        UserError: The weights are not this model's, such as those that another version of this program wrote.
    """
    path = checkpoint_directory(run, epoch) / _WEIGHTS
    try:
        model.load_weights(path)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} must hold the weights of this model, as this version builds it. {reason}") from None


class Checkpoint(keras.callbacks.Callback):
    """After every epoch keep weights, optimizer and losses; stop early, and stop when the loss is not a number.

    A checkpoint is a directory that appears by renaming, whole or not at all. The last and the best are kept.

    Args:
        run: Directory of the run.
        config: The `TrainConfig`.
        state: The `RunState` to go on from; it grows by one entry an epoch.
    """

    def __init__(self, run, config, state):
        super().__init__()
        self.run = Path(run)
        self.config = config
        self.state = state

    def on_train_batch_end(self, batch, logs=None):
        """Stop at the first loss that is not finite."""
        if not np.isfinite(logs["loss"]):
            raise TrainingDiverged(self._diverged("loss", logs["loss"], f", batch {batch + 1}"))

    def on_epoch_end(self, epoch, logs=None):
        """Keep the epoch."""
        if not np.isfinite(logs["val_loss"]):
            raise TrainingDiverged(self._diverged("validation loss", logs["val_loss"], ""))
        self.state.epochs.append({"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()}})
        self._write(epoch)
        keep = {checkpoint_directory(self.run, e) for e in (epoch, self.state.best_epoch)}
        for directory in (self.run / "checkpoints").iterdir():
            if directory not in keep:
                shutil.rmtree(directory)
        self.model.stop_training = self.state.is_finished(self.config)

    def _write(self, epoch):
        directory = checkpoint_directory(self.run, epoch)
        partial = directory.with_name(f".{directory.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.model.save_weights(partial / _WEIGHTS)
        write_json(partial / _STATE, self.state.epochs)
        self._write_csv()  # first, so that a kill right after the last epoch leaves no table without it
        os.replace(partial, directory)

    def _write_csv(self):
        rows = [",".join(self.state.epochs[0])]
        rows += [",".join(str(value) for value in epoch.values()) for epoch in self.state.epochs]
        partial = self.run / ".history.csv.partial"
        partial.write_text("\n".join(rows) + "\n")
        os.replace(partial, self.run / "history.csv")

    def _diverged(self, what, value, where):
        best = self.state.best_epoch
        kept = "no epoch was finished"
        if best is not None:
            kept = f"the best weights are in {checkpoint_directory(self.run, best)}"
        return (
            f"the {what} became {value} in epoch {len(self.state.epochs) + 1}{where}; {kept}. "
            "Try a lower --learning-rate"
        )
