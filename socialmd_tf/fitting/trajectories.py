"""Trajectories as the fit reads them."""

import dataclasses

import numpy as np

from pipelines.boxes import unwrap


@dataclasses.dataclass(frozen=True)
class Trajectories:
    """W trajectories of T frames, float64; time is counted in frames.

    Args:
        positions: `[W, T, N, D]`, unwrapped.
        features: `[W, N, F]`.
        feature_names: Names of the F features; None for components of vectors.
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
            positions if cell is None else np.stack([unwrap(frames, cell) for frames in positions]),
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
