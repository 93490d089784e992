"""Time from one frame to the next."""

from pipelines.errors import UserError
from pipelines.molecules.reading import Frame

_TOLERANCE = 0.01


class Clock:
    """Reads the time between frames off a trajectory and refuses uneven ones.

    Args:
        given: Picoseconds from frame to frame as the user says, which outweighs what the files say; or None.
    """

    def __init__(self, given: float | None) -> None:
        self._given = given
        self._step: float | None = None
        self._last: float | None = None

    def note(self, frame: Frame) -> None:
        """Take in the next frame.

        Args:
            frame: The frame.

        Raises:
            UserError: It holds no time, or comes earlier or later than the frames before it promise.
        """
        if self._given is not None:
            return
        if frame.time is None:
            raise UserError(f"{frame.path}: says no times; expected `--time-between-frames`, in ps")
        if self._last is not None:
            step = frame.time - self._last
            expected = step if self._step is None else self._step
            if step <= 0 or abs(step - expected) > _TOLERANCE * expected:
                raise UserError(
                    f"{frame.path}: frame {frame.index} is at {frame.time:g} ps, the frame before it at "
                    f"{self._last:g} ps; expected {f'{expected:g} ps' if self._step else 'a later time'} from frame "
                    "to frame. Several simulations: a directory each, or `--split-by file`; "
                    "times that mean nothing: `--time-between-frames`"
                )
            self._step = expected
        self._last = frame.time

    @property
    def time_between_frames(self) -> float | None:
        """Picoseconds; None if there was one frame alone."""
        if self._given is not None:
            return self._given
        # XTC keeps float32: 100.00000149 ps mean 100.
        return None if self._step is None else float(f"{self._step:.6g}")
