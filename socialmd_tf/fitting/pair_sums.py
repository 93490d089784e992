"""Accelerations by the pair terms of a law, for rollouts, which need them many thousand times."""

import numpy as np

from pipelines.boxes import nearest_image
from pipelines.neighbors import VerletList
from socialmd_tf.fitting.basis import listed_pairs
from socialmd_tf.fitting.splines import interval_polynomials, polynomial_values


class PairSums:
    """Accelerations of W systems by pairs.

    Polynomials and weights are computed once, and each pair is looked at once for both its particles. Of constants
    instead of curves, what a pair contributes is known apart from its distance.

    Args:
        basis: The `Basis`.
        curves: Coefficients of each of its channels, C arrays `[K]`.
        features: `[W, N, F]`.
        edges: `[W, N, N]` or `[W, 1, 1]`.
        mask: `[W, N]`.
        cell: `[W, D, D]` or None.
    """

    def __init__(self, basis, curves, features, edges, mask, cell):
        self._basis, self._cell = basis, cell
        self._i, self._j = np.triu_indices(mask.shape[1], 1)
        self._tables = [np.ascontiguousarray(interval_polynomials(curve).T) for curve in curves]
        both = mask[:, self._i] & mask[:, self._j]
        weights = [channel.weights(features, edges) for channel in basis.channels]
        ends = (self._i, self._j), (self._j, self._i)
        self._on = [[np.where(both, w[:, a, b], 0.0) for w in weights] for a, b in ends]
        self._constants = None
        if basis.knots.count == 1:
            self._constants = [sum(c[0] * to for c, to in zip(curves, on, strict=True)) for on in self._on]

    def __call__(self, positions, chosen):
        """Accelerations `[B, N, D]` at positions `[B, N, D]` of these B of the systems."""
        basis, shape = self._basis, positions.shape
        displacements = self._displacements(positions, chosen)
        squared = np.einsum("dm,dm->m", displacements, displacements)
        near = np.nonzero(squared < basis.cutoff**2)[0] if np.isfinite(basis.cutoff) else slice(None)
        # Two particles in one place have no direction; any distance but 0 makes their force 0.
        distances = np.sqrt(np.maximum(squared[near], 1e-300))
        on_i, on_j = self._factors(distances, chosen, near)
        strength, displacements = basis.strength(distances), displacements[:, near]
        result = self._sums(self._i, on_i * strength * displacements, near, shape)
        result -= self._sums(self._j, on_j * strength * displacements, near, shape)
        return result if np.isinf(basis.limit) else np.clip(result, -basis.limit, basis.limit)

    def _factors(self, distances, chosen, near):
        """Sums over the channels of curve times weight, for both particles of the pairs that are near `[M]`."""
        if self._constants is not None:
            return [constants[chosen].ravel()[near] for constants in self._constants]
        first, place = self._basis.knots.place(distances)
        on_i, on_j = np.zeros_like(distances), np.zeros_like(distances)
        for table, to_i, to_j in zip(self._tables, *self._on, strict=True):
            values = polynomial_values(table, first, place)
            on_i += values * to_i[chosen].ravel()[near]
            on_j += values * to_j[chosen].ravel()[near]
        return on_i, on_j

    def _displacements(self, positions, chosen):
        """r_j - r_i of the pairs i < j of these systems `[D, M]`."""
        x = np.moveaxis(positions, -1, 0)
        displacements = x[..., self._j] - x[..., self._i]
        if self._cell is not None:
            displacements = np.moveaxis(nearest_image(np.moveaxis(displacements, 0, -1), self._cell[chosen]), -1, 0)
        return displacements.reshape(len(displacements), -1)

    @staticmethod
    def _sums(particles, pulls, near, shape):
        """Sums `[B, N, D]` of the pulls `[D, M]` on these particles of the pairs."""
        rows = (np.arange(shape[0])[:, None] * shape[1] + particles).ravel()[near]
        sums = [np.bincount(rows, pull, shape[0] * shape[1]) for pull in pulls]
        return np.stack(sums, axis=-1).reshape(shape)


class ListedPairSums:
    """The same for many particles: arguments and results as of `PairSums`, with a finite cutoff.

    Pairs are those of a `VerletList` of each system, and only their factors are computed.
    """

    def __init__(self, basis, curves, features, edges, mask, cell):
        self._basis, self._edges, self._mask, self._cell = basis, edges, mask, cell
        self._tables = [np.ascontiguousarray(interval_polynomials(curve).T) for curve in curves]
        self._own = [channel.own.of(features) for channel in basis.channels]
        self._other = [channel.other.of(features) for channel in basis.channels]
        boxes = [None] * len(mask) if cell is None else cell
        self._lists = np.array([VerletList(box, basis.cutoff, is_ordered=False) for box in boxes])

    def __call__(self, positions, chosen):
        """Accelerations `[B, N, D]` at positions `[B, N, D]` of these B of the systems."""
        basis, shape = self._basis, positions.shape
        cell = None if self._cell is None else self._cell[chosen]
        pairs = listed_pairs(positions, self._mask[chosen], cell, basis.cutoff, self._lists[chosen])
        pulls = basis.strength(pairs.distances) * pairs.displacements.T
        result = np.zeros((shape[0] * shape[1], shape[2]))
        rows = pairs.systems * shape[1]
        for end, factors, sign in zip((pairs.i, pairs.j), self._factors(pairs, chosen), (1, -1), strict=True):
            for axis, pull in enumerate(pulls):
                result[:, axis] += sign * np.bincount(rows + end, factors * pull, len(result))
        result = result.reshape(shape)
        return result if np.isinf(basis.limit) else np.clip(result, -basis.limit, basis.limit)

    def _factors(self, pairs, chosen):
        """Sums over the channels of curve times weight, for both particles of the pairs `[2, M]`."""
        first, place = self._basis.knots.place(pairs.distances)
        factors = np.zeros((2, len(place)))
        at_i, at_j = (pairs.systems, pairs.i), (pairs.systems, pairs.j)
        for table, channel, own, other in zip(self._tables, self._basis.channels, self._own, self._other, strict=True):
            values = polynomial_values(table, first, place)
            if channel.edge:
                values *= self._edges[chosen][pairs.systems, pairs.i, pairs.j] == channel.edge
            factors[0] += values * own[chosen][at_i] * other[chosen][at_j]
            factors[1] += values * own[chosen][at_j] * other[chosen][at_i]
        return factors
