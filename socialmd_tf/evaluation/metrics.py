"""Errors of predicted densities: likelihood, absolute errors, coverage."""

import dataclasses
import math

import keras
import numpy as np

from socialmd_tf import mixture
from socialmd_tf.layers import DensityLayout

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""Probabilities of the predictive regions on the calibration curve."""


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

    @classmethod
    def concatenate(cls, parts):
        """Join the scores of several batches."""
        fields = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))

    @property
    def real(self):
        """Whether each number belongs to a real particle `[W, T', N]`."""
        return np.broadcast_to(self.mask[:, None] > 0, self.nll.shape)

    def window_mae(self):
        """Mean absolute error of every window `[W]`."""
        error = self.error.mean(axis=-1, dtype=np.float64)
        return np.mean(error, axis=(1, 2), where=self.real)


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
    targets = np.asarray(targets)
    error = np.abs(np.asarray(layout.mean(parameters)) - targets)
    nll = -np.asarray(mixture.distribution(parameters, layout).log_prob(targets))
    level = np.asarray(mixture.density_level(parameters, layout, targets))
    return Scores(nll, error, level, np.asarray(mask))


def summary(scores, simulations, mean_move):
    """Summarize the scores of all windows.

    The negative log likelihood depends on the unit of length. With positions in units of the mean move s per frame,
    y = x / s, the density is p(y) = p(x) s^D, and the likelihood no longer depends on it:

        -log p(y) = -log p(x) - D log s

    Args:
        scores: The `Scores`.
        simulations: Number of the simulation that each window comes from `[W]`. Windows of one simulation are not
            independent, so standard errors are those of the mean over simulations.
        mean_move: Mean Euclidean distance between two frames of the true windows, s.

    Returns:
        Dictionary of `nll` (nats per particle and step) and `nll_per_move`, `mae` and `median_ae` (per coordinate),
        `ade` and `fde` (Euclidean, over all steps and at the last one), `coverage_50` and `coverage_90` (share of
        true positions inside the predicted highest density region of that probability), `calibration` (coverage at
        many `levels`), lists over the T' steps `mae_per_step`, `nll_per_step`, `coverage_50_per_step` and
        `coverage_90_per_step`, and `nll_standard_error` and `mae_standard_error`; lengths in the unit of the data.
    """
    nll, error, level, real = scores.nll, scores.error, scores.level, scores.real
    distance = np.sqrt(np.square(error).sum(axis=-1))
    mean_nll = _mean(nll[real])
    return {
        "nll": mean_nll,
        "nll_standard_error": _standard_error(nll, real, simulations),
        "nll_per_move": mean_nll - error.shape[-1] * math.log(mean_move) if mean_move > 0 else math.nan,
        "mean_move": mean_move,
        "mae": _mean(error[real]),
        "mae_standard_error": _standard_error(error.mean(axis=-1), real, simulations),
        "median_ae": float(np.median(error[real])),
        "ade": _mean(distance[real]),
        "fde": _mean(distance[:, -1][real[:, -1]]),
        "mae_per_step": _per_step(error, real),
        "nll_per_step": _per_step(nll, real),
        "coverage_50": _mean(level[real] <= 0.5),
        "coverage_90": _mean(level[real] <= 0.9),
        "coverage_50_per_step": _per_step(level <= 0.5, real),
        "coverage_90_per_step": _per_step(level <= 0.9, real),
        "calibration": {"levels": list(LEVELS), "coverage": [_mean(level[real] <= p) for p in LEVELS]},
    }


def without_density(found):
    """A summary without what is said of the density, for models whose density is not that of a rollout of means."""
    lists = ("nll_per_step", "coverage_50_per_step", "coverage_90_per_step")
    numbers = ("nll", "nll_standard_error", "nll_per_move", "coverage_50", "coverage_90")
    return found | {key: [] for key in lists} | dict.fromkeys(numbers, math.nan) | {"calibration": {}}


def stratum(scores, chosen):
    """Summarize the scores of some particles of some windows.

    Args:
        scores: The `Scores`.
        chosen: Which particles to take `[W, N]`; padding never counts.

    Returns:
        Dictionary of `count` (particles, each counted once per window), and `mae`, `median_ae` and `nll` over all
        their steps; NaN if there are none.
    """
    chosen = chosen & (scores.mask > 0)
    error = np.swapaxes(scores.error, 1, 2)[chosen]
    count = int(chosen.sum())
    return {
        "count": count,
        "mae": _mean(error),
        "median_ae": float(np.median(error)) if count else math.nan,
        "nll": _mean(np.swapaxes(scores.nll, 1, 2)[chosen]),
    }


def standard_error(means):
    """Standard error of the mean of independent numbers; NaN for fewer than two."""
    return float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else math.nan


def _mean(values):
    return float(values.mean(dtype=np.float64)) if values.size else math.nan


def _per_step(values, real):
    """Means over real particles, step by step, of `[W, T', N]` or `[W, T', N, D]`."""
    return [_mean(values[:, k][real[:, k]]) for k in range(values.shape[1])]


def _standard_error(values, real, simulations):
    """Standard error of the mean of `[W, T', N]` over simulations."""
    chosen = (simulations == number for number in np.unique(simulations))
    return standard_error([_mean(values[windows][real[windows]]) for windows in chosen])
