"""Predictions that need no network: what a model has to beat."""

import math

import numpy as np

from socialmd_tf.layers import DensityLayout


class Extrapolation:
    """Extrapolate the last observed frames by a polynomial in time, with a Gaussian of fitted width around it.

    Order 0 is constant position, x_T; order 1 constant velocity, x_T + k (x_T - x_{T-1}); order 2 constant
    acceleration; in general the polynomial through the last order + 1 frames, k frames ahead:
    sum_j C(k + j - 1, j) (nabla^j x)_T, with the backward differences nabla^j x (Newton).

    The width of step k is the maximum likelihood one on the training split:
    sigma_k^2 = mean over windows, particles and coordinates of the squared error.

    Args:
        order: Order of the polynomial.
    """

    def __init__(self, order):
        self.order = order
        self.widths = None

    def mean(self, positions, rollout_steps):
        """Extrapolate `[B, T, N, D]` to `[B, T', N, D]`; T must be at least order + 1."""
        steps = np.arange(1, rollout_steps + 1)
        predicted = 0.0
        for j in range(self.order + 1):
            difference = np.diff(positions[:, -(j + 1) :], n=j, axis=1)
            weights = np.array([math.comb(int(k) + j - 1, j) for k in steps], positions.dtype)
            predicted = predicted + weights[:, None, None] * difference
        return predicted

    def fit(self, batches):
        """Fit the widths.

        Args:
            batches: Iterable of the training split's batches, unrotated or not.

        Returns:
            Itself.
        """
        total, count = 0.0, 0.0
        for inputs, targets in batches:
            positions, targets, mask = np.asarray(inputs["positions"]), np.asarray(targets), np.asarray(inputs["mask"])
            error = np.square(self.mean(positions, targets.shape[1]) - targets) * mask[:, None, :, None]
            total = total + error.sum(axis=(0, 2, 3), dtype=np.float64)
            count += mask.sum() * targets.shape[-1]
        self.widths = np.sqrt(total / count)
        return self

    def __call__(self, inputs):
        """Predict a batch.

        Args:
            inputs: The batch's input dictionary.

        Returns:
            Parameters `[B, T', N, P]` in the order of `self.layout(D)`.
        """
        mean = self.mean(np.asarray(inputs["positions"]), len(self.widths))
        scales = np.broadcast_to(self.widths[:, None, None], mean.shape)
        return np.concatenate([mean, scales], axis=-1).astype(np.float32)

    def layout(self, num_dimensions):
        """The order of the parameters: one Gaussian without correlation."""
        return DensityLayout(num_dimensions, 1, False)


BASELINES = {
    "constant_position": 0,
    "constant_velocity": 1,
    "constant_acceleration": 2,
}
"""Name and order of every baseline."""
