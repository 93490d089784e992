"""Time between frames, from the times that a trajectory states."""

import math

import numpy as np

from pipelines.errors import UserError
from pipelines.molecules.simulation_frames import Frame

_TOLERANCE = 0.01


class FrameTimes:
    """Finds the time between frames and refuses uneven times.

    Trajectories store times as float32, whose spacing at 100 ns is 0.008 ps. Times may be off by that much, and the
    time between frames is that of the whole trajectory: (t_last - t_first) / (num_frames - 1).

    Args:
        given: Picoseconds between frames as the user states them, which override the files; or None.
    """

    def __init__(self, given: float | None) -> None:
        self._given = given
        self._first = self._last = 0.0
        self._count = 0

    def note(self, frame: Frame) -> None:
        """Take in the next frame.

        Args:
            frame: The frame.

        Raises:
            UserError: It has no time, or its time does not continue those before it.
        """
        if self._given is not None:
            return
        time = frame.time
        if time is None or not math.isfinite(time):
            raise UserError(f"{frame.path}: states no times; expected `--time-between-frames`, in ps")
        if not self._count:
            self._first = time
        else:
            step = time - self._last
            expected = (self._last - self._first) / (self._count - 1) if self._count > 1 else max(step, 0.0)
            if abs(step - expected) > _TOLERANCE * expected + 2 * _spacing(time, self._last):
                raise UserError(
                    f"{frame.path}: frame {frame.index} is at {time:.9g} ps and the frame before it at "
                    f"{self._last:.9g} ps; expected {f'steps of {expected:.6g} ps' if expected else 'a later time'}. "
                    "Several simulations: one directory each, or `--split-by file`. Times without meaning: "
                    "`--time-between-frames`"
                )
        self._last = time
        self._count += 1

    def time_between_frames(self, label: str) -> float:
        """The time between frames, with as many digits as the times determine.

        Args:
            label: Name of the simulation, for the message.

        Returns:
            Picoseconds.

        Raises:
            UserError: There are too few frames, or their times are too coarse.
        """
        if self._given is not None:
            return self._given
        if self._count < 2:
            raise UserError(f"{label}: one frame states no time between frames; expected several")
        span, spacing = self._last - self._first, _spacing(self._first, self._last)
        if span <= 0 or spacing > _TOLERANCE * span:
            raise UserError(
                f"{label}: the times of its {self._count} frames, {self._first:.9g} to {self._last:.9g} ps, are too "
                "coarse to tell the time between frames; expected `--time-between-frames`, in ps"
            )
        return _rounded(span / (self._count - 1), spacing / (self._count - 1))


def _spacing(*times: float) -> float:
    return float(np.spacing(np.float32(max(abs(time) for time in times))))


def _rounded(value: float, error: float) -> float:
    """The shortest decimal number within the error."""
    candidates = (float(f"{value:.{digits}g}") for digits in range(1, 10))
    return next((candidate for candidate in candidates if abs(candidate - value) <= error), value)
