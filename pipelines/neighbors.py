"""Pairs of many particles within a distance, found by a k-d tree: the cost grows with their number."""

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from pipelines.boxes import half_height, images_near, is_orthogonal, wrap

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
_MARGIN = 1e-9
"""Relative; positions are rounded when they are wrapped."""
_SKIN = 0.15
"""Of the cutoff: how much farther than the cutoff listed pairs may be apart."""


class VerletList:
    """The pairs of one system within a cutoff, listed with those a little farther apart.

    The list serves until a particle has moved by half of that distance since it was made.

    Args:
        box: Lattice vectors in rows `[D, D]` of a periodic box, or None.
        cutoff: In units of length; in a periodic box at most `half_height(box)`.
        is_ordered: Whether a pair is listed as (i, j) and as (j, i); else once, with i < j.

    Source: L. Verlet, Physical Review 159 (1967) 98.
    """

    def __init__(self, box: Array | None, cutoff: float, is_ordered: bool = True) -> None:
        self._box, self._is_ordered = box, is_ordered
        self._reach = (1 + _SKIN) * cutoff if box is None else min((1 + _SKIN) * cutoff, half_height(box))
        self._longest_move = (self._reach - cutoff) / 2
        self._made_at: Array | None = None
        self._pairs: tuple[Indices, Indices]

    def __call__(self, positions: Array) -> tuple[Indices, Indices]:
        """All pairs within the cutoff, and some that are farther apart, as of `pairs_within`.

        Args:
            positions: `[N, D]`, in units of length; they do not jump across the box.
        """
        # A position that is not finite has moved by NaN, which is below nothing.
        if self._made_at is None or not _longest(positions - self._made_at) < self._longest_move:
            i, j = pairs_within(positions, self._box, self._reach)
            kept = slice(None) if self._is_ordered else i < j
            self._pairs = i[kept], j[kept]
            self._made_at = positions.copy()
        return self._pairs


def _longest(vectors: Array) -> float:
    """Length of the longest of vectors `[N, D]`."""
    return float(np.sqrt(np.sum(vectors**2, axis=1).max(initial=0.0)))


def pairs_within(positions: Array, box: Array | None, distance: float) -> tuple[Indices, Indices]:
    """Ordered pairs (i, j) of different particles whose nearest images are at most a distance apart.

    Args:
        positions: `[N, D]`, in units of length, wrapped or not. Particles without a finite position are in no pair.
        box: Lattice vectors in rows `[D, D]` of a periodic box, with zeros for open axes, or None.
        distance: In units of length; in a periodic box at most `half_height(box)`.

    Returns:
        i and j, each `[M]`, sorted by i and then by j; each pair occurs as (i, j) and as (j, i). Pairs that are farther
        apart by a relative 1e-9 may be among them.
    """
    particles = np.flatnonzero(np.isfinite(positions).all(axis=1))
    home, reach = wrap(positions[particles], box), (1 + _MARGIN) * distance
    if box is None or is_orthogonal(box):
        found = _tree(home, box).query_pairs(reach, output_type="ndarray")
        found = np.concatenate([found, found[:, ::-1]])
    else:
        seen, owners = images_near(home, box, reach)
        near = KDTree(home).sparse_distance_matrix(KDTree(seen), reach, output_type="ndarray")
        found = np.stack([near["i"], owners[near["j"]]], axis=1)
        found = found[found[:, 0] != found[:, 1]]
    count = len(positions)
    keys = np.sort(particles[found[:, 0]] * count + particles[found[:, 1]])
    return keys // count, keys % count


def _tree(home: Array, box: Array | None) -> KDTree:
    """A tree of positions in a box along the axes."""
    if box is None:
        return KDTree(home)
    sides = np.diag(box)
    # Rounding may put a wrapped position on the far face, which a tree refuses.
    return KDTree(np.where((sides > 0) & ((home < 0) | (home >= sides)), 0.0, home), boxsize=sides)
