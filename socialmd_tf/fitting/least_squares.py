"""Penalized, reweighted least squares from normal equations, whose size does not depend on the amount of data."""

import dataclasses

import numpy as np
from scipy import linalg

_ROUNDS = 6
_CAUCHY = 2.385 * 1.4826 / 1.1774  # 95 % efficiency where residuals are normal; the median is that of a 2D length
_TINY = 1e-300


@dataclasses.dataclass(frozen=True)
class NormalEquations:
    """A = X' W X, b = X' W y and what else the solution needs."""

    matrix: np.ndarray
    """A `[P, P]`."""
    right: np.ndarray
    """b `[P]`."""
    squares: float
    """y' W y."""
    weight: float
    """Sum of the weights of all components of y."""
    scale: float
    """Size of a residual at which its weight is a half."""

    def of(self, chosen):
        """Those for some of the columns."""
        return dataclasses.replace(self, matrix=self.matrix[np.ix_(chosen, chosen)], right=self.right[chosen])


def accumulate(rows, coefficients, scale):
    """Normal equations with weights 1 / (1 + |residual|^2 / scale^2) of each particle and frame (Cauchy).

    Args:
        rows: Iterable of X `[..., D, P]` and y `[..., D]`.
        coefficients: Those that the residuals are taken with, `[P]`.
        scale: A length per squared frame; infinity weighs all the same.

    Returns:
        The `NormalEquations`.
    """
    size = len(coefficients)
    matrix, right, squares, weight = np.zeros((size, size)), np.zeros(size), 0.0, 0.0
    for columns, targets in rows:
        residual = np.linalg.norm(targets - columns @ coefficients, axis=-1)
        weights = 1 / (1 + (residual / scale) ** 2)
        root = np.repeat(np.sqrt(np.nan_to_num(weights)), targets.shape[-1])
        x = np.nan_to_num(columns).reshape(-1, size) * root[:, None]
        y = np.nan_to_num(targets).reshape(-1) * root
        matrix += x.T @ x
        right += x.T @ y
        squares += float(y @ y)
        weight += float(root @ root)
    return NormalEquations(matrix, right, squares, weight, scale)


def residual_lengths(rows, coefficients):
    """|y - X c| of each particle and frame, for S sets of coefficients `[P, S]`: list of `[W, T, N, S]`."""
    return [np.linalg.norm(targets[..., None] - columns @ coefficients, axis=-2) for columns, targets in rows]


def penalty(basis, equations, power=0):
    """Second differences of neighbouring spline coefficients, `[P, P]`, in units of the data's information.

    Args:
        basis: The `Basis`.
        equations: `NormalEquations` of the data.
        power: Power of the distance that coefficients are divided by first. With 0, forces proportional to r^-2 cost
            nothing; with 2, constant ones do not.
    """
    result = np.zeros_like(equations.matrix)
    if basis.knots.count == 1:
        return result
    differences = np.diff(np.eye(basis.knots.count), n=2, axis=0) / basis.knots.distances**power
    square = differences.T @ differences
    for name, block in basis.blocks.items():
        if name.startswith("pairs"):
            result[block, block] = square * (np.trace(equations.matrix[block, block]) / np.trace(square))
    return result


def solve(equations, penalties):
    """Coefficients `[P]` that minimize the weighted squares plus c' penalties c."""
    factor, scale = _factor(equations, penalties)
    return scale * linalg.cho_solve(factor, scale * equations.right)


def standard_errors(equations, penalties, coefficients):
    """Standard errors of the coefficients `[P]`, for independent residuals of variance s^2.

    The roots of the diagonal of s^2 H^-1 A H^-1, with H the matrix A plus the penalty.
    """
    factor, scale = _factor(equations, penalties)
    inverse = scale[:, None] * linalg.cho_solve(factor, np.diag(scale))
    rest = equations.squares - 2 * coefficients @ equations.right + coefficients @ equations.matrix @ coefficients
    variance = max(float(rest), 0.0) / max(equations.weight, 1.0)
    return np.sqrt(variance * np.maximum(np.sum(inverse @ equations.matrix * inverse, axis=1), 0.0))


def _factor(equations, penalties):
    """Cholesky factor of the equations, scaled to a unit diagonal and with a tiny ridge, and the scale `[P]`."""
    matrix = equations.matrix + penalties
    diagonal = np.diagonal(matrix)
    scale = 1 / np.sqrt(np.maximum(diagonal, 1e-14 * diagonal.max() + _TINY))
    scaled = matrix * scale[:, None] * scale
    ridge = 1e-14
    while True:
        try:
            return linalg.cho_factor(scaled + ridge * np.eye(len(scaled)), lower=True), scale
        except linalg.LinAlgError:
            ridge *= 10


def reweighted(rows, size, solver, start=None):
    """Iterate weights and solutions.

    The scale of the weights follows the median residual. Rows whose equations are inexact, those of close encounters
    above all, lose their weight to those that the model explains.

    Args:
        rows: Iterable of X and y, read twice per round and once before.
        size: P.
        solver: `NormalEquations` -> coefficients.
        start: Coefficients to begin with; None begins without weights.

    Returns:
        Coefficients `[P]` and the last `NormalEquations`.
    """
    coefficients = np.zeros(size) if start is None else start
    scale = np.inf if start is None else typical_residual(rows, coefficients)
    for _ in range(_ROUNDS):
        equations = accumulate(rows, coefficients, scale)
        coefficients = solver(equations)
        scale = typical_residual(rows, coefficients)
    return coefficients, equations


def typical_residual(rows, coefficients):
    """Residual at which a weight is a half."""
    lengths = [length.ravel() for length in residual_lengths(rows, coefficients[:, None])]
    lengths = np.concatenate(lengths)
    return _CAUCHY * float(np.median(lengths[np.isfinite(lengths) & (lengths > 0)])) + _TINY
