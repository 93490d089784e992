"""Pairs of particles within a cutoff in a cubic periodic box: of all pairs if they are few, else of a Verlet list."""

import numpy as np
import numpy.typing as npt

from pipelines.laws.systems import Array, displacements

_FEW = 128
"""Number of particles up to which looking at all pairs is faster."""
_SKIN = 0.15
"""Of the cutoff: how much farther than the cutoff listed pairs may be apart."""
_FAR = 1e6


class NearPairs:
    """Ordered pairs (i, j) of different particles of the same system, closer than the cutoff.

    Of more than 128 particles, pairs that are a little farther apart are listed, too, by a k-d tree, and the list is
    used until a particle has moved by half of that distance (Verlet 1967). Pairs are sorted by system, i and j, so what
    is computed from them does not depend on how they were found, bit by bit.

    Args:
        side: Edge length of the box, at least twice the cutoff.
        cutoff: In units of length.

    Source: L. Verlet, Physical Review 159 (1967) 98.
    """

    def __init__(self, side: float, cutoff: float) -> None:
        self._side, self._cutoff = side, cutoff
        self._reach = min((1 + _SKIN) * cutoff, side / 2)
        self._listed_at: Array | None = None
        self._places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

    def __call__(self, positions: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array, Array]:
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
        if self._is_outdated(positions):
            self._list(positions)
        i, j = self._places
        flat = positions.reshape(-1, positions.shape[-1])
        apart = self._to_nearest_image(flat[j] - flat[i])
        squared = np.sum(apart**2, axis=-1)
        near = squared < self._cutoff**2
        return i[near], j[near], apart[near], squared[near]

    def _to_nearest_image(self, apart: Array) -> Array:
        apart -= self._side * np.round(apart / self._side)
        return apart

    def _is_outdated(self, positions: Array) -> bool:
        """Whether a pair that is not listed could have come within the cutoff; NaN counts as such a move."""
        if self._listed_at is None or self._listed_at.shape != positions.shape:
            return True
        moved = np.sum((positions - self._listed_at) ** 2, axis=-1).max()
        return not 2 * np.sqrt(moved) < self._reach - self._cutoff

    def _list(self, positions: Array) -> None:
        from scipy.spatial import KDTree

        count = positions.shape[1]
        found = []
        for number, places in enumerate(positions):
            wrapped = np.mod(places, self._side)
            wrapped[~(wrapped < self._side)] = 0.0  # rounded to the side, or not finite
            pairs = KDTree(wrapped, boxsize=self._side).query_pairs(self._reach, output_type="ndarray")
            keys = np.concatenate([pairs[:, 0] * count + pairs[:, 1], pairs[:, 1] * count + pairs[:, 0]])
            found.append(number * count * count + np.sort(keys))
        keys = np.concatenate(found)
        i = keys // count
        self._places = i, i // count * count + keys % count
        self._listed_at = positions.copy()
