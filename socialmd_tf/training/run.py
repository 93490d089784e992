"""A training run on disk: everything that a killed run needs to resume as if it had never been killed."""

import dataclasses
import datetime
import os
import shutil
from pathlib import Path

from pipelines.atomic_files import write_json, write_text
from pipelines.errors import UserError
from socialmd_tf.config import TrainConfig, from_dict, load_json, to_dict
from socialmd_tf.training.dataset_record import dataset_change, dataset_record, read_record
from socialmd_tf.training.settings import difference, flatten
from socialmd_tf.training.state import RunState
from socialmd_tf.weights import load_weights, save_weights

_CONFIG, _DATA, _SCALES = "config.json", "data.json", "scales.json"
_FINISHED, _TEST_EVALUATIONS = "finished.json", "test_evaluations.json"
_CHECKPOINTS, _WEIGHTS, _STATE = "checkpoints", "model.weights.h5", "state.json"

MAY_CHANGE = (
    "calibration_epochs",
    "compile",
    "config",
    "curriculum",
    "data",  # its content is compared, not its path
    "epochs",
    "export_directory",
    "final",
    "max_horizon",
    "minutes",
    "model.split_distance",
    "model.step_fraction",
    "model.substeps",
    "patience",
    "run_directory",
    "unroll",
)
"""Settings that a resumed run may change: they affect only later epochs, the export or the evaluation."""
_REMEDY = "If the file is damaged, delete {} to resume from an earlier epoch"


class Run:
    """A run: its configuration, its directory and the epochs it has finished.

    The directory holds

    - `config.json`: the configuration, as `train --config` takes it;
    - `data.json`: the manifest and the fingerprint of the dataset when training began;
    - `scales.json`: the typical move and second difference of positions that the model scales its numbers by;
    - `checkpoints/NNNN`: weights and optimizer after epoch NNNN, and the losses of the epochs up to it. Each appears
      whole, by renaming. The last and the best are kept;
    - `history.csv`: losses and metrics per epoch, and `tensorboard/` the same as event files;
    - `finished.json`, written last: the exported model and the split that the reports beside it evaluate it on;
    - `test_evaluations.json`: when the test split was evaluated.

    Args:
        config: The `TrainConfig`. Nothing is written before `begin`.
        writes: Whether this process writes the files; of several that train together, only one does.

    Raises:
        UserError: The directory holds something else, a run of another configuration, or damaged files.
    """

    def __init__(self, config, writes=True):
        self.config, self.writes = config, writes
        self.directory = Path(config.run_directory)
        self._refuse_other()
        self.state = RunState(self._read_epochs(), config.monitor)
        self._is_complete = self._was_completed()

    @classmethod
    def load(cls, directory):
        """The run in a directory, with the configuration that it keeps.

        Raises:
            UserError: There is no run.
        """
        config = _read_config(Path(directory) / _CONFIG)
        return cls(dataclasses.replace(config, run_directory=str(directory)))

    def _refuse_other(self):
        if self.directory.exists() and not self.directory.is_dir():
            raise UserError(f"`run_directory` must be a directory. Received: {self.directory}")
        path = self.directory / _CONFIG
        if path.exists():
            different = difference(flatten(to_dict(_read_config(path))), flatten(to_dict(self.config)), MAY_CHANGE)
            if different:
                raise UserError(
                    f"{self.directory} holds a run of another configuration: {different}. "
                    "Choose another --run-directory"
                )
        elif self.directory.exists() and any(not path.name.startswith(".") for path in self.directory.iterdir()):
            raise UserError(f"`run_directory` must be empty or hold a run. Found other files in {self.directory}")

    def _read_epochs(self):
        directories = (self.directory / _CHECKPOINTS).glob("[0-9]*")
        last = max((path for path in directories if path.name.isdecimal()), key=lambda path: int(path.name), default="")
        if not last:
            return []
        try:
            epochs = load_json(last / _STATE)
        except UserError as error:
            raise UserError(f"{error}. {_REMEDY.format(last)}") from None
        if not _are_epochs(epochs, self.config.monitor, int(last.name)):
            raise UserError(f"{last / _STATE}: expected the losses of {int(last.name)} epochs. {_REMEDY.format(last)}")
        return epochs

    @property
    def epochs(self):
        """Losses and metrics of every finished epoch."""
        return self.state.epochs

    @property
    def is_finished(self):
        """Whether no epoch is left to train: with a limit of `minutes`, if that ended the run."""
        return self.state.is_finished(self.config) or (self._is_complete and self.config.minutes is not None)

    def _was_completed(self):
        """Whether the reports in the directory are about the last epoch."""
        path = self.directory / _FINISHED
        found = load_json(path) if path.exists() else None
        return isinstance(found, dict) and found.get("epochs") == len(self.epochs)

    def begin(self, data_directory, manifest, compute_scales):
        """Write what the run begins with, or refuse a dataset that has changed since it began.

        The dataset may have moved. A file whose size and modification time are the same is not read again.

        Args:
            data_directory: The dataset.
            manifest: Its `Manifest`.
            compute_scales: Function that returns the scales of a new run; see `scales`.

        Returns:
            The scales.

        Raises:
            UserError: The dataset has changed; nothing is written.
        """
        data = self.check_data(data_directory, manifest)
        scales = self.scales() if (self.directory / _SCALES).exists() else compute_scales()
        if not self.writes:
            return scales
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = {key: value for key, value in to_dict(self.config).items() if key != "config"}
        write_json(self.directory / _CONFIG, settings)
        write_json(self.directory / _DATA, data)
        write_json(self.directory / _SCALES, list(scales))
        return scales

    def check_data(self, data_directory, manifest):
        """Refuse a dataset that has changed since the run began.

        Args:
            data_directory: The dataset.
            manifest: Its `Manifest`.

        Returns:
            The dataset's record; see `dataset_record`.

        Raises:
            UserError: The dataset has changed.
        """
        path = self.directory / _DATA
        known = read_record(path) if path.exists() else None
        data = dataset_record(data_directory, manifest, known)
        if known and (change := dataset_change(known, data)):
            raise UserError(
                f"{data_directory} has changed since the run {self.directory} began: {change}. "
                "Restore the data or choose another --run-directory"
            )
        return data

    def data(self):
        """The manifest of the dataset that the run began with, as JSON holds it.

        Raises:
            UserError: The run has not begun.
        """
        return read_record(self.directory / _DATA)["manifest"]

    def scales(self):
        """Typical move and second difference of positions that the model scales its numbers by, in units of length.

        They belong to the weights and stay the same for the whole run.

        Raises:
            UserError: The run has not begun, or the file is damaged.
        """
        path = self.directory / _SCALES
        values = load_json(path)
        if not (isinstance(values, list) and len(values) == 2 and all(type(value) is float for value in values)):
            raise UserError(f"{path}: expected two numbers. Received: {values!r}")
        return tuple(values)

    def checkpoint(self, epoch):
        """The directory of the weights after an epoch (from 0)."""
        return self.directory / _CHECKPOINTS / f"{epoch + 1:04d}"

    def save_epoch(self, model, logs):
        """Keep an epoch that has ended: weights, optimizer and losses.

        Args:
            model: The model as it is after the epoch.
            logs: Losses and metrics by name.
        """
        epoch = len(self.epochs)
        self.epochs.append({"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()}})
        if not self.writes:
            return
        partial = self.checkpoint(epoch).with_name(f".{epoch + 1:04d}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            save_weights(model, partial / _WEIGHTS)
            write_json(partial / _STATE, self.epochs)
            self._write_history()  # before the checkpoint: a kill between them leaves no table without the last epoch
            os.replace(partial, self.checkpoint(epoch))
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        keep = {self.checkpoint(kept) for kept in (epoch, self.state.best_epoch)}
        for directory in (self.directory / _CHECKPOINTS).iterdir():
            if directory not in keep:
                shutil.rmtree(directory)

    def _write_history(self):
        names = list(dict.fromkeys(name for epoch in self.epochs for name in epoch))
        rows = [[str(epoch.get(name, "")) for name in names] for epoch in self.epochs]
        write_text(self.directory / "history.csv", "".join(f"{','.join(row)}\n" for row in [names, *rows]))

    def load_weights(self, model, epoch=None):
        """Load weights, and the optimizer's state if the model is compiled, as they were after an epoch.

        Args:
            model: The model.
            epoch: Number of the epoch (from 0); the best one by default.

        Raises:
            UserError: The checkpoint is missing or damaged, or holds the weights of another model.
        """
        directory = self.checkpoint(self.state.best_epoch if epoch is None else epoch)
        try:
            load_weights(model, directory / _WEIGHTS)
        except UserError as error:
            raise UserError(f"{error}. {_REMEDY.format(directory)}") from None

    def finish(self, model, split):
        """Note that the reports in the run's directory evaluate an exported model on a split.

        Args:
            model: The model's path.
            split: Name of the split.
        """
        write_json(self.directory / _FINISHED, {"epochs": len(self.epochs), "model": str(model), "split": split})

    def has_evaluated(self, model, split):
        """Whether the reports in the run's directory evaluate this model on this split; arguments as of `finish`."""
        if not all((self.directory / name).exists() for name in (_FINISHED, "metrics.json", "report.md")):
            return False
        found = load_json(self.directory / _FINISHED)
        return isinstance(found, dict) and (found.get("model"), found.get("split")) == (str(model), split)

    def count_test_evaluation(self):
        """Note that the run evaluates the test split now.

        Returns:
            How often it has done so.
        """
        path = self.directory / _TEST_EVALUATIONS
        times = load_json(path) if path.exists() else []
        if not isinstance(times, list):
            raise UserError(f"{path}: expected a list of times. Received: {times!r}")
        times.append(datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
        write_json(path, times)
        return len(times)


def _read_config(path):
    values = load_json(path)
    try:
        return from_dict(TrainConfig, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _are_epochs(epochs, monitor, count):
    return (
        isinstance(epochs, list)
        and len(epochs) == count
        and all(
            isinstance(epoch, dict) and all(type(epoch.get(name)) is float for name in ("val_loss", f"val_{monitor}"))
            for epoch in epochs
        )
    )
