"""Densities of single frames after true ones: what can be said of a density that is meant for draws."""

import numpy as np

from socialmd_tf.evaluation import metrics

_MOST_FRAMES = 8


def score(predictor, batch, windows):
    """Score the density of a frame after true ones, at up to eight frames, evenly spread over the predicted ones.

    Args:
        predictor: The `Predictor`.
        batch: A `Batch`.
        windows: The `CommonWindows`.

    Returns:
        `Scores` of these frames in place of T'; None if the predictor steps by other frames than the common ones. With
        observed velocities, which are known up to the last observed frame, it is only the next one.
    """
    if predictor.windows.subsample != windows.spacing:
        return None
    inputs, last = batch.inputs(predictor.windows), windows.num_steps - 1
    spread = np.unique(np.linspace(0, last, min(last + 1, _MOST_FRAMES)).round().astype(int))
    parts = []
    for step in [0] if "velocities" in inputs else spread:
        positions = np.concatenate([inputs["positions"], batch.targets[:, :step]], axis=1)
        parameters = np.asarray(predictor.next_frame({**inputs, "positions": positions}))
        parts.append(metrics.score(parameters, predictor.layout, batch.targets[:, step : step + 1], batch.mask))
    joined = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("nll", "error", "level"))
    return metrics.Scores(*joined, batch.mask)


def summary(tally, simulations):
    """The numbers of a predictor's scores of single frames: likelihood and coverage.

    Args:
        tally: The `metrics.Tally` of its `Scores` of all windows.
        simulations: As for `Tally.summary`.
    """
    found = tally.summary(simulations, 1.0)
    names = ("nll", "nll_standard_error", "coverage_50", "coverage_90")
    return {f"one_frame_{name}": found[name] for name in names}
