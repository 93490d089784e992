"""Ensembles of a mixture: drawn from a model, or made of the simulations of other compositions."""

import math

import numpy as np

from socialmd_tf.evaluation.ensembles.baselines import members_of, regression
from socialmd_tf.evaluation.ensembles.curves import System, curves


class DrawnMixtures:
    """Ensembles of paths that a model draws after relabelled frames.

    Args:
        model: An exported model.
        starts: The `RelabelledStarts`.
        setting: The `Setting`.
        names: Families of statistics.
        num_steps: Frames to predict, T'.
        settings: The `CompositionSettings`, for `num_samples` and `seed`.
    """

    def __init__(self, model, starts, setting, names, num_steps, settings):
        self._model, self._starts, self._setting, self._names = model, starts, setting, names
        self._num_steps, self._settings = num_steps, settings

    def members(self, mixture):
        """The ensemble of a `Mixture`; the random numbers are the same for all.

        Returns:
            Statistic -> members `[S, K, ...]`, NaN for a path that is not finite, and the number of such paths.
            Statistics of types that the mixture lacks are left out.
        """
        rows, not_finite = [], 0
        for inputs in self._starts.batches(mixture, self._settings.num_samples, self._settings.seed):
            for path, system in self._paths(inputs, (self._settings.seed, len(rows))):
                is_finite = bool(np.isfinite(path).all())
                not_finite += not is_finite
                found = curves(path if is_finite else np.zeros_like(path), system, self._setting, self._names)
                rows.append({name: values if is_finite else values + math.nan for name, values in found.items()})
        members = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return {name: values for name, values in members.items() if not np.isnan(values).all()}, not_finite

    def _paths(self, inputs, seed):
        """Yield a drawn path `[T' + 1, n, D]` and its `System` for every row of a batch."""
        mask = None if inputs["mask"].all() else inputs["mask"]
        future = self._model.paths(inputs["positions"], inputs["features"], self._num_steps, seed, mask, inputs)
        paths = np.concatenate([inputs["positions"][:, -1:], future], axis=1).astype(np.float64)
        for row, real in enumerate(inputs["mask"] > 0):
            features = inputs["features"][row][real]
            box = np.asarray(inputs["box"][row], np.float64) if "box" in inputs else None
            yield paths[row][:, real], System(self._setting.kinds(features), features, box)


def baselines(simulations, mixture):
    """What the training simulations of the two types tell about a `Mixture`.

    Args:
        simulations: List of `Simulation`.
        mixture: The `Mixture`.

    Returns:
        Name -> statistic -> members `[S, K, ...]`: the quadratic regression on the share of the drug, and the
        simulations of the nearest share. Empty where there are too few.
    """
    types = (mixture.drug, mixture.background)
    known = [each for each in simulations if each.in_training and each.is_of(types)]
    shares = np.array([each.share(mixture.drug) for each in known])
    found = [{name: runs[0] for name, runs in each.runs.items()} for each in known]
    away = np.abs(shares - mixture.fraction)
    near = [each for each, distance in zip(found, away, strict=True) if distance <= away.min() + 1e-9]
    return {
        "composition_regression": regression(shares, found, mixture.fraction),
        "nearest_composition": members_of(near),
    }
