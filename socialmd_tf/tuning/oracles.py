"""The oracles, which decide on the next trial. They survive kills and lost workers, and respect a deadline."""

import itertools
import time
from pathlib import Path

import keras_tuner
from keras_tuner import oracles

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from pipelines.extras import install_command
from socialmd_tf.config import load_json
from socialmd_tf.tuning.tpe import TPEOracle

OBJECTIVE = "val_loss"
_RANDOM_TRIALS = 10
_RUNS_OF_A_TRIAL = 3
_FAILURES_IN_A_ROW = 5
ENDED = ("COMPLETED", "FAILED")
_REMEDY = "Restore this file from a copy, or start a new search with another --output"


class GridOracle(keras_tuner.Oracle):
    """All combinations of values; the last hyperparameter changes fastest. A range without a step has ten values.

    Trial n has the n-th combination, so there is no state to save. (The grid search of KerasTuner 1.4.8 does not save
    its queue and stops when it is resumed.)
    """

    def populate_space(self, trial_id):
        """Values for a new trial; see `keras_tuner.Oracle.populate_space`."""
        rest = itertools.islice(combinations(self.hyperparameters.space), len(self.start_order), None)
        values = next(rest, None)
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}


def combinations(space, values=None):
    """All combinations of values of a list of KerasTuner's hyperparameters; each has the active ones only."""
    values = values or {}
    if not space:
        yield values
        return
    hp, *rest = space
    if all(condition.is_active(values) for condition in hp.conditions):
        options = sorted(hp.values) if hasattr(hp, "min_value") else hp.values
        for value in options:
            yield from combinations(rest, {**values, hp.name: value})
    else:
        yield from combinations(rest, values)


class Resumable:
    """Mixin of every oracle here: resuming, lost workers, and reasons to stop.

    - Files are written atomically. A kill between two of them is repaired on reading: a trial that was running is run
      again, one that had ended is not.
    - `release_silent` gives up a worker that did not call `create_trial`, or `get_trial` of its own trial, for
      `worker_timeout` seconds. Its trial counts as a crashed run and goes to another worker while retries are left. The
      first result of a trial counts.
    - There are no new trials after `deadline`, or after too many failures in a row.
    """

    def __init__(self, *args, worker_timeout=60.0, deadline=None, **kwargs):
        # KerasTuner would raise inside its lock and leave it locked; see `populate_space`.
        super().__init__(*args, max_consecutive_failed_trials=None, **kwargs)
        self.worker_timeout = worker_timeout
        self.deadline = deadline
        self.stopped_because = None
        self._signs_of_life = {}

    def populate_space(self, trial_id):
        """Values for a new trial, or the end of the search."""
        statuses = [self.trials[ended].status for ended in self.end_order[-_FAILURES_IN_A_ROW:]]
        if statuses == ["FAILED"] * _FAILURES_IN_A_ROW:
            self.stopped_because = f"the last {_FAILURES_IN_A_ROW} trials failed"
        elif self.deadline is not None and time.monotonic() >= self.deadline:
            self.stopped_because = "the time is up"
        else:
            response = super().populate_space(trial_id)
            if response["status"] == "STOPPED":
                self.stopped_because = "all values have been tried"
            return response
        return {"status": "STOPPED"}

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """A trial for a tuner; the call shows that the tuner is alive."""
        self._signs_of_life[tuner_id] = time.monotonic()
        trial = super().create_trial(tuner_id)
        if trial.status == "STOPPED" and self.stopped_because is None:
            self.stopped_because = "all trials are done"
        return trial

    @keras_tuner.synchronized
    def get_trial(self, trial_id):
        """The trial; the call shows that its tuner is alive."""
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self._signs_of_life[tuner_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        """Take the result of a trial, unless another tuner has reported one."""
        if trial.trial_id in self.end_order:
            return
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        super().end_trial(trial)

    @keras_tuner.synchronized
    def release_silent(self):
        """Give up the tuners that have been silent for longer than the timeout.

        Returns:
            Their names.
        """
        now = time.monotonic()
        silent = [
            tuner_id
            for tuner_id in sorted(self.tuner_ids)
            if now - self._signs_of_life.get(tuner_id, now) > self.worker_timeout
        ]
        for tuner_id in silent:
            self.tuner_ids.discard(tuner_id)
            trial = self.ongoing_trials.get(tuner_id)
            if trial is not None:
                trial.status = "INVALID"
                trial.message = f"{tuner_id} was silent for {self.worker_timeout:g} s"
                self.end_trial(trial)
        return silent

    @keras_tuner.synchronized
    def is_over(self):
        """Whether the search has stopped and no tuner has a trial or may still ask for one."""
        return self.stopped_because is not None and not self.ongoing_trials and not self.tuner_ids

    @keras_tuner.synchronized
    def is_deserted(self):
        """Whether there were tuners, and all have been silent for twice the timeout."""
        last = max(self._signs_of_life.values(), default=time.monotonic())
        return not self.tuner_ids and time.monotonic() - last > 2 * self.worker_timeout

    def save(self):
        """Write the state atomically."""
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial):
        write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self):
        """Read the state and the trials, and repair what a kill left between two files.

        Raises:
            UserError: A file is missing or damaged.
        """
        path = Path(self._get_oracle_fname())
        try:
            for trial_id in load_json(path)["start_order"]:
                load_json(Path(self._get_trial_dir(trial_id)) / "trial.json")
            super().reload()
            self._repair()
        except UserError as error:
            raise UserError(f"{error}. {_REMEDY}") from None
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(f"{path.parent} holds no whole search: {error!r}. {_REMEDY}") from None

    def _repair(self):
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
        waiting = dict.fromkeys(self._retry_queue)
        self._retry_queue = [trial_id for trial_id in waiting if self.trials[trial_id].status not in ENDED]
        for trial_id in waiting:
            if self.trials[trial_id].status in ENDED and trial_id not in self.end_order:
                self.end_order.append(trial_id)


class _TPE(Resumable, TPEOracle):
    pass


class _Random(Resumable, oracles.RandomSearchOracle):
    pass


class _Grid(Resumable, GridOracle):
    pass


class _Bayesian(Resumable, oracles.BayesianOptimizationOracle):
    pass


class _Hyperband(Resumable, oracles.HyperbandOracle):
    pass


def build_oracle(tuner, space, *, max_trials, epochs, seed, worker_timeout=60.0, deadline=None):
    """The oracle of a search for the lowest validation loss.

    Args:
        tuner: "tpe", "bayesian", "hyperband", "random" or "grid".
        space: The `keras_tuner.HyperParameters`.
        max_trials: Largest number of trials.
        epochs: Largest number of epochs per trial; Hyperband starts with fewer.
        seed: Seed of the proposals.
        worker_timeout: See `Resumable`.
        deadline: Time, by `time.monotonic`, after which no trial starts, or None.

    Raises:
        UserError: "bayesian" needs scikit-learn, which is not installed.
    """
    shared = {
        "objective": keras_tuner.Objective(OBJECTIVE, "min"),
        "hyperparameters": space,
        "allow_new_entries": False,
        # KerasTuner reads 0 as no seed, and draws from seed, seed + 1, ...: neighbouring seeds would share draws.
        "seed": 1 + 1_000_003 * seed,
        "max_retries_per_trial": _RUNS_OF_A_TRIAL - 1,
        "worker_timeout": worker_timeout,
        "deadline": deadline,
    }
    if tuner == "hyperband":
        oracle = _Hyperband(max_epochs=epochs, hyperband_iterations=None, **shared)
        oracle.max_trials = max_trials
        return oracle
    shared["max_trials"] = max_trials
    if tuner == "bayesian":
        try:
            return _Bayesian(num_initial_points=_RANDOM_TRIALS, **shared)
        except ImportError:
            raise UserError(f"the tuner bayesian needs scikit-learn: {install_command('tuning')}") from None
    if tuner == "tpe":
        return _TPE(num_startup_trials=_RANDOM_TRIALS, **shared)
    return {"random": _Random, "grid": _Grid}[tuner](**shared)
