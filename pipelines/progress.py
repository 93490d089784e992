"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from types import TracebackType

import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """A progress bar on a terminal; elsewhere a plain line every ten seconds.

    Args:
        description: Name of the work.
        total: Total number of units of work; None if unknown.
        unit: Unit of work.
    """

    def __init__(self, description: str, total: int | None, unit: str = "frame") -> None:
        self._description = description
        self._total = total
        self._last_line = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._bar = tqdm.tqdm(total=total, desc=description, unit=unit, disable=not sys.stderr.isatty())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, done: int, text: str) -> None:
        """Update the display.

        Args:
            done: Units of work done so far.
            text: Details to show.
        """
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(done - self._bar.n)
        now = time.monotonic()
        self._first = self._first or (done, now)
        if self._bar.disable and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(f"{self._description}: {text}{self._share(done, now)}", file=sys.stderr, flush=True)

    def _share(self, done: int, now: float) -> str:
        """The share that is done, and how long the rest will take at the speed of this call."""
        if not self._total:
            return ""
        share = min(done / self._total, 1.0)
        first, start = self._first or (done, now)
        seconds = (now - start) / (done - first) * max(self._total - done, 0) if done > first else 0.0
        return f", {share:.0%}" + (f", about {_duration(seconds)} left" if seconds > 0 else "")


def _duration(seconds: float) -> str:
    for length, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.2g} {name}"
    return f"{math.ceil(seconds)} s"
