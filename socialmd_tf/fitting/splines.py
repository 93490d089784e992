"""Cubic B-splines of the logarithm of a distance."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Knots:
    """Uniform knots in log r between two distances.

    Args:
        nearest: Smallest distance of the range; nearer, the splines keep the value they have here.
        farthest: Largest distance of the range; farther likewise.
        count: K, number of splines; the range is divided into K - 3 intervals. 1 for a constant instead of splines.
    """

    nearest: float
    farthest: float
    count: int

    def place(self, distances):
        """Number of the first of the four splines that are not 0 at distances, and the place in its interval."""
        if self.count == 1:
            return np.zeros(np.shape(distances), np.int32), np.zeros(np.shape(distances))
        scaled = np.log(distances / self.nearest) * ((self.count - 3) / np.log(self.farthest / self.nearest))
        scaled = np.clip(scaled, 0.0, self.count - 3)
        first = np.minimum(scaled.astype(np.int32), self.count - 4)
        return first, scaled - first

    def values(self, distances):
        """Number of the first spline that is not 0 at distances `[M]`, and the values of all that are not 0 `[M, 4]`.

        Of a constant the only value, 1: `[M, 1]`.
        """
        first, place = self.place(distances)
        return first, np.ones((len(distances), 1)) if self.count == 1 else spline_values(place)

    @property
    def distances(self):
        """Distances at which the splines have their maxima `[K]`; the outer two lie beyond the range."""
        steps = (np.arange(self.count) - 1) / (self.count - 3)
        return self.nearest * (self.farthest / self.nearest) ** steps


def spline_values(place):
    """Values of the four splines at places `[...]` in an interval, from 0 to 1: `[..., 4]`."""
    f, g = place, 1 - place
    f2, g2 = f * f, g * g
    f3, g3 = f * f2, g * g2  # much faster than powers
    return np.stack([g3, 3 * f3 - 6 * f2 + 4, 3 * g3 - 6 * g2 + 4, f3], axis=-1) / 6


def interval_polynomials(coefficients):
    """Splines with coefficients `[K]` as polynomials of the place in each interval `[K - 3, 4]`, constant first.

    A single coefficient is a constant, `[1, 4]`.
    """
    if len(coefficients) == 1:
        return np.pad(coefficients, (0, 3))[None]
    a, b, c, d = (coefficients[k : len(coefficients) - 3 + k] for k in range(4))
    return np.stack([a + 4 * b + c, 3 * (c - a), 3 * (a - 2 * b + c), d - 3 * c + 3 * b - a], axis=-1) / 6


def polynomial_values(table, first, place):
    """Values `[M]` at places in the intervals `first`, each `[M]`, of polynomials `[4, K - 3]`, constant first."""
    constant, linear, square, cube = table[:, first]
    return constant + place * (linear + place * (square + place * cube))
