"""Factors of covariance matrices: from free numbers, and of matrices whose smallest deviation has a floor."""

import itertools

from keras import ops

_MAX_CORRELATION = 0.999  # keeps the covariance invertible in float32
_RELATIVE_FLOOR = 1e-5  # of a variance: well above the rounding of float32, which can make a covariance indefinite


def factor_entries(raw, num_dimensions):
    """Factor of a covariance from free numbers: standard deviations s and partial correlations r.

    s = softplus(raw) and r = 0.999 tanh(raw), and the factor has the rows

        L[i] = s_i (r_i1, r_i2 sqrt(1 - r_i1^2), ..., sqrt(1 - r_i1^2) sqrt(1 - r_i2^2) ...)

    so that in 2D L = [[s_1, 0], [rho s_2, sqrt(1 - rho^2) s_2]] with the correlation rho (thesis section 2.5). In any
    number of dimensions, the standard deviations are s (Lewandowski, Kurowicka and Joe 2009).

    Args:
        raw: D numbers for the standard deviations, then those for the partial correlations, row by row,
            `[..., D (D + 1) / 2]`.
        num_dimensions: D.

    Returns:
        Lower triangle of L, row by row, `[..., D (D + 1) / 2]`.
    """
    deviations = ops.softplus(raw[..., :num_dimensions])
    correlations = iter(ops.unstack(_MAX_CORRELATION * ops.tanh(raw[..., num_dimensions:]), axis=-1))
    entries = []
    for row in range(num_dimensions):
        remaining = deviations[..., row]
        for correlation in itertools.islice(correlations, row):
            entries.append(correlation * remaining)
            remaining = remaining * ops.sqrt(1.0 - ops.square(correlation))
        entries.append(remaining)
    return ops.stack(entries, axis=-1)


def floored_factor(covariances, scale_floor):
    """Cholesky factor of C + scale_floor^2 I.

    The standard deviation along every direction is at least `scale_floor`. Each variance also grows by 1e-5 of itself,
    so that rounding cannot make the matrix indefinite.

    Args:
        covariances: C, symmetric, `[..., D, D]`, in units of length squared.
        scale_floor: Smallest standard deviation, in units of length.

    Returns:
        Lower triangle of the factor, row by row, `[..., D (D + 1) / 2]`, in units of length.
    """
    size = covariances.shape[-1]
    factor = {}
    # Written out: the library's Cholesky stops the whole program where a matrix is indefinite.
    for row in range(size):
        added = scale_floor**2 + _RELATIVE_FLOOR * covariances[..., row, row]
        for column in range(row + 1):
            rest = covariances[..., row, column] + (added if row == column else 0.0)
            for k in range(column):
                rest = rest - factor[row, k] * factor[column, k]
            if row == column:
                factor[row, column] = ops.sqrt(ops.maximum(rest, added))
            else:
                factor[row, column] = rest / factor[column, column]
    return ops.stack([factor[row, column] for row in range(size) for column in range(row + 1)], axis=-1)
