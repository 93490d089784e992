"""A hyperparameter search: trials one after the other or by many workers, to be continued after any end."""

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
from socialmd_tf.tuning.hypermodel import SearchSpace
from socialmd_tf.tuning.live_table import Board
from socialmd_tf.tuning.oracles import OBJECTIVE, build_oracle
from socialmd_tf.tuning.search_directory import SEARCH, open_search

_WEIGHTS = "last.weights.h5"


class TimeUp(errors.FatalError):
    """The search's time is up; the trial that was running will be run again."""


class SearchTuner(keras_tuner.Tuner):
    """Runs trials; the oracle, here or at the chief, decides which.

    Args:
        oracle: One of `oracles.build_oracle`.
        space: The `SearchSpace`.
        directory: Where the search is kept.
        board: The `Board` that shows it.
    """

    def __init__(self, oracle, space, directory, board):
        super().__init__(oracle, directory=str(directory), project_name="trials")
        self.hypermodel = space  # not given to KerasTuner, which would build models to find the space out
        self.board = board
        self.durable = oracle

    def run_trial(self, trial):
        """Train the trial's model; a loss that is not a number, or too large a model, fails it for good."""
        values = trial.hyperparameters.values
        keras.utils.clear_session()
        gc.collect()
        try:
            model = self.hypermodel.build(trial.hyperparameters)
            if "tuner/trial_id" in values:
                model.load_weights(self._weights(values["tuner/trial_id"]))
            patience = keras.callbacks.EarlyStopping("val_loss", patience=self.hypermodel.base.patience)
            watch = _Watch(trial, self.board, self.durable.deadline)
            history = self.hypermodel.fit(trial.hyperparameters, model, [watch, patience])
        except tf.errors.ResourceExhaustedError as error:
            raise errors.FailedTrialError(f"out of memory: {error.message}") from error
        if "tuner/epochs" in values:
            model.save_weights(self._weights(trial.trial_id))
        return history

    def _weights(self, trial_id):
        return Path(self.get_trial_dir(trial_id)) / _WEIGHTS

    def on_trial_begin(self, trial):
        """Show the trial, and let the chief hear of it while it runs."""
        self.board.begin(trial)
        self._heartbeat = Heartbeat(self.oracle, trial.trial_id, self.durable.worker_timeout / 4)
        if self._is_worker():
            self._heartbeat.start()

    def on_trial_end(self, trial):
        """Hand in the result."""
        self._heartbeat.stop()
        super().on_trial_end(trial)
        self.board.end(self.oracle.get_trial(trial.trial_id))

    def pre_create_trial(self):
        """Do not ask a chief that has nothing to do for us without a pause."""
        if self._is_worker():
            time.sleep(0.2)

    def save(self):
        """Write the oracle; the tuner itself has nothing to keep."""
        if not self._is_worker():
            self.oracle.save()


class Heartbeat:
    """Asks for a trial again and again, whereby the chief hears that its worker is alive.

    Args:
        oracle: The oracle, or a worker's link to it.
        trial_id: The trial that is running.
        seconds: Time between two questions.
    """

    def __init__(self, oracle, trial_id, seconds):
        self._ask = lambda: oracle.get_trial(trial_id)
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Begin to ask."""
        self._thread.start()

    def stop(self):
        """Ask no more."""
        self._stopped.set()

    def _run(self):
        while not self._stopped.wait(self._seconds):
            with contextlib.suppress(Exception):  # a chief that is being restarted hears the next one
                self._ask()


class _Watch(keras.callbacks.Callback):
    """Ends a trial whose loss is not a number, or whose time is up; reports every epoch."""

    def __init__(self, trial, board, deadline):
        super().__init__()
        self.trial, self.board, self.deadline = trial, board, deadline

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise errors.FailedTrialError(f"the loss became {logs['loss']}")

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs[OBJECTIVE]):
            raise errors.FailedTrialError(f"the validation loss became {logs[OBJECTIVE]}")
        self.board.epoch(self.trial, epoch + 1, self.params["epochs"], logs[OBJECTIVE])
        if self.deadline is not None and time.monotonic() >= self.deadline and epoch + 1 < self.params["epochs"]:
            raise TimeUp("the time is up")


def role():
    """What KerasTuner's environment variables make of this process: "alone", "chief" or "worker".

    Raises:
        UserError: Some of them are set and some are not.
    """
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    given = [name for name in names if os.environ.get(name)]
    if not set(names[1:]) & set(given):
        return "alone"
    if len(given) < len(names):
        raise UserError(f"a chief or worker needs {', '.join(names)} in its environment. Found: {', '.join(given)}")
    return "chief" if "chief" in os.environ[names[0]] else "worker"


def search(config, ranges, base):
    """Search, or go on searching.

    Args:
        config: The `TuneConfig`.
        ranges: Names -> `Range`s, as `search_ranges.search_space` gives them.
        base: The `TrainConfig` that the trials start from.

    Returns:
        The `Board` that showed the trials, and the oracle, which knows them and why the search ended.

    Raises:
        UserError: The directory holds another search, or something else.
    """
    directory, duty = Path(config.output), role()
    while duty == "worker" and not (directory / SEARCH).exists():
        time.sleep(0.5)  # the chief writes it
    open_search(directory, config, ranges)
    space = SearchSpace(base, ranges)
    deadline = None if config.minutes is None else time.monotonic() + 60 * config.minutes
    oracle = build_oracle(
        config.tuner,
        space.hyperparameters(),
        max_trials=config.max_trials,
        epochs=config.epochs,
        seed=config.seed,
        worker_timeout=config.worker_timeout,
        deadline=deadline,
    )
    board = Board(config.max_trials, [name for name, searched in ranges.items() if len(searched.values) != 1])
    with contextlib.redirect_stdout(io.StringIO()):  # KerasTuner's own prints
        keras_tuner_settings.DEBUG = False  # it prints the traceback of every failed trial; the board says why
        tuner = SearchTuner(oracle, space, directory, board)
        if duty != "worker" and (Path(tuner.project_dir) / "oracle.json").exists():
            oracle.reload()
        board.load(oracle.trials)
        tuner.save()
        with board:
            if duty == "chief":
                _lead(tuner, oracle, board)
            else:
                _work(tuner, oracle)
    return board, oracle


def _work(tuner, oracle):
    try:
        tuner.search()
        oracle.stopped_because = oracle.stopped_because or "the chief has no more trials"
    except TimeUp as stop:
        oracle.stopped_because = str(stop)


def _lead(tuner, oracle, board):
    """Serve the workers until none is left; their trials are shown as they begin and end."""
    server = threading.Thread(target=tuner.search, daemon=True)
    server.start()
    shown = {trial_id: trial.status for trial_id, trial in oracle.trials.items()}
    while server.is_alive() and not oracle.is_over():
        time.sleep(0.2)
        for tuner_id in oracle.release_silent():
            board.say(f"nothing was heard of {tuner_id} for {oracle.worker_timeout:g} s: its trial goes to another one")
        for trial_id, trial in list(oracle.trials.items()):
            if shown.get(trial_id) != trial.status:
                shown[trial_id] = trial.status
                (board.begin if trial.status == "RUNNING" else board.end)(trial)
        if oracle.is_deserted():
            oracle.stopped_because = "all workers are silent"
            return
