"""Paths in a periodic box as pictures show them: wrapped into the box, and broken where they leave it."""

import dataclasses
import itertools

import numpy as np

from pipelines.boxes import cell_index, wrap


@dataclasses.dataclass(frozen=True)
class ShownBox:
    """The copy of a periodic box that a picture shows. Without a box, nothing is wrapped or broken."""

    box: np.ndarray | None
    """Lattice vectors in rows `[D, D]`; zeros for open axes. None is open space."""
    corner: np.ndarray
    """`[D]`."""

    @classmethod
    def around(cls, box, frames):
        """The box with a corner at the origin, or with its centre there, whichever holds more of the positions.

        Args:
            box: Lattice vectors in rows `[D, D]`, or None.
            frames: Positions `[T, N, D]`.
        """
        origin = np.zeros(frames.shape[-1])
        if box is None:
            return cls(None, origin)
        box = np.asarray(box, np.float64)
        corners = (origin, -box.sum(axis=0) / 2)
        inside = [(cell_index(frames - corner, box) == 0).all(axis=-1).sum() for corner in corners]
        return cls(box, corners[int(np.argmax(inside))])

    def wrap(self, frames):
        """The images of positions `[..., D]` in the box."""
        return frames if self.box is None else self.corner + wrap(frames - self.corner, self.box)

    def breaks(self, frames):
        """Whether a particle crosses a face of the box on its way from the frame before `[T, N]`; not in the first."""
        found = np.zeros(frames.shape[:2], bool)
        if self.box is not None:
            copies = cell_index(frames - self.corner, self.box)
            found[1:] = (copies[1:] != copies[:-1]).any(axis=-1)
        return found

    def lines(self, frames):
        """Wrapped paths that are not drawn across the box.

        Args:
            frames: Unwrapped positions `[T, N, D]`.

        Returns:
            `[T', N, D]` that ends with the last frame; between two frames of a path there is NaN where it is broken.
        """
        if self.box is None:
            return frames
        wrapped = self.wrap(frames)
        between = np.where(self.breaks(frames)[1:, :, None], np.nan, wrapped[:-1])
        return np.concatenate([np.stack([wrapped[:-1], between], axis=1).reshape(-1, *frames.shape[1:]), wrapped[-1:]])

    def outline(self):
        """The edges, projected on the x-y plane: ends `[E, 2, 2]`."""
        return np.unique(self.edges()[..., :2], axis=0)

    def edges(self):
        """Edges of the box: ends `[E, 2, D]`; none without a box or along open axes."""
        if self.box is None:
            return np.zeros((0, 2, len(self.corner)))
        edges = []
        for axis in np.flatnonzero(self.box.any(axis=1)):
            others = np.delete(self.box, axis, axis=0)
            for choice in itertools.product((0, 1), repeat=len(others)):
                start = self.corner + np.array(choice) @ others
                edges.append(np.stack([start, start + self.box[axis]]))
        return np.array(edges)
