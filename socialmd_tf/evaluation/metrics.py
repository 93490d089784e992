"""How wrong predictions are, and whether their stated uncertainty is true."""

import dataclasses
import math

import keras
import numpy as np

from socialmd_tf import mixture
from socialmd_tf.layers import DensityLayout

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""Probabilities of the regions of the calibration curve."""


@keras.saving.register_keras_serializable(package="socialmd_tf")
class MeanAbsoluteError(keras.metrics.Mean):
    """Mean absolute error of the predicted mean, per coordinate, in units of length.

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
    """How far one predictor is off, number by number, over W windows."""

    nll: np.ndarray
    """Negative log likelihood of the true positions `[W, T', N]`, in nats."""
    error: np.ndarray
    """Absolute error of the predicted mean `[W, T', N, D]`, in units of length."""
    level: np.ndarray
    """Probability of the region where the predicted density is higher than at the true positions `[W, T', N]`."""
    mask: np.ndarray
    """`[W, N]`, 1 for real particles; nothing else counts."""

    @classmethod
    def concatenate(cls, parts):
        """Scores of batches, one after the other."""
        fields = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))

    @property
    def real(self):
        """Which of the numbers are of real particles `[W, T', N]`."""
        return np.broadcast_to(self.mask[:, None] > 0, self.nll.shape)

    def window_mae(self):
        """Mean absolute error of every window `[W]`."""
        error = self.error.mean(axis=-1, dtype=np.float64)
        return np.mean(error, axis=(1, 2), where=self.real)


def score(parameters, layout, targets, mask):
    """The `Scores` of a batch.

    Args:
        parameters: Predicted parameters `[B, T', N, P]`.
        layout: Their `DensityLayout`.
        targets: True positions `[B, T', N, D]`.
        mask: `[B, N]`.
    """
    targets = np.asarray(targets)
    error = np.abs(np.asarray(layout.mean(parameters)) - targets)
    nll = -np.asarray(mixture.distribution(parameters, layout).log_prob(targets))
    level = np.asarray(mixture.density_level(parameters, layout, targets))
    return Scores(nll, error, level, np.asarray(mask))


def summary(scores, trajectories, mean_move):
    """What the scores of all windows come to.

    The negative log likelihood of positions x in units of length becomes that of y = x / s, in units of one frame's
    mean move s, by the change of the density p(y) = p(x) s^D:

        -log p(y) = -log p(x) - D log s

    which no longer depends on the unit of length.

    Args:
        scores: The `Scores`.
        trajectories: For every window the trajectory it comes from, `[W]`. Windows of one trajectory are not
            independent, so the standard errors are those of the mean over trajectories.
        mean_move: Mean Euclidean distance between two frames of the true windows, s.

    Returns:
        Dictionary of `nll` (nats per particle and step) and `nll_per_move`, `mae` and `median_ae` (per coordinate),
        `ade` and `fde` (Euclidean, over all and at the last step), `coverage_50`, `coverage_90` (share of true
        positions inside the predicted highest density region of that probability), `calibration` (the same at
        many `levels`), lists of T' numbers `mae_per_step`, `nll_per_step`, `coverage_50_per_step` and
        `coverage_90_per_step`, and `nll_standard_error`, `mae_standard_error`; lengths in the unit of the data.
    """
    nll, error, level, real = scores.nll, scores.error, scores.level, scores.real
    distance = np.sqrt(np.square(error).sum(axis=-1))
    mean_nll = _mean(nll[real])
    return {
        "nll": mean_nll,
        "nll_standard_error": _standard_error(nll, real, trajectories),
        "nll_per_move": mean_nll - error.shape[-1] * math.log(mean_move) if mean_move > 0 else math.nan,
        "mean_move": mean_move,
        "mae": _mean(error[real]),
        "mae_standard_error": _standard_error(error.mean(axis=-1), real, trajectories),
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


def stratum(scores, chosen):
    """The scores of some particles of some windows.

    Args:
        scores: The `Scores`.
        chosen: Which particles `[W, N]`; padding never counts.

    Returns:
        Dictionary of `count` (particles, each counted once a window), `mae`, `median_ae` and `nll` over all their
        steps; NaN where there is none.
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


def _mean(values):
    return float(values.mean(dtype=np.float64)) if values.size else math.nan


def _per_step(values, real):
    """Means of `[W, T', N]` or `[W, T', N, D]` over real particles, step by step."""
    return [_mean(values[:, k][real[:, k]]) for k in range(values.shape[1])]


def _standard_error(values, real, trajectories):
    """Standard error of the mean of `[W, T', N]` over trajectories; NaN for a single one."""
    names = np.unique(trajectories)
    means = [_mean(values[trajectories == name][real[trajectories == name]]) for name in names]
    if len(means) < 2:
        return math.nan
    return float(np.std(means, ddof=1) / np.sqrt(len(means)))
