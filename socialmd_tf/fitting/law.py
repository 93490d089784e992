"""A fitted law: a basis with coefficients."""

import dataclasses

import numpy as np

from socialmd_tf.fitting.basis import Basis, find_pairs
from socialmd_tf.fitting.splines import interval_polynomials


@dataclasses.dataclass(frozen=True)
class Law:
    """Accelerations by a `Basis` with coefficients `[P]`, in lengths per squared frame."""

    basis: Basis
    coefficients: np.ndarray

    def on(self, features, edges, mask, cell):
        """The function from positions and velocities `[B, N, D]` of these systems to accelerations `[B, N, D]`.

        Args:
            features: `[B, N, F]`.
            edges: `[B, N, N]`.
            mask: `[B, N]`.
            cell: `[D, D]` or None.

        Returns:
            The function, called with positions, velocities and which of the B systems they are of.
        """

        def accelerations(positions, velocities, chosen=slice(None)):
            own = features[chosen], edges[chosen], mask[chosen]
            result = self.by_pairs(positions, *own, cell) if self.basis.channels else np.zeros_like(positions)
            if self.basis.fields:
                result += self.by_fields(positions, own[0])
            for factor, block in self._terms("friction"):
                result -= self.coefficients[block] * factor.of(own[0])[..., None] * velocities
            return result * own[2][..., None]

        return accelerations

    def by_pairs(self, positions, features, edges, mask, cell):
        """Accelerations `[B, N, D]` by pairs."""
        basis = self.basis
        pairs = find_pairs(positions, mask, cell, basis.cutoff)
        first, place = basis.knots.place(pairs.distances)
        total = np.zeros_like(pairs.distances)
        for channel, block in self._terms("pairs"):
            constant, linear, square, cube = interval_polynomials(self.coefficients[block])[first].T
            values = constant + place * (linear + place * (square + place * cube))
            own = channel.own.of(features)[pairs.systems, pairs.i]
            total += values * own * pairs.weights(channel.other.of(features), edges, channel.edge)
        pull = (total * basis.strength(pairs.distances))[:, None] * pairs.displacements
        rows, count = pairs.rows(positions.shape[1]), positions.shape[0] * positions.shape[1]
        sums = [np.bincount(rows, pull[:, axis], count) for axis in range(positions.shape[2])]
        return np.clip(np.stack(sums, axis=-1).reshape(positions.shape), -basis.limit, basis.limit)

    def by_fields(self, positions, features):
        """Accelerations `[B, N, D]` by fields."""
        scaled = (positions - self.basis.center) / self.basis.length
        monomials = np.prod(scaled[..., None, :] ** self.basis.exponents, axis=-1)
        result = np.zeros_like(positions)
        for factor, block in self._terms("field"):
            coefficients = self.coefficients[block].reshape(positions.shape[-1], -1)
            result += monomials @ coefficients.T * factor.of(features)[..., None]
        return result

    def _terms(self, kind):
        """The terms of a kind with their columns."""
        groups = {"pairs": self.basis.channels, "field": self.basis.fields, "friction": self.basis.frictions}
        blocks = [block for name, block in self.basis.blocks.items() if name.startswith(kind)]
        return list(zip(groups[kind], blocks, strict=True))

    def curve(self, block, distances):
        """Force of a channel at unit factors, positive where it attracts, at distances `[M]`."""
        knots = self.basis.knots
        first, place = knots.place(distances)
        powers = place[:, None] ** np.arange(4)
        values = np.sum(interval_polynomials(self.coefficients[block])[first] * powers, axis=-1)
        return values * self.basis.strength(distances) * distances
