"""Trajectories as the fit reads them, and displacements in a periodic box."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Trajectories:
    """W trajectories of T frames, float64; time is counted in frames.

    Args:
        positions: `[W, T, N, D]`, unwrapped (`unwrapped` makes them so).
        features: `[W, N, F]`.
        feature_names: Names of the F features.
        edges: Type of the bond between two particles `[W, N, N]`, symmetric, 0 for none.
        mask: True for real particles, False for padding `[W, N]`.
        cell: Lattice vectors of a periodic box in rows `[D, D]`, or None. A diagonal matrix is an orthorhombic box.
    """

    positions: np.ndarray
    features: np.ndarray
    feature_names: tuple[str, ...]
    edges: np.ndarray
    mask: np.ndarray
    cell: np.ndarray | None = None

    @classmethod
    def of(cls, positions, features=None, feature_names=(), edges=None, mask=None, box=None):
        """Trajectories of positions `[W, T, N, D]` with what else is known; `box` is `[D]` or a cell `[D, D]`."""
        positions = np.asarray(positions, np.float64)
        shape = positions.shape[0], positions.shape[2]
        cell = None if box is None else np.diag(box) if np.ndim(box) == 1 else np.asarray(box, np.float64)
        return cls(
            positions if cell is None else unwrapped(positions, cell),
            np.zeros((*shape, 0)) if features is None else np.asarray(features, np.float64),
            tuple(feature_names),
            np.zeros((*shape, shape[1]), np.int64) if edges is None else np.asarray(edges),
            np.ones(shape, bool) if mask is None else np.asarray(mask, bool),
            cell,
        )

    def __len__(self):
        """W."""
        return len(self.positions)

    def __getitem__(self, chosen):
        """Some of the trajectories."""
        arrays = {name: getattr(self, name)[chosen] for name in ("positions", "features", "edges", "mask")}
        return dataclasses.replace(self, **arrays)

    def windows(self, num_frames, shift):
        """All windows of `num_frames` frames, `shift` frames apart, as trajectories."""
        starts = range(0, self.positions.shape[1] - num_frames + 1, shift)
        cut = [self.positions[:, start : start + num_frames] for start in starts]
        repeated = self[np.repeat(np.arange(len(self)), len(starts))]
        return dataclasses.replace(
            repeated, positions=np.stack(cut, axis=1).reshape(-1, num_frames, *self.positions.shape[2:])
        )


def nearest_image(displacement, cell):
    """Displacements `[..., D]` to the nearest periodic image.

    Exact for lengths up to half the smallest height of the cell, `half_height`: there all fractional coordinates are
    below 1/2, whatever the shape of the cell.
    """
    if cell is None:
        return displacement
    return displacement - np.round(displacement @ np.linalg.inv(cell)) @ cell


def half_height(cell):
    """Half the smallest distance between opposite faces of a cell: the largest distance with a unique image."""
    return 0.5 / np.linalg.norm(np.linalg.inv(cell), axis=0).max()


def unwrapped(positions, cell):
    """Positions `[W, T, N, D]` that continue across the faces of the box; moves are shorter than half of it."""
    moves = nearest_image(np.diff(positions, axis=1), cell)
    return np.concatenate([positions[:, :1], positions[:, :1] + np.cumsum(moves, axis=1)], axis=1)
