"""Several drawn paths of each window, and their mean and covariance: what a model of random motion predicts."""

import numpy as np

NUM_PATHS = 16
"""Paths whose mean and covariance are predicted, at least."""


def draw_paths(model, positions, features, horizon, num_samples, seed, mask=None, known=None):
    """Draw several paths of each window.

    Args:
        model: An `ExportedModel`.
        positions: Observed frames `[B, T, N, D]`, in units of length.
        features: `[B, N, F]`.
        horizon: Number of frames to predict.
        num_samples: S.
        seed: An integer.
        mask: `[B, N]`, or None.
        known: As for `ExportedModel.moments`.

    Returns:
        `[B, S, horizon, N, D]`.
    """

    def repeated(values):
        return None if values is None else np.repeat(values, num_samples, axis=0)

    rows = {name: repeated(values) for name, values in (known or {}).items()}
    drawn = model.paths(repeated(positions), repeated(features), horizon, (seed, 0), repeated(mask), rows)
    return drawn.reshape(-1, num_samples, *drawn.shape[1:])


def moments(drawn):
    """Mean `[B, T', N, D]` and covariance `[B, T', N, D, D]` of drawn paths `[B, S, T', N, D]`, S >= 2."""
    mean = drawn.mean(axis=1)
    apart = drawn - mean[:, None]
    return mean, np.einsum("bs...i,bs...j->b...ij", apart, apart) / (drawn.shape[1] - 1)
