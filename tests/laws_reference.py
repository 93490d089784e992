"""Slow, readable definition of the accelerations of `socialmd_tf.fitting.basis` and of its layers."""

import itertools
import math

import numpy as np
from scipy.interpolate import BSpline


def nearest_image(displacement, cell):
    """The shortest of the images of a displacement `[D]`, by trying the neighbouring cells."""
    if cell is None:
        return displacement
    shifts = itertools.product((-2, -1, 0, 1, 2), repeat=len(displacement))
    return min((displacement + np.array(shift) @ cell for shift in shifts), key=np.linalg.norm)


def spline(coefficients, nearest, farthest, distance):
    """Cubic spline in log r with uniform knots; outside the range it keeps its values at the ends."""
    count = len(coefficients)
    spacing = math.log(farthest / nearest) / (count - 3)
    knots = math.log(nearest) + spacing * (np.arange(count + 4) - 3)
    log_distance = min(max(math.log(distance), math.log(nearest)), math.log(farthest))
    if log_distance == math.log(farthest):
        return float((coefficients[-3] + 4 * coefficients[-2] + coefficients[-1]) / 6)
    return float(BSpline(knots, coefficients, 3)(log_distance))


def switch(distance, cutoff):
    if distance >= cutoff:
        return 0.0
    z = max((distance / cutoff - 0.9) / 0.1, 0.0)
    return 1 - 10 * z**3 + 15 * z**4 - 6 * z**5


def pair_accelerations(positions, mask, weights, coefficients, nearest, farthest, core, cutoff=math.inf, cell=None):
    """a_i = sum over j and c of w_c(i, j) S(r) g_c(log r) d / max(r, core)^3 of one system, `[N, D]`.

    Args:
        positions: `[N, D]`.
        mask: `[N]`.
        weights: w `[C, N, N]`.
        coefficients: `[C, K]`.
        nearest: First distance of the range of knots.
        farthest: Last one.
        core: Distance below which the divisor is constant.
        cutoff: Distance beyond which there is no force.
        cell: `[D, D]` or None.
    """
    result = np.zeros(positions.shape)
    for i, j in itertools.permutations(range(len(positions)), 2):
        if not (mask[i] and mask[j]):
            continue
        d = nearest_image(positions[j] - positions[i], cell)
        r = math.hypot(*d)
        g = sum(w[i, j] * spline(c, nearest, farthest, r) for w, c in zip(weights, coefficients, strict=True))
        result[i] += switch(r, cutoff) * g * d / max(r, core) ** 3
    return result


def field(position, coefficients, center, length):
    """Polynomial of degree 3 `[D]` at a position `[D]`: coefficients `[D, Q]`, exponents in lexicographic order."""
    scaled = (position - np.asarray(center)) / length
    exponents = [e for e in itertools.product(range(4), repeat=len(position)) if sum(e) <= 3]
    monomials = [math.prod(x**n for x, n in zip(scaled, e, strict=True)) for e in exponents]
    return coefficients @ np.array(monomials)
