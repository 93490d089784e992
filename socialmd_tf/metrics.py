"""How wrong predictions are, and whether their stated uncertainty is true."""

import dataclasses

import keras
import numpy as np

from socialmd_tf import mixture
from socialmd_tf.layers import DensityLayout


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


def evaluate(predictor, layout, batches, clusters):
    """Judge a predictor on windows, in free rollout.

    Args:
        predictor: A function of a batch's input dictionary that gives parameters `[B, T', N, P]`.
        layout: The `DensityLayout` of these parameters.
        batches: Iterable of batches, unrotated and in the order of the split's windows.
        clusters: For every window the trajectory it comes from, `[W]`. Windows of one trajectory are not
            independent, so the standard errors are those of the mean over trajectories.

    Returns:
        Dictionary of `nll` (nats per particle and step), `mae` and `median_ae` (per coordinate), `ade` and `fde`
        (Euclidean, over all and at the last step), `mae_per_step`, `coverage_50`, `coverage_90` (share of true
        positions inside the predicted highest density region of that probability), and `nll_standard_error`,
        `mae_standard_error`; lengths in the unit of the data.
    """
    parts = [_judge(np.asarray(predictor(inputs)), layout, inputs, targets) for inputs, targets in batches]
    nll, error, distance, level, mask = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    real = np.broadcast_to(mask[:, None] > 0, nll.shape)
    return {
        "nll": float(nll[real].mean(dtype=np.float64)),
        "nll_standard_error": _standard_error(nll, real, clusters),
        "mae": float(error[real].mean(dtype=np.float64)),
        "mae_standard_error": _standard_error(error.mean(axis=-1), real, clusters),
        "median_ae": float(np.median(error[real])),
        "ade": float(distance[real].mean(dtype=np.float64)),
        "fde": float(distance[:, -1][real[:, -1]].mean(dtype=np.float64)),
        "mae_per_step": [float(error[:, k][real[:, k]].mean(dtype=np.float64)) for k in range(error.shape[1])],
        "coverage_50": float((level[real] <= 0.5).mean()),
        "coverage_90": float((level[real] <= 0.9).mean()),
    }


def _judge(parameters, layout, inputs, targets):
    """Of one batch: nll `[B, T', N]`, errors `[B, T', N, D]`, distances and density levels `[B, T', N]`, mask."""
    targets = np.asarray(targets)
    error = np.abs(np.asarray(layout.mean(parameters)) - targets)
    nll = -np.asarray(mixture.distribution(parameters, layout).log_prob(targets))
    level = np.asarray(mixture.density_level(parameters, layout, targets))
    return nll, error, np.sqrt(np.square(error).sum(axis=-1)), level, np.asarray(inputs["mask"])


def _standard_error(values, real, clusters):
    """Standard error of the mean of `[W, T', N]` over trajectories; NaN for a single one."""
    names = np.unique(clusters)
    means = [values[clusters == name][real[clusters == name]].mean(dtype=np.float64) for name in names]
    if len(means) < 2:
        return float("nan")
    return float(np.std(means, ddof=1) / np.sqrt(len(means)))


def table(results):
    """A table of predictors for people.

    Args:
        results: Dictionary of name -> what `evaluate` returns.

    Returns:
        Lines of text, Markdown too.
    """
    header = ("predictor", "NLL", "MAE", "median AE", "ADE", "FDE", "50 % region", "90 % region")
    rows = [header, ("---",) + ("---:",) * (len(header) - 1)]
    for name, result in results.items():
        rows.append(
            (
                name,
                f"{result['nll']:.3f} ± {result['nll_standard_error']:.3f}",
                f"{result['mae']:.4f} ± {result['mae_standard_error']:.4f}",
                *(f"{result[key]:.4f}" for key in ("median_ae", "ade", "fde")),
                *(f"{100 * result[key]:.1f} %" for key in ("coverage_50", "coverage_90")),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )
