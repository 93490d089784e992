"""Distributions of lengths in bounded memory."""

import math

import numpy as np

_LOWEST, _HIGHEST = -12, 12
_PER_DECADE = 100
_PER_SHELL = 5


class Histogram:
    """Lengths of any size, counted in bins of equal ratio: 100 a decade, from 1e-12 to 1e12.

    Every bin also keeps the sum of what fell into it, so that means are exact; longer and shorter lengths, zero
    among them, count in the first and last bin.
    """

    def __init__(self):
        size = (_HIGHEST - _LOWEST) * _PER_DECADE
        self.counts = np.zeros(size)
        self.sums = np.zeros(size)

    def add(self, lengths):
        """Count an array of lengths; what is not finite does not count."""
        lengths = lengths[np.isfinite(lengths)]
        with np.errstate(divide="ignore"):
            places = np.floor((np.log10(lengths) - _LOWEST) * _PER_DECADE)
        bins = np.clip(places, 0, len(self.counts) - 1).astype(np.int64)
        self.counts += np.bincount(bins, minlength=len(self.counts))
        self.sums += np.bincount(bins, lengths, minlength=len(self.counts))

    def mean(self):
        """Mean length; NaN without any."""
        count = self.counts.sum()
        return float(self.sums.sum() / count) if count else math.nan

    def weighted(self):
        """Mean length and count of the bins that hold something, two arrays."""
        seen = self.counts > 0
        return self.sums[seen] / self.counts[seen], self.counts[seen]

    def shells(self):
        """Edges `[M + 1]` of coarser bins, 20 a decade, and their counts `[M]`."""
        counts = self.counts.reshape(-1, _PER_SHELL).sum(axis=1)
        edges = 10.0 ** np.linspace(_LOWEST, _HIGHEST, len(counts) + 1)
        return edges, counts
