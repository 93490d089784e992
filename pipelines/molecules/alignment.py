"""Positions relative to the centre, with the jumps at periodic boundaries removed."""

import dataclasses

import numpy as np

from pipelines.boxes import Array, half_height, inverse, minimum_image
from pipelines.errors import UserError
from pipelines.molecules.centers import Selection
from pipelines.molecules.periodic import gather_around_mean
from pipelines.molecules.simulation_frames import Frame

_MAX_MEAN_MOVE = 0.2
"""Of the box. Moves that are as long as the box have images of 0.25 on average; of normally distributed moves with a
mean of 0.2, one in twenty is longer than half the box and has a nearer image."""


@dataclasses.dataclass
class Unwrapped:
    """Points followed through a periodic box: in every frame, the image nearest to the previous position.

    u_t = u_(t-1) + minimum image of (w_t - u_(t-1)), in the box of frame t, where w are the positions in the file.
    u_t is always an image of w_t, also in a box that changes size, so that neighbours stay neighbours.
    """

    positions: Array
    """u: `[n, 3]`."""
    num_jumps: int = 0
    """Moves in the file that were not the shortest image."""
    largest_move: float = 0.0
    """Longest move between two frames, in half widths of the box. Near 1, or above it (possible in the corners of a
    box), a move may be confused with another."""
    _file_positions: Array | None = None
    _sum_of_moves: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    """Absolute moves along each box vector, in lengths of the vector."""
    _num_moves: int = 0

    def advance(self, file_positions: Array, box: Array | None) -> None:
        """Take in the positions `[n, 3]` of the next frame."""
        if box is None:
            self.positions = file_positions
            return
        moves = minimum_image(file_positions - self.positions, box)
        width = half_height(box)
        if self._file_positions is not None:
            # Either almost 0 or a box vector, which is at least two half widths long.
            apart = np.linalg.norm(file_positions - self._file_positions - moves, axis=1)
            self.num_jumps += int((apart > width).sum())
            # Open axes do not count: moves along them have no images.
            longest = float(np.linalg.norm(moves[:, box.any(axis=0)], axis=1).max())
            self.largest_move = max(self.largest_move, longest / width)
            self._sum_of_moves += np.abs(moves @ inverse(box)).sum(axis=0)
            self._num_moves += len(moves)
        self._file_positions = file_positions
        self.positions = self.positions + moves

    def check_moves(self, label: str) -> None:
        """Refuse moves that cannot be told from their periodic images.

        Args:
            label: Name of the simulation, for the message.

        Raises:
            UserError: Along a vector of the box, the mean move between frames is more than a fifth of its length.
        """
        means = self._sum_of_moves / max(self._num_moves, 1)
        axis = int(np.argmax(means))
        if means[axis] > _MAX_MEAN_MOVE:
            raise UserError(
                f"{label}: from one frame to the next, molecules move by {means[axis]:.2f} of the box along "
                f"{'xyz'[axis]} on average, so that jumps cannot be told from moves; expected at most "
                f"{_MAX_MEAN_MOVE:g}: frames that are closer in time, and the box of the simulation in the unit of "
                "the positions (0 for an open axis)"
            )


class Aligner:
    """Positions of the centre atoms of molecules relative to the centre, frame by frame; nothing is rotated.

    In the first frame each particle is the image nearest to the centre or, without centre atoms, where the file has it.
    Its anchor is the image nearest to the centre or, without centre atoms, to the particle.

    Args:
        selection: The atoms.
        first: The first frame.
        start: Positions `[N, 3]` to which the particles of the first frame are the nearest images instead, relative to
            the centre, in angstrom: those of the simulation that this one restarts.
    """

    def __init__(self, selection: Selection, first: Frame, start: Array | None = None) -> None:
        self._selection = selection
        self._center: Unwrapped | None = None
        place = selection.positions(first)
        if len(selection.center_atoms):
            cluster = first.finite_positions(selection.center_atoms)
            self._center = Unwrapped(gather_around_mean(cluster, first.box))
            place = np.zeros_like(place)
        self.particles = Unwrapped(place if start is None else start)
        self.anchors = None if selection.anchors is None else Unwrapped(place)
        self._first_anchors: Array | None = None

    @property
    def anchor_move(self) -> float | None:
        """Root mean square distance of the anchors from where they were first, in angstrom; None without anchors."""
        if self.anchors is None or self._first_anchors is None:
            return None
        return float(np.sqrt(((self.anchors.positions - self._first_anchors) ** 2).sum(axis=1).mean()))

    def __call__(self, frame: Frame) -> Array:
        """Take in the next frame, including the first one.

        Args:
            frame: The frame.

        Returns:
            `[N, 3]`, in angstrom.

        Raises:
            UserError: A coordinate of a followed atom is not finite.
        """
        positions, origin = self._selection.positions(frame), np.zeros(3)
        if self._center is not None:
            self._center.advance(frame.finite_positions(self._selection.center_atoms), frame.box)
            origin = self._center.positions.mean(axis=0)
        self.particles.advance(positions - origin, frame.box)
        if self.anchors is not None and self._selection.anchors is not None:
            self.anchors.advance(frame.finite_positions(self._selection.anchors) - origin, frame.box)
            if self._first_anchors is None:
                self._first_anchors = self.anchors.positions
        return self.particles.positions
