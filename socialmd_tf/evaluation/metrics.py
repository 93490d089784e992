"""Errors of predicted densities: likelihood, absolute errors, coverage."""

import dataclasses
import functools
import math

import keras
import numpy as np
import tensorflow as tf

from socialmd_tf import mixture
from socialmd_tf.evaluation.sample import Sample
from socialmd_tf.layers import DensityLayout

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""Probabilities of the predictive regions on the calibration curve."""
_DENSITIES = 1 << 10
"""Of these many densities the scores are computed at once."""


@keras.saving.register_keras_serializable(package="socialmd_tf")
class MeanAbsoluteError(keras.metrics.Mean):
    """Keras metric: mean absolute error of the predicted mean, per coordinate, in units of length.

    Called on `y_true` `[B, T', N, D]` and parameters `y_pred` `[B, T', N, P]`.

    Args:
        layout: The `DensityLayout` of the parameters, or its fields as a dictionary.
    """

    def __init__(self, layout, name="mae", **kwargs):
        super().__init__(name=name, **kwargs)
        self.layout = DensityLayout(**layout) if isinstance(layout, dict) else layout

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch; `sample_weight` is `[B, T', N]`."""
        error = keras.ops.mean(keras.ops.abs(y_true - self.layout.mean(y_pred)), axis=-1)
        return super().update_state(error, sample_weight)

    def get_config(self):
        """Arguments of the metric."""
        return {**super().get_config(), "layout": dataclasses.asdict(self.layout)}


@dataclasses.dataclass(frozen=True)
class Scores:
    """Errors of one predictor, one number per window, step and particle."""

    nll: np.ndarray
    """Negative log likelihood of the true position `[W, T', N]`, in nats."""
    error: np.ndarray
    """Absolute error of the predicted mean `[W, T', N, D]`, in units of length."""
    level: np.ndarray
    """Smallest probability of a predictive region that contains the true position `[W, T', N]`."""
    mask: np.ndarray
    """`[W, N]`, 1 for real particles; padding does not count."""

    @property
    def real(self):
        """Whether each number belongs to a real particle `[W, T', N]`."""
        return np.broadcast_to(self.mask[:, None] > 0, self.nll.shape)


def score(parameters, layout, targets, mask):
    """Score a batch.

    Args:
        parameters: Predicted density parameters `[B, T', N, P]`.
        layout: Their `DensityLayout`.
        targets: True positions `[B, T', N, D]`, in units of length.
        mask: `[B, N]`.

    Returns:
        `Scores` of B windows.
    """
    targets, parameters = np.asarray(targets, np.float32), np.asarray(parameters, np.float32)
    flat = [values.reshape(-1, values.shape[-1]) for values in (parameters, targets)]
    count = len(flat[0])
    # The last densities are repeated, because XLA compiles a program for each number of them.
    whole = [np.pad(values, ((0, -count % _DENSITIES), (0, 0)), "edge") for values in flat]
    starts = range(0, count, _DENSITIES)
    parts = [_densities(layout)(*(values[start : start + _DENSITIES] for values in whole)) for start in starts]
    mean, nll, level = (np.concatenate(values)[:count] for values in zip(*parts, strict=True))
    shape = targets.shape[:-1]
    error = np.abs(mean.reshape(targets.shape) - targets)
    return Scores(nll.reshape(shape), error, level.reshape(shape), np.asarray(mask))


@functools.cache
def _densities(layout):
    """Function of parameters `[M, P]` and positions `[M, D]`: means, negative log likelihoods and levels.

    Compiled by XLA, which needs a quarter of the time of a plain graph for the samples of mixtures.
    """

    @tf.function(autograph=False, jit_compile=True)
    def compute(parameters, positions):
        nll = -mixture.distribution(parameters, layout).log_prob(positions)
        return layout.mean(parameters), nll, mixture.density_level(parameters, layout, positions)

    return compute


class Tally:
    """Scores of one predictor, summed up batch by batch: memory holds a few numbers per window.

    The median of absolute errors is that of a random sample, if there are more than 4 million (`Sample`).
    """

    def __init__(self):
        self._steps = {}
        self._windows = {"nll": [], "error": [], "count": [], "coverage_50": [], "coverage_90": []}
        self._errors = Sample()
        self._num_dimensions = 0

    def add(self, scores):
        """Add the `Scores` of a batch."""
        real, error = scores.real, scores.error
        distance = np.sqrt(np.square(error).sum(axis=-1))
        # The number of levels of at most p, for all p.
        place = np.searchsorted(np.asarray(LEVELS, scores.level.dtype), scores.level)
        covered = [(place <= number) for number in range(len(LEVELS))]
        values = {"nll": scores.nll, "error": error.mean(axis=-1, dtype=np.float64), "distance": distance}
        values |= {"count": np.ones_like(distance)}
        for name, numbers in values.items():
            self._add_steps(name, _sums(numbers, real, (0, 2)))
        values |= {"coverage_50": covered[LEVELS.index(0.5)], "coverage_90": covered[LEVELS.index(0.9)]}
        for name, parts in self._windows.items():
            parts.append(_sums(values[name], real, (1, 2)))
        self._add_steps("covered", np.stack([_sums(each, real, (0, 2)) for each in covered]))
        self._errors.add(error[real])
        self._num_dimensions = error.shape[-1]

    def join(self, other):
        """Add the scores of another tally, whose windows follow those of this one."""
        for name, sums in other._steps.items():
            self._add_steps(name, sums)
        for name, parts in other._windows.items():
            self._windows[name] += parts
        self._errors.join(other._errors)
        self._num_dimensions = other._num_dimensions or self._num_dimensions

    @property
    def is_empty(self):
        """Whether nothing was added."""
        return not self._steps

    def _add_steps(self, name, sums):
        self._steps[name] = self._steps.get(name, 0.0) + sums

    def window_mae(self):
        """Mean absolute error of every window `[W]`."""
        return np.concatenate(self._windows["error"]) / np.concatenate(self._windows["count"])

    def totals(self, simulations):
        """Dictionary of `mae`, `nll`, `coverage_50` and `coverage_90` -> sums and counts `[C]` of the C simulations.

        Simulations are in ascending order.

        Args:
            simulations: Number of the simulation that each window comes from `[W]`.
        """
        numbers, which = np.unique(simulations, return_inverse=True)
        sums = {name: np.bincount(which, np.concatenate(parts), len(numbers)) for name, parts in self._windows.items()}
        names = {"mae": "error", "nll": "nll", "coverage_50": "coverage_50", "coverage_90": "coverage_90"}
        return {name: (sums[source], sums["count"]) for name, source in names.items()}

    def summary(self, simulations, mean_move):
        """Summarize the scores of all windows.

        The negative log likelihood depends on the unit of length. With positions in units of the mean move s per frame,
        y = x / s, the density is p(y) = p(x) s^D, and the likelihood no longer depends on it:

            -log p(y) = -log p(x) - D log s

        Args:
            simulations: Number of the simulation that each window comes from `[W]`. Windows of one simulation are not
                independent, so standard errors are those of the mean over simulations.
            mean_move: Mean Euclidean distance between two frames of the true windows, s.

        Returns:
            Dictionary of `nll` (nats per particle and step) and `nll_per_move`, `mae` and `median_ae` (per coordinate),
            `ade` and `fde` (Euclidean, over all steps and at the last one), `coverage_50` and `coverage_90` (share of
            true positions inside the predicted highest density region of that probability), `calibration` (coverage at
            many `levels`), lists over the T' steps `mae_per_step`, `nll_per_step`, `coverage_50_per_step` and
            `coverage_90_per_step`, and the standard errors `nll_standard_error`, `mae_standard_error`,
            `coverage_50_standard_error` and `coverage_90_standard_error`; lengths in the unit of the data.
        """
        steps, count = self._steps, self._steps["count"]
        nll, error, distance = (steps[name] / count for name in ("nll", "error", "distance"))
        covered, coverage = steps["covered"] / count, steps["covered"].sum(axis=1) / count.sum()
        half, most = LEVELS.index(0.5), LEVELS.index(0.9)
        mean_nll, totals = _mean_of(steps["nll"], count), self.totals(simulations)
        errors = {name: standard_error(sums / counts) for name, (sums, counts) in totals.items()}
        return {
            "nll": mean_nll,
            "nll_standard_error": errors["nll"],
            "nll_per_move": mean_nll - self._num_dimensions * math.log(mean_move) if mean_move > 0 else math.nan,
            "mean_move": mean_move,
            "mae": _mean_of(steps["error"], count),
            "mae_standard_error": errors["mae"],
            "median_ae": self._errors.median(),
            "ade": _mean_of(steps["distance"], count),
            "fde": float(distance[-1]),
            "mae_per_step": error.tolist(),
            "nll_per_step": nll.tolist(),
            "coverage_50": float(coverage[half]),
            "coverage_50_standard_error": errors["coverage_50"],
            "coverage_90": float(coverage[most]),
            "coverage_90_standard_error": errors["coverage_90"],
            "coverage_50_per_step": covered[half].tolist(),
            "coverage_90_per_step": covered[most].tolist(),
            "calibration": {"levels": list(LEVELS), "coverage": coverage.tolist()},
        }


def without_density(found):
    """A summary without what is said of the density, for models whose density is not that of a rollout of means."""
    lists = ("nll_per_step", "coverage_50_per_step", "coverage_90_per_step")
    numbers = ["nll", "nll_standard_error", "nll_per_move"]
    numbers += [f"coverage_{percent}{error}" for percent in (50, 90) for error in ("", "_standard_error")]
    return found | {key: [] for key in lists} | dict.fromkeys(numbers, math.nan) | {"calibration": {}}


class StratumTally:
    """Scores of some particles of some windows, summed up batch by batch."""

    def __init__(self):
        self._count = self._error = self._nll = self._steps = 0
        self._errors = Sample()

    def add(self, scores, chosen):
        """Add the `Scores` of a batch; `chosen` says which particles to take `[B, N]`, padding never counts."""
        chosen = chosen & (scores.mask > 0)
        error, nll = np.swapaxes(scores.error, 1, 2)[chosen], np.swapaxes(scores.nll, 1, 2)[chosen]
        self._count += len(error)
        self._steps += nll.size
        self._error += error.mean(axis=-1, dtype=np.float64).sum()
        self._nll += nll.sum(dtype=np.float64)
        self._errors.add(error.ravel())

    def join(self, other):
        """Add the scores of another tally."""
        self._count += other._count
        self._steps += other._steps
        self._error += other._error
        self._nll += other._nll
        self._errors.join(other._errors)

    def result(self):
        """Dictionary of `count` (particles, each counted once per window), and `mae`, `median_ae` and `nll`.

        The last three are over all their steps; NaN if there are none.
        """
        return {
            "count": self._count,
            "mae": float(self._error / self._steps) if self._steps else math.nan,
            "median_ae": self._errors.median(),
            "nll": float(self._nll / self._steps) if self._steps else math.nan,
        }


def standard_error(means):
    """Standard error of the mean of independent numbers; NaN for fewer than two."""
    return float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else math.nan


def _sums(values, real, axes):
    """Sums of `[B, T', N]` over real particles and some axes."""
    return np.sum(values, axis=axes, where=real, dtype=np.float64)


def _mean_of(sums, counts):
    return float(sums.sum() / counts.sum())
