"""How particles move from frame to frame: smoothly or at random, and which frames show it."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Kind = Literal["still", "smooth", "kicked", "random", "unknown"]

STRIDES = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of stored frames between two positions that are compared."""
MAX_BEND = 0.05
"""Largest bend of paths that a step of a model should span: with it, a straight step misses by 5 % of its length."""

_SHARE_OF_FRAMES = 10
_NOISE = 0.7
_SMOOTH_GROWTH, _KICKED_GROWTH = 0.8, 0.3
_STRAIGHT = 0.3


@dataclasses.dataclass(frozen=True)
class Moves:
    """Moves of particles over a number of stored frames, m(t) = x(t + stride) - x(t)."""

    stride: int
    """Number of stored frames."""
    rms: float
    """Root mean square length, in the length unit of the data."""
    mean: float
    """Mean length."""
    correlation: float
    """Of a move with the next one: sum m(t) m(t + stride) / sqrt(sum m(t)^2 sum m(t + stride)^2). 1 for straight
    motion, 0 for moves that do not remember the last one, -1/2 for noise around a fixed place."""
    bend: float
    """Median of |m(t + stride) - m(t)| divided by the median of |m(t)|. Rare events, such as collisions, do not
    change it."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """What the moves of all particles have in common."""

    moves: tuple[Moves, ...]
    """By stride, ascending, beginning with 1; those that the frames allow."""
    drift: float
    """Length of the mean move of all particles over one stored frame, divided by `moves[0].rms`."""
    finest: int
    """Stride below which noise or rounding hides the motion, 1 if nothing does."""
    growth: float | None
    """Exponent with which the bend grows with the stride, from `finest` on: 1 for paths with an acceleration, 1/2 for
    paths whose velocity gets random kicks, 0 for a random walk. None if the frames are too few."""

    @property
    def kind(self) -> Kind:
        """The kind of motion.

        - "still": no particle moves.
        - "smooth": velocities change little by little, as under forces (growth of at least 0.8).
        - "kicked": velocities last, but change at random, as in Langevin dynamics (growth of at least 0.3).
        - "random": a move says little about the next one, as in diffusion.
        - "unknown": there are too few frames.
        """
        if not self.moves or self.moves[0].rms == 0:
            return "still" if self.moves else "unknown"
        bend, growth = self.at(self.finest).bend, self.growth
        if bend >= 1:
            return "random"
        if growth is None or growth < _KICKED_GROWTH:  # of a straight path, only rounding bends and may not grow
            return "smooth" if bend <= _STRAIGHT else "unknown" if growth is None else "random"
        return "smooth" if growth >= _SMOOTH_GROWTH else "kicked"

    @property
    def subsample(self) -> int:
        """Stored frames per step of a model: the most over which paths bend by at most `MAX_BEND`.

        At least `finest`. Random motion is not smoother between closer frames, and gets every frame.
        """
        if self.kind not in ("smooth", "kicked"):
            return self.finest
        return max([moves.stride for moves in self.moves if moves.bend <= MAX_BEND] + [self.finest])

    def at(self, stride: int) -> Moves:
        """The moves over a number of frames, one of `moves`."""
        return next(moves for moves in self.moves if moves.stride == stride)


def measure(paths: Sequence[Array]) -> Motion:
    """Measure how particles move.

    Args:
        paths: Positions `[num_frames, N, D]` of successive stored frames, unwrapped, a file each; the numbers of
            frames and particles may differ.
    """
    longest = max(len(path) for path in paths)
    strides = [stride for stride in STRIDES if 2 * stride < longest and stride <= max(2, longest // _SHARE_OF_FRAMES)]
    moves = tuple(_moves([path for path in paths if 2 * stride < len(path)], stride) for stride in strides)
    if not moves:
        return Motion((), 0.0, 1, None)
    finest = _finest(moves)
    coarser = next((found for found in moves if found.stride > finest.stride), None)
    growth = None
    if coarser is not None and finest.bend > 0 and coarser.bend > 0:
        growth = math.log(coarser.bend / finest.bend) / math.log(coarser.stride / finest.stride)
    return Motion(moves, _drift(paths, moves[0].rms), finest.stride, growth)


def _moves(paths: Sequence[Array], stride: int) -> Moves:
    pairs = [_successive_moves(path, stride) for path in paths]
    first, second = (np.concatenate([pair[place] for pair in pairs]) for place in (0, 1))
    lengths, bends = np.linalg.norm(first, axis=-1), np.linalg.norm(second - first, axis=-1)
    # Particles at rest neither go straight on nor turn.
    moving = (lengths > 0) | (bends > 0)
    size = math.sqrt(float(np.sum(first**2)) * float(np.sum(second**2)))
    median = float(np.median(lengths[moving])) if moving.any() else 0.0
    return Moves(
        stride=stride,
        rms=math.sqrt(float(np.mean(lengths**2))),
        mean=float(np.mean(lengths)),
        correlation=float(np.sum(first * second)) / size if size > 0 else 0.0,
        bend=float(np.median(bends[moving])) / median if median > 0 else 0.0,
    )


def _successive_moves(path: Array, stride: int) -> tuple[Array, Array]:
    """Every move and the one that follows it, two arrays `[M, D]`."""
    moves = path[stride:] - path[:-stride]
    size = path.shape[-1]
    return moves[:-stride].reshape(-1, size), moves[stride:].reshape(-1, size)


def _finest(moves: Sequence[Moves]) -> Moves:
    """The stride of the smallest bend, if that is clearly smaller than at stride 1: paths of noise seem to turn."""
    straightest = min(moves, key=lambda found: found.bend)
    return straightest if straightest.bend < _NOISE * moves[0].bend else moves[0]


def _drift(paths: Sequence[Array], rms: float) -> float:
    total = np.sum([(path[-1] - path[0]).sum(axis=0) for path in paths], axis=0)
    count = sum((len(path) - 1) * path.shape[1] for path in paths)
    return float(np.linalg.norm(total / count)) / rms if rms > 0 and count else 0.0
