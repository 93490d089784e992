"""Pairs of particles within a cutoff in a cubic periodic box: of all pairs if they are few, else of a list."""

import numpy as np

from pipelines.laws.systems import Array, displacements
from pipelines.neighbors import Indices, VerletList

_FEW = 128
"""Number of particles up to which looking at all pairs is faster."""
_FAR = 1e6


class NearPairs:
    """Ordered pairs (i, j) of different particles of the same system, closer than the cutoff.

    Of more than 128 particles, a `VerletList` has the pairs. They are sorted by system, i and j, so what is computed
    from them does not depend on how they were found, bit by bit.

    Args:
        side: Edge length of the box, at least twice the cutoff.
        cutoff: In units of length.
    """

    def __init__(self, side: float, cutoff: float) -> None:
        self._side, self._cutoff = side, cutoff
        self._lists: list[VerletList] = []

    def __call__(self, positions: Array) -> tuple[Indices, Indices, Array, Array]:
        """Places of i and of j among the particles of all systems `[M]`, r_j - r_i `[M, D]`, its squared length `[M]`.

        Args:
            positions: `[S, N, D]`, unwrapped.
        """
        if positions.shape[1] <= _FEW:
            apart = self._to_nearest_image(displacements(positions))
            squared = np.sum(apart**2, axis=-1) + np.where(np.eye(positions.shape[1], dtype=bool), _FAR, 0.0)
            system, i, j = np.nonzero(squared < self._cutoff**2)
            first = system * positions.shape[1]
            return first + i, first + j, apart[system, i, j], squared[system, i, j]
        i, j = self._listed(positions)
        flat = positions.reshape(-1, positions.shape[-1])
        apart = self._to_nearest_image(flat[j] - flat[i])
        squared = np.sum(apart**2, axis=-1)
        near = squared < self._cutoff**2
        return i[near], j[near], apart[near], squared[near]

    def _to_nearest_image(self, apart: Array) -> Array:
        apart -= self._side * np.round(apart / self._side)
        return apart

    def _listed(self, positions: Array) -> tuple[Indices, Indices]:
        """Places of pairs, all within the cutoff and some that are farther apart."""
        if not self._lists:
            box = np.diag(np.full(positions.shape[-1], self._side))
            self._lists = [VerletList(box, self._cutoff) for _ in positions]
        pairs = [listed(places) for listed, places in zip(self._lists, positions, strict=True)]
        starts = positions.shape[1] * np.arange(len(positions))
        i, j = (np.concatenate([start + p[end] for start, p in zip(starts, pairs, strict=True)]) for end in (0, 1))
        return i, j
