"""Calls with retries and a deadline."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from socialmd_tf.serving.errors import DeadlineExceeded, Unavailable

_Answer = TypeVar("_Answer")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds


class Deadline:
    """The time by which a call must end, retries included.

    Args:
        seconds: Time until then.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            DeadlineExceeded: None is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"no answer within {self._seconds:g} s")
        return left

    def allows(self, seconds: float) -> bool:
        """Whether this number of seconds is left."""
        return time.monotonic() + seconds < self._end


def call(attempt: Callable[[float], _Answer], deadline: Deadline, retries: int) -> _Answer:
    """Call until there is an answer; the pause doubles after every failure.

    Connection failures and timeouts are retried; every request can safely be sent twice. Pauses are shortened at
    random, so that many clients do not return at the same time.

    Args:
        attempt: Function of the number of seconds that it may take.
        deadline: When to give up.
        retries: Largest number of retries.

    Raises:
        Unavailable: The last attempt did not reach the server.
        DeadlineExceeded: The time is up.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return attempt(deadline.remaining())
        except (Unavailable, DeadlineExceeded):
            wait = pause * random.uniform(0.5, 1.0)
            retries -= 1
            if retries < 0 or not deadline.allows(wait):
                raise
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)
