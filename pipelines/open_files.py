"""Objects that are costly to make and large to keep: opened files, and what is computed from whole files."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

_MAX_OBJECTS = 128
_MAX_BYTES = 1 << 28


class Kept:
    """The objects that were used last, at most 128 of them. Safe to use from several threads.

    A memory-mapped file counts with its whole size, since all its pages may be resident. An object that is too large
    is made anew for every use, so that memory does not grow with the files.

    Args:
        max_bytes: Largest size of all kept objects together; 256 MiB by default.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._objects: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, num_bytes: int, make: Callable[[], Any]) -> Any:
        """The object of a key, made if it is not kept.

        Args:
            key: Says what the object is made of.
            num_bytes: Size of the object.
            make: Makes the object.
        """
        with self._lock:
            if key in self._objects:
                self._objects.move_to_end(key)
                return self._objects[key][0]
        made = make()
        if self.keeps(num_bytes):
            with self._lock:
                self._num_bytes += num_bytes - self._objects.pop(key, (None, 0))[1]
                self._objects[key] = made, num_bytes
                while self._num_bytes > self._max_bytes or len(self._objects) > _MAX_OBJECTS:
                    _, (_, left) = self._objects.popitem(last=False)
                    self._num_bytes -= left
        return made

    def keeps(self, num_bytes: int) -> bool:
        """Whether an object of this size can be kept."""
        return num_bytes <= self._max_bytes
