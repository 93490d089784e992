"""Predictions without a network: simple ones that a model must beat, and one that it can hardly beat."""

import math

import numpy as np

from socialmd_tf.layers import DensityLayout


class FittedGaussian:
    """A point prediction with a Gaussian of fitted width around it.

    The width of step k is the maximum likelihood estimate on training windows: sigma_k^2 is the mean squared error
    over windows, particles and coordinates. It is at least the rounding of float32 positions, so that an exact
    prediction still has a density.

    Args:
        mean: Function of a batch's input dictionary and T' that returns positions `[B, T', N, D]`.
    """

    def __init__(self, mean):
        self.mean = mean
        self.widths = None
        self.layout = None

    def fit(self, batches):
        """Fit the widths.

        Args:
            batches: Iterable of (inputs, targets `[B, T', N, D]`) of the training split.

        Returns:
            This object.
        """
        total, count, largest = 0.0, 0.0, 0.0
        for inputs, targets in batches:
            targets, mask = np.asarray(targets), np.asarray(inputs["mask"])
            real = mask[:, None, :, None] > 0
            error = np.square(np.where(real, self.mean(inputs, targets.shape[1]) - targets, 0.0))
            total = total + error.sum(axis=(0, 2, 3), dtype=np.float64)
            count += mask.sum() * targets.shape[-1]
            largest = max(largest, np.abs(targets * real).max())
        rounding = np.finfo(np.float32).eps * max(largest, np.finfo(np.float32).tiny)
        self.widths = np.maximum(np.sqrt(total / count), rounding)
        self.layout = DensityLayout(targets.shape[-1], 1, False)
        return self

    def __call__(self, inputs):
        """Predict a batch.

        Args:
            inputs: The batch's input dictionary.

        Returns:
            Parameters `[B, T', N, P]` in the order of `self.layout`: one uncorrelated Gaussian.
        """
        mean = self.mean(inputs, len(self.widths))
        scales = np.broadcast_to(self.widths[:, None, None], mean.shape)
        return np.concatenate([mean, scales], axis=-1).astype(np.float32)


def extrapolate(order, inputs, rollout_steps):
    """Extrapolate the last observed frames by a polynomial in time.

    Order 0 is constant position, x_T; order 1 constant velocity, x_T + k (x_T - x_{T-1}); order 2 constant
    acceleration; in general the polynomial through the last order + 1 frames, k frames ahead:
    sum_j C(k + j - 1, j) (nabla^j x)_T, with the backward differences nabla^j x (Newton).

    Args:
        order: Order of the polynomial.
        inputs: Input dictionary with `positions` `[B, T, N, D]`; T must be at least order + 1.
        rollout_steps: T'.

    Returns:
        Positions `[B, T', N, D]`.
    """
    positions = np.asarray(inputs["positions"])
    steps = np.arange(1, rollout_steps + 1)
    predicted = 0.0
    for j in range(order + 1):
        difference = np.diff(positions[:, -(j + 1) :], n=j, axis=1)
        weights = np.array([math.comb(int(k) + j - 1, j) for k in steps], positions.dtype)
        predicted = predicted + weights[:, None, None] * difference
    return predicted


def integrate(forces, interval, batch_size, inputs, rollout_steps):
    """Integrate the true equations of motion from the last two observed frames, see `KnownForces.continue_from`.

    Where velocities are observed, from the last frame.

    Args:
        forces: The `KnownForces`.
        interval: Time between two of the model's frames.
        batch_size: Number of systems that the integrator is compiled for; smaller batches are filled up to it.
        inputs: Input dictionary with `positions` `[B, T, N, D]`, `features` `[B, N, F]`, `mask` `[B, N]` and, as far
            as the data have them, `edges` `[B, N, N]` and `velocities` `[B, T, N, D]`, per frame.
        rollout_steps: T'.

    Returns:
        Positions `[B, T', N, D]`.
    """
    count = len(inputs["mask"])
    filled = np.arange(max(count, batch_size)) % count
    velocities = None
    if "velocities" in inputs:
        velocities = np.asarray(inputs["velocities"], np.float64)[filled, -1] / interval
    return forces.continue_from(
        np.asarray(inputs["positions"], np.float64)[filled, -2:],
        np.asarray(inputs["features"], np.float64)[filled],
        np.asarray(inputs["mask"])[filled] > 0,
        np.asarray(inputs["edges"])[filled] if "edges" in inputs else None,
        interval=interval,
        num_frames=rollout_steps,
        velocities=velocities,
    )[:count]
