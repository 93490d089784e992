"""The child process that unpacks the positions of XTC files (`xtc_decoder.py`), one frame ahead of its reader."""

import atexit
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

_DECODER = Path(__file__).with_name("xtc_decoder.py")


class Positions:
    """Positions of some atoms in the frames of a file.

    While the reader works on a frame, the child process unpacks the next one.

    Args:
        path: The file.
        num_atoms: Atoms of a frame.
        atoms: Numbers of the wanted atoms; None for all.
    """

    def __init__(self, path: Path, num_atoms: int, atoms: npt.NDArray[np.intp] | None) -> None:
        self.name = str(path.resolve())
        self.chosen: str | list[int] = "all" if atoms is None else atoms.tolist()
        self.size = 12 * (num_atoms if atoms is None else len(atoms))
        """Bytes of the answer for a frame."""

    def of_frame(self, index: int, has_next: bool) -> npt.NDArray[np.float32] | None:
        """Positions in a frame `[n, 3]`, in nm.

        Args:
            index: Number of the frame, from 0.
            has_next: Whether the next call will be for the next frame.

        Returns:
            The positions; None if the child process ended, on a damaged file.
        """
        child = _Child.running()
        if child.waiting != (self, index):
            child = child.ask(self, index)
        content = child.answer()
        if len(content) < self.size:
            child.end()
            return None
        if has_next:
            child.ask(self, index + 1)
        return np.frombuffer(content, np.float32).reshape(-1, 3)

    def close(self) -> None:
        """Leave no answer for others."""
        child = _Child.current
        if child is not None and child.waiting is not None and child.waiting[0] is self:
            child.drop_answer()


def start() -> None:
    """Start the child process, if it does not run."""
    _Child.running()


class _Child:
    """The child process, started once for all files; it ends with this process."""

    current: "_Child | None" = None

    @classmethod
    def running(cls) -> "_Child":
        cls.current = cls.current or cls()
        return cls.current

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-W", "ignore", str(_DECODER)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process: subprocess.Popen[bytes] = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
        self.waiting: tuple[Positions, int] | None = None
        """The frame that was asked for and not read yet."""
        self._last: Positions | None = None
        atexit.register(self.end)

    def ask(self, positions: Positions, index: int) -> "_Child":
        """Ask for a frame. Returns the child process, which is a new one if this one has ended."""
        child = self.drop_answer()
        chosen = "same" if child._last is positions else positions.chosen
        child._last, child.waiting = positions, (positions, index)
        with contextlib.suppress(BrokenPipeError):
            assert child.process.stdin is not None
            child.process.stdin.write(json.dumps([positions.name, index, chosen]).encode() + b"\n")
            child.process.stdin.flush()
        return child

    def answer(self) -> bytes:
        """The frame that was asked for; fewer bytes if the process has ended."""
        assert self.waiting is not None and self.process.stdout is not None
        size, self.waiting = self.waiting[0].size, None
        return self.process.stdout.read(size)

    def drop_answer(self) -> "_Child":
        """Read what was asked for by someone who no longer wants it."""
        if self.waiting is None:
            return self
        size = self.waiting[0].size
        if len(self.answer()) == size:
            return self
        self.end()
        return _Child.running()

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        _Child.current = None
        atexit.unregister(self.end)
