"""A KerasTuner oracle that proposes trials by the tree-structured Parzen estimator (Bergstra et al. 2011).

The oracle has no state. For every new trial, an Optuna study is rebuilt from KerasTuner's trials, and the random
numbers are a function of the seed and the number of trials. So resuming, retries and workers need nothing more.
"""

import math

import keras_tuner
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

_ATTEMPTS = 20
_TRIALS_FOR_IMPORTANCE = 5
# Failed trials become pruned ones without a value, which the sampler ranks below all others. It ignores trials marked
# as failed, and keeps proposing values that diverge: in a test where half of the learning rates diverged, 30 of 40
# trials failed, against 13 when marked as pruned.
_STATES = {"COMPLETED": TrialState.COMPLETE, "FAILED": TrialState.PRUNED, "RUNNING": TrialState.RUNNING}

optuna.logging.set_verbosity(optuna.logging.WARNING)


class TPEOracle(keras_tuner.Oracle):
    """Proposes values where good trials are denser than bad ones.

    Hyperparameters of every trial are drawn jointly; those of conditional scopes one by one, from the trials that have
    them. Failed trials rank last, whatever they reported. Running trials count as bad, so that workers spread out. No
    values are proposed twice; when all values have been tried, the search stops.

    Args:
        objective: As of `keras_tuner.Oracle`.
        num_startup_trials: Completed trials with random values before the estimator is used.
        **kwargs: The other arguments of `keras_tuner.Oracle`.
    """

    def __init__(self, objective=None, *, num_startup_trials=10, **kwargs):
        super().__init__(objective=objective, **kwargs)
        self.num_startup_trials = num_startup_trials

    def populate_space(self, trial_id):
        """Values for a new trial; see `keras_tuner.Oracle.populate_space`."""
        seed = np.random.SeedSequence([self.seed, len(self.start_order)]).generate_state(1)[0]
        sampler = optuna.samplers.TPESampler(
            seed=int(seed),
            n_startup_trials=self.num_startup_trials,
            multivariate=True,
            constant_liar=True,
        )
        study = rebuild_study(self, sampler)
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        for _ in range(_ATTEMPTS):
            values = self._suggest(study.ask())
            if values not in tried:
                return {"status": "RUNNING", "values": values}
        values = self._random_values()
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}

    def _suggest(self, trial):
        """Values of all active hyperparameters; a parent comes before those that depend on it."""
        space = keras_tuner.HyperParameters()
        for hp in self.hyperparameters.space:
            space.merge([hp])
            if space.is_active(hp):
                space.values[hp.name] = _suggest_one(trial, hp)
        return space.values


def rebuild_study(oracle, sampler=None):
    """An Optuna study of the trials of an oracle, in the order of their start.

    Args:
        oracle: Any `keras_tuner.Oracle`.
        sampler: The sampler of the study.

    Returns:
        The study. Failed trials are pruned ones without a value.
    """
    study = optuna.create_study(direction=f"{oracle.objective.direction}imize", sampler=sampler)
    for trial_id in oracle.start_order:
        trial = oracle.trials[trial_id]
        state = _STATES.get(trial.status, TrialState.RUNNING)  # an INVALID trial waits for its next run
        if state is TrialState.COMPLETE and not (trial.score is not None and math.isfinite(trial.score)):
            state = TrialState.PRUNED
        values = trial.hyperparameters.values
        active = [
            hp
            for hp in oracle.hyperparameters.space
            if distribution(hp) and hp.name in values and all(c.is_active(values) for c in hp.conditions)
        ]
        study.add_trial(
            create_trial(
                state=state,
                value=float(trial.score) if state is TrialState.COMPLETE else None,
                params={hp.name: encode(hp, values[hp.name]) for hp in active},
                distributions={hp.name: distribution(hp) for hp in active},
            )
        )
    return study


def importances(oracle):
    """Importance of each hyperparameter for reaching the best tenth of the trials, by PED-ANOVA (Watanabe et al. 2023).

    Args:
        oracle: Any `keras_tuner.Oracle`.

    Returns:
        Names -> shares that add up to 1, in descending order; empty if there are too few completed trials.
    """
    study = rebuild_study(oracle)
    if len(study.get_trials(states=[TrialState.COMPLETE])) < _TRIALS_FOR_IMPORTANCE:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def distribution(hp):
    """The Optuna distribution of a KerasTuner hyperparameter, or None for a fixed one.

    A number without a step is represented by itself, one with a step and any other ordered choice by its index, and
    reverse logarithmic sampling, which Optuna lacks, by its cumulative probability.
    """
    if isinstance(hp, keras_tuner.engine.hyperparameters.Fixed):
        return None
    if _values(hp) is not None:
        return IntDistribution(0, len(_values(hp)) - 1)
    if hasattr(hp, "min_value"):
        if hp.sampling == "reverse_log":
            return FloatDistribution(0.0, 1.0)
        kind = IntDistribution if isinstance(hp.min_value, int) else FloatDistribution
        return kind(hp.min_value, hp.max_value, log=hp.sampling == "log")
    return CategoricalDistribution(tuple(hp.values))


def _values(hp):
    """The values, in ascending order, of a hyperparameter that is represented by an index, else None."""
    if hasattr(hp, "min_value"):
        is_plain_integer = isinstance(hp.min_value, int) and hp.step == 1 and hp.sampling == "linear"
        return None if hp.step is None or is_plain_integer else [type(hp.min_value)(v) for v in sorted(hp.values)]
    return sorted(hp.values) if getattr(hp, "ordered", False) else None


def encode(hp, value):
    """Value of a hyperparameter -> value of Optuna's parameter, within its bounds."""
    values = _values(hp)
    if values is not None:
        return int(np.argmin(np.abs(np.subtract(values, value))))
    if hasattr(hp, "min_value"):
        if hp.sampling == "reverse_log":
            value, low, high = hp.value_to_prob(value), 0.0, 1.0
        else:
            low, high = hp.min_value, hp.max_value
        return min(max(value, low), high)
    return value


def decode(hp, value):
    """The inverse of `encode`."""
    values = _values(hp)
    if values is not None:
        return values[value]
    if getattr(hp, "sampling", None) == "reverse_log":
        return hp.prob_to_value(value)
    return value


def _suggest_one(trial, hp):
    found = distribution(hp)
    if found is None:
        return hp.value
    if isinstance(found, CategoricalDistribution):
        return trial.suggest_categorical(hp.name, found.choices)
    suggest = trial.suggest_int if isinstance(found, IntDistribution) else trial.suggest_float
    return decode(hp, suggest(hp.name, found.low, found.high, log=found.log))
