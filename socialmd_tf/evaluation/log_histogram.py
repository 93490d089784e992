"""Distributions of lengths in bounded memory."""

import math

import numpy as np

_LOWEST, _HIGHEST = -39, 39  # decades: all that float32 positions can span, whatever their unit
_PER_DECADE = 100


class LogHistogram:
    """Histogram of lengths with 100 logarithmic bins per decade, from 1e-39 to 1e39.

    Every bin also keeps the sum of its lengths, so means are exact. The first bin takes all shorter lengths, zero
    among them; the last bin takes all longer ones.
    """

    def __init__(self):
        size = (_HIGHEST - _LOWEST) * _PER_DECADE
        self.counts = np.zeros(size)
        self.sums = np.zeros(size)

    def add(self, lengths):
        """Count an array of lengths; NaN and infinity are not counted."""
        lengths = np.asarray(lengths)[np.isfinite(lengths)]
        with np.errstate(divide="ignore"):
            places = np.floor((np.log10(lengths) - _LOWEST) * _PER_DECADE)
        bins = np.clip(places, 0, len(self.counts) - 1).astype(np.int64)
        if not bins.size:
            return
        first = bins.min()
        counts = np.bincount(bins - first)  # a few of the 7800 bins
        self.counts[first : first + len(counts)] += counts
        self.sums[first : first + len(counts)] += np.bincount(bins - first, lengths)

    def join(self, other):
        """Add the lengths of another histogram."""
        self.counts += other.counts
        self.sums += other.sums

    def mean(self):
        """Mean length; NaN if there is none."""
        count = self.counts.sum()
        return float(self.sums.sum() / count) if count else math.nan

    def weighted(self):
        """Mean length and count of every bin that is not empty, two arrays."""
        seen = self.counts > 0
        return self.sums[seen] / self.counts[seen], self.counts[seen]

    def shells(self, per_decade=20):
        """Edges `[M + 1]` of coarser bins and their counts `[M]`.

        Args:
            per_decade: Number of bins per decade, a divisor of 100.
        """
        counts = self.counts.reshape(-1, _PER_DECADE // per_decade).sum(axis=1)
        edges = 10.0 ** np.linspace(_LOWEST, _HIGHEST, len(counts) + 1)
        return edges, counts
