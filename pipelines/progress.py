"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

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
        if self._bar.disable and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            share = f", {done / self._total:.0%}" if self._total else ""
            print(f"{self._description}: {text}{share}", file=sys.stderr, flush=True)
