"""A hyperparameter search: trials in turn or in several processes, which can be resumed after any interruption."""

import contextlib
import gc
import io
import math
import os
import threading
import time
from pathlib import Path

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner import errors
from keras_tuner.src import config as keras_tuner_settings

from pipelines.errors import UserError
from socialmd_tf.tuning.hypermodel import HyperModel
from socialmd_tf.tuning.live_table import LiveTable
from socialmd_tf.tuning.oracles import OBJECTIVE, build_oracle
from socialmd_tf.tuning.search_directory import SEARCH, open_search

_WEIGHTS = "last.weights.h5"


class TimeUp(errors.FatalError):
    """The time is up; the running trial will be run again."""


class SearchTuner(keras_tuner.Tuner):
    """Runs trials; the oracle, in this process or the chief, chooses them.

    Args:
        oracle: An oracle of `oracles.build_oracle`.
        hypermodel: The `HyperModel`.
        directory: Directory of the search.
        table: The `LiveTable` that shows the trials.
    """

    def __init__(self, oracle, hypermodel, directory, table):
        super().__init__(oracle, directory=str(directory), project_name="trials")
        self.hypermodel = hypermodel  # not passed to KerasTuner, which would build models to find the search space
        self.table = table
        self.resumable = oracle

    def run_trial(self, trial):
        """Train the model of a trial; a loss that is not finite, or a lack of memory, fails the trial."""
        values = trial.hyperparameters.values
        keras.utils.clear_session()
        gc.collect()
        try:
            model = self.hypermodel.build(trial.hyperparameters)
            if "tuner/trial_id" in values:
                self._load_weights(model, values["tuner/trial_id"])
            patience = keras.callbacks.EarlyStopping("val_loss", patience=self.hypermodel.base.patience)
            watch = _TrialCallback(trial, self.table, self.resumable.deadline)
            history = self.hypermodel.fit(trial.hyperparameters, model, [watch, patience])
        except tf.errors.ResourceExhaustedError as error:
            raise errors.FailedTrialError(f"out of memory: {error.message}") from error
        if "tuner/epochs" in values:
            model.save_weights(self._weights(trial.trial_id))
        return history

    def _weights(self, trial_id):
        return Path(self.get_trial_dir(trial_id)) / _WEIGHTS

    def _load_weights(self, model, trial_id):
        """Load the weights with which an earlier trial ended."""
        try:
            model.load_weights(self._weights(trial_id))
        except (OSError, ValueError, KeyError) as error:
            raise errors.FailedTrialError(f"the weights of trial {trial_id} cannot be read: {error}") from error

    def on_trial_begin(self, trial):
        """Show the trial, and report to the chief while it runs."""
        self.table.begin(trial)
        self._heartbeat = Heartbeat(self.oracle, trial.trial_id, self.resumable.worker_timeout / 4)
        if self._is_worker():
            self._heartbeat.start()

    def on_trial_end(self, trial):
        """Report the result."""
        self._heartbeat.stop()
        super().on_trial_end(trial)
        self.table.end(self.oracle.get_trial(trial.trial_id))

    def pre_create_trial(self):
        """Wait between two requests to a chief that has no trial for this worker."""
        if self._is_worker():
            time.sleep(0.2)

    def save(self):
        """Write the state of the oracle; the tuner has none."""
        if not self._is_worker():
            self.oracle.save()


class Heartbeat:
    """Requests the running trial at intervals, which shows the chief that the worker is alive.

    Args:
        oracle: The oracle, or a worker's link to it.
        trial_id: The running trial.
        seconds: Time between two requests.
    """

    def __init__(self, oracle, trial_id, seconds):
        self._ask = lambda: oracle.get_trial(trial_id)
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Start the requests."""
        self._thread.start()

    def stop(self):
        """Stop the requests."""
        self._stopped.set()

    def _run(self):
        while not self._stopped.wait(self._seconds):
            with contextlib.suppress(Exception):  # a chief that is being restarted receives the next request
                self._ask()


class _TrialCallback(keras.callbacks.Callback):
    """Shows each epoch of a trial, and stops the trial when its loss is not finite or the time is up."""

    def __init__(self, trial, table, deadline):
        super().__init__()
        self.trial, self.table, self.deadline = trial, table, deadline

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise errors.FailedTrialError(f"the loss became {logs['loss']}")

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs[OBJECTIVE]):
            raise errors.FailedTrialError(f"the validation loss became {logs[OBJECTIVE]}")
        self.table.epoch(self.trial, epoch + 1, self.params["epochs"], logs[OBJECTIVE])
        if self.deadline is not None and time.monotonic() >= self.deadline and epoch + 1 < self.params["epochs"]:
            raise TimeUp("the time is up")


def role():
    """Role of this process by KerasTuner's environment variables: "alone", "chief" or "worker".

    Raises:
        UserError: Some of the variables are set, but not all.
    """
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    given = [name for name in names if os.environ.get(name)]
    if not set(names[1:]) & set(given):
        return "alone"
    if len(given) < len(names):
        raise UserError(
            f"a chief or worker needs the environment variables {', '.join(names)}. Found: {', '.join(given)}"
        )
    return "chief" if "chief" in os.environ[names[0]] else "worker"


def search(config, ranges, base):
    """Start a search, or resume it.

    Args:
        config: The `TuneConfig`.
        ranges: Names -> `Range`s, as `search_space.search_space` returns them.
        base: The `TrainConfig` of everything that is not searched.

    Returns:
        The `LiveTable` of the trials; and the oracle, which has the trials and the reason why the search ended.

    Raises:
        UserError: The directory holds another search, a damaged one, or other files.
    """
    directory, duty = Path(config.output), role()
    while duty == "worker" and not (directory / SEARCH).exists():
        time.sleep(0.5)  # until the chief has written it
    open_search(directory, config, ranges)
    hypermodel = HyperModel(base, ranges)
    deadline = None if config.minutes is None else time.monotonic() + 60 * config.minutes
    oracle = build_oracle(
        config.tuner,
        hypermodel.hyperparameters(),
        max_trials=config.max_trials,
        epochs=config.epochs,
        seed=config.seed,
        worker_timeout=config.worker_timeout,
        deadline=deadline,
    )
    table = LiveTable(config.max_trials, [name for name, searched in ranges.items() if len(searched.values) != 1])
    with contextlib.redirect_stdout(io.StringIO()):  # hides KerasTuner's own output
        keras_tuner_settings.DEBUG = False  # it prints the traceback of every failed trial; the table has the reason
        tuner = SearchTuner(oracle, hypermodel, directory, table)
        if duty != "worker" and any(Path(tuner.project_dir).glob("*")):
            oracle.reload()
        table.load(oracle.trials)
        tuner.save()
        with table:
            if duty == "chief":
                _lead(tuner, oracle, table)
            else:
                _work(tuner, oracle)
    return table, oracle


def _work(tuner, oracle):
    try:
        tuner.search()
        oracle.stopped_because = oracle.stopped_because or "the chief has no more trials"
    except TimeUp as stop:
        oracle.stopped_because = str(stop)


def _lead(tuner, oracle, table):
    """Serve the workers until none is left, and show their trials."""
    server = threading.Thread(target=tuner.search, daemon=True)
    server.start()
    shown = {trial_id: trial.status for trial_id, trial in oracle.trials.items()}
    while server.is_alive() and not oracle.is_over():
        time.sleep(0.2)
        for tuner_id in oracle.release_silent():
            table.say(f"{tuner_id} was silent for {oracle.worker_timeout:g} s; its trial goes to another worker")
        for trial_id, trial in list(oracle.trials.items()):
            if shown.get(trial_id) != trial.status:
                shown[trial_id] = trial.status
                (table.begin if trial.status == "RUNNING" else table.end)(trial)
        if oracle.is_deserted():
            oracle.stopped_because = "all workers are silent"
            return
