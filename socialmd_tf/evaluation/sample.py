"""A random sample of a stream of numbers, in bounded memory."""

import math

import numpy as np

_SAMPLE = 4_000_000


class Sample:
    """A random sample of a stream of numbers: all of them up to 4 million, at least half as many of more.

    The choice depends on the number of numbers only, so it is the same for all predictors.
    """

    def __init__(self):
        self._parts, self._size, self._share = [], 0, 1.0
        self._generator = np.random.default_rng(0)

    def add(self, values):
        """Add numbers `[M]`."""
        if self._share < 1.0:
            values = values[self._generator.random(len(values)) < self._share]
        self._parts.append(np.array(values))
        self._size += len(values)
        self._thin()

    def join(self, other):
        """Add the numbers of another sample, which is used up."""
        while self._share != other._share:
            max(self, other, key=lambda each: each._share)._halve()
        self._parts += other._parts
        self._size += other._size
        self._thin()

    def _thin(self):
        while self._size > _SAMPLE:
            self._halve()

    def _halve(self):
        """Keep each number with a probability of a half."""
        whole = np.concatenate(self._parts) if self._parts else np.zeros(0)
        self._parts = [whole[self._generator.random(len(whole)) < 0.5]]
        self._size, self._share = len(self._parts[0]), self._share / 2

    def median(self):
        """Median of the sample; NaN if it is empty."""
        return float(np.median(np.concatenate(self._parts))) if self._size else math.nan
