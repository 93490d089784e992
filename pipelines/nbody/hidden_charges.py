"""Inference of hidden charges of +-1 from observed positions."""

import numpy as np

from pipelines.nbody.forces import Array

_ROUNDS = 2
_FLOOR = 0.03
_RIDGE = 1e-3
_DOUBT = 10.0
_TINY = np.finfo(float).tiny


def infer_charges(frames: Array, softening: float, exponent: float = 2.0) -> Array:
    """Infer the signs of charges with pair forces q_i q_j / r^p, up to one common sign per system.

    With the second differences a_i(t) = x_i(t+1) - 2 x_i(t) + x_i(t-1), least squares over the frames and a small ridge
    give the couplings c_ij of every particle in

        a_i(t) = -sum over j of c_ij d / (|d|^2 + softening^2)^((p + 1) / 2),   d = r_j - r_i

    Forces of close encounters change within a frame and walls reflect particles, so the equations are weighted by
    sigma^2 / (sigma^2 + |residual|^2) with sigma = 0.03 times the median |a| of the system. The residual is a itself
    in the first round and the residual of the first fit in the second. c_ij and c_ji are averaged with their
    precisions, the diagonals of the normal equations, as weights. The charges are the signs of the leading
    eigenvector of tanh(c_ij / (10 sigma_ij)), where sigma_ij is sigma divided by the root of the sum of both
    precisions: the products q_i q_j then agree best with all couplings.

    Args:
        frames: Observed positions `[S, T, N, D]` of S systems, T at least 3, N at least 2.
        softening: Length below which the force flattens, such as a tenth of the usual distance.
        exponent: p.

    Returns:
        Signs `[S, N]`, -1 or 1; that of the first particle is 1.
    """
    frames = np.asarray(frames, np.float64)
    accelerations = np.diff(frames, n=2, axis=1)
    unit = _unit_accelerations(frames[:, 1:-1], softening, exponent)
    vectors = np.linalg.eigh(np.tanh(_fit(accelerations, unit) / _DOUBT))[1][..., -1]
    signs = np.where(vectors < 0, -1.0, 1.0)
    return signs * signs[:, :1]


def _unit_accelerations(positions: Array, softening: float, exponent: float) -> Array:
    """Accelerations of i due to j for a coupling of 1, `[S, T, N, N, D]`."""
    displacement = positions[:, :, None] - positions[:, :, :, None]
    squared = np.sum(displacement**2, axis=-1, keepdims=True) + softening**2
    return -displacement / squared ** ((exponent + 1) / 2)


def _fit(accelerations: Array, unit: Array) -> Array:
    """Couplings in units of their standard deviations, `[S, N, N]`, symmetric, 0 for i = j."""
    size = np.linalg.norm(accelerations, axis=-1)
    sigma = _FLOOR * np.median(size, axis=(1, 2))[:, None, None] + _TINY
    residual = size
    for _ in range(_ROUNDS):
        weighted = unit * ((sigma / np.hypot(sigma, residual)) ** 2)[..., None, None]
        normal = np.einsum("stijd,stikd->sijk", weighted, unit, optimize=True)
        right = np.einsum("stijd,stid->sij", weighted, accelerations, optimize=True)
        precision = np.diagonal(normal, axis1=-2, axis2=-1)
        ridge = _RIDGE * np.mean(precision, axis=-1)[..., None, None] + _TINY
        couplings = np.linalg.solve(normal + ridge * np.eye(normal.shape[-1]), right[..., None])[..., 0]
        both = precision * couplings
        total = precision + precision.swapaxes(1, 2) + _TINY
        couplings = (both + both.swapaxes(1, 2)) / total
        residual = np.linalg.norm(accelerations - np.einsum("sij,stijd->stid", couplings, unit), axis=-1)
    return couplings * np.sqrt(total) / sigma
