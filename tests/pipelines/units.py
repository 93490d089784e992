"""Units of work for tests of workers: a cluster imports them by name."""

import os
import time

from pipelines.errors import UserError


def count(first, last):
    yield from range(first, last)
    return last - first


def fail(place):
    yield 1
    if place == 1:
        raise UserError("`place` must not be 1")
    yield 2


def number_of_process():
    yield 0
    return os.getpid()


def write_slowly(path):
    """Write the number of the process at once, and the result after half a second."""
    path.with_suffix(f".{os.getpid()}").touch()
    for step in range(10):
        yield step
        time.sleep(0.05)
    path.write_text(path.stem)
