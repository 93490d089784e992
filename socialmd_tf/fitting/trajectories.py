"""Trajectories as the fit reads them."""

import dataclasses

import numpy as np

from pipelines.boxes import unwrap

MANY = 256
"""Largest number of particles of a small system."""
_PIECE, _FEWEST_PIECES = 7, 4


def is_large(num_particles):
    """Whether the pairs of a system are listed, if there is a cutoff, and its trajectories are read in pieces."""
    return num_particles > MANY


@dataclasses.dataclass(frozen=True)
class Trajectories:
    """W trajectories of T frames, float64; time is counted in frames.

    Args:
        positions: `[W, T, N, D]`, unwrapped.
        features: `[W, N, F]`.
        feature_names: Names of the F features; None for components of vectors.
        edges: Type of the bond between two particles `[W, N, N]`, symmetric, 0 for none; zeros `[W, 1, 1]` without
            bonds.
        mask: True for real particles, False for padding `[W, N]`.
        cell: Lattice vectors of the periodic box of each trajectory, in rows `[W, D, D]`, or None. A diagonal matrix is
            an orthorhombic box.
        velocities: Observed velocities `[W, T, N, D]`, per frame, or None.
    """

    positions: np.ndarray
    features: np.ndarray
    feature_names: tuple[str, ...]
    edges: np.ndarray
    mask: np.ndarray
    cell: np.ndarray | None = None
    velocities: np.ndarray | None = None

    @classmethod
    def of(cls, positions, features=None, feature_names=(), edges=None, mask=None, box=None, velocities=None):
        """Trajectories of positions `[W, T, N, D]` with what else is known; `box` is `[D]`, `[D, D]` or `[W, D, D]`."""
        positions = np.asarray(positions, np.float64)
        shape = positions.shape[0], positions.shape[2]
        cell = None
        if box is not None:
            cell = np.diag(box) if np.ndim(box) == 1 else np.asarray(box, np.float64)
            cell = np.broadcast_to(cell, (len(positions), *cell.shape[-2:]))
            positions = np.stack([unwrap(frames, vectors) for frames, vectors in zip(positions, cell, strict=True)])
        return cls(
            positions,
            np.zeros((*shape, 0)) if features is None else np.asarray(features, np.float64),
            tuple(feature_names),
            np.zeros((shape[0], 1, 1), np.int64) if edges is None else np.asarray(edges),
            np.ones(shape, bool) if mask is None else np.asarray(mask, bool),
            cell,
            None if velocities is None else np.asarray(velocities, np.float64),
        )

    def __len__(self):
        """W."""
        return len(self.positions)

    def __getitem__(self, chosen):
        """Some of the trajectories."""
        names = ("positions", "features", "edges", "mask", "cell", "velocities")
        arrays = {name: getattr(self, name) for name in names}
        known = {name: values[chosen] for name, values in arrays.items() if values is not None}
        return dataclasses.replace(self, **known)

    @property
    def are_large(self):
        """Whether they have many particles."""
        return is_large(self.positions.shape[2])

    def of_particles(self, count):
        """The same with at most `count` of the particles, evenly chosen."""
        size = self.positions.shape[2]
        chosen = np.unique(np.linspace(0, size - 1, min(size, count)).astype(int))
        has_bonds = self.edges.shape[1] == size
        return dataclasses.replace(
            self,
            positions=self.positions[:, :, chosen],
            features=self.features[:, chosen],
            edges=self.edges[:, chosen][:, :, chosen] if has_bonds else self.edges,
            mask=self.mask[:, chosen],
            velocities=None if self.velocities is None else self.velocities[:, :, chosen],
        )

    def pieces(self, num_equations):
        """Those of large systems in pieces of seven frames, whose equations fit into memory; others as they are.

        Args:
            num_equations: Number of coordinates in all pieces, evenly chosen, unless that is fewer than four pieces.
        """
        num_frames, num_particles, num_dimensions = self.positions.shape[1:]
        if not self.are_large:
            return self
        length = min(_PIECE, num_frames)
        starts = np.arange(0, num_frames - length + 1, length)
        count, most = len(self) * len(starts), num_equations // (length * num_particles * num_dimensions)
        size = min(count, max(most, _FEWEST_PIECES))
        whose, places = np.divmod(np.arange(size) * count // size, len(starts))

        def cut(values):
            return np.stack([values[k, start : start + length] for k, start in zip(whose, starts[places], strict=True)])

        still = dataclasses.replace(self, positions=self.positions[:, :1], velocities=None)[whose]
        velocities = None if self.velocities is None else cut(self.velocities)
        return dataclasses.replace(still, positions=cut(self.positions), velocities=velocities)

    def windows(self, num_frames, shift):
        """All windows of `num_frames` frames, `shift` frames apart, as trajectories."""
        starts = range(0, self.positions.shape[1] - num_frames + 1, shift)
        repeated = self[np.repeat(np.arange(len(self)), len(starts))]

        def cut(values):
            parts = np.stack([values[:, start : start + num_frames] for start in starts], axis=1)
            return parts.reshape(-1, num_frames, *values.shape[2:])

        velocities = None if self.velocities is None else cut(self.velocities)
        return dataclasses.replace(repeated, positions=cut(self.positions), velocities=velocities)
