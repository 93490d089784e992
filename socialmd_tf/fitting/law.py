"""A fitted law: a basis with coefficients."""

import dataclasses

import numpy as np

from socialmd_tf.fitting.basis import Basis
from socialmd_tf.fitting.pair_sums import ListedPairSums, PairSums
from socialmd_tf.fitting.splines import interval_polynomials
from socialmd_tf.fitting.trajectories import is_large


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
            cell: `[B, D, D]` or None.

        Returns:
            The function, called with positions, velocities and which of the B systems they are of.
        """
        # Features of padding may be anything, and must not make infinities that a mask cannot take away.
        features = np.where(mask[..., None], features, 1.0)
        curves = [self.coefficients[block] for _, block in self._terms("pairs")]
        are_listed = is_large(mask.shape[1]) and np.isfinite(self.basis.cutoff)
        sums = ListedPairSums if are_listed else PairSums
        by_pairs = sums(self.basis, curves, features, edges, mask, cell) if curves else None
        frictions = [self.coefficients[block] * factor.of(features) for factor, block in self._terms("friction")]

        def accelerations(positions, velocities, chosen=slice(None)):
            result = np.zeros_like(positions) if by_pairs is None else by_pairs(positions, chosen)
            if self.basis.fields:
                result += self.by_fields(positions, features[chosen])
            for rates in frictions:
                result -= rates[chosen][..., None] * velocities
            return result * mask[chosen][..., None]

        return accelerations

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
