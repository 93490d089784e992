import pytest

from socialmd_tf.serving import retry
from socialmd_tf.serving.errors import DeadlineExceeded, InvalidRequest, ServingError, Unavailable


class Clock:
    """A clock that advances in `sleep` only and records all pauses."""

    def __init__(self):
        self.now, self.pauses = 0.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(retry, "time", clock)
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    return clock


def failing(*errors):
    """An attempt that raises these errors in turn and then returns the number of attempts."""
    attempts = []

    def attempt(timeout):
        attempts.append(timeout)
        if len(attempts) <= len(errors):
            raise errors[len(attempts) - 1]
        return len(attempts)

    return attempt


@pytest.mark.parametrize("error", [Unavailable("gone"), DeadlineExceeded("slow")])
def test_asks_again_and_waits_twice_as_long_each_time(clock, error):
    assert retry.call(failing(*7 * [error]), retry.Deadline(60.0), 7) == 8
    assert clock.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])


def test_gives_up_after_all_retries_with_the_last_reason(clock):
    with pytest.raises(Unavailable, match="third"):
        retry.call(failing(Unavailable("first"), Unavailable("second"), Unavailable("third")), retry.Deadline(60.0), 2)


@pytest.mark.parametrize("error", [InvalidRequest("wrong"), ServingError("broken"), KeyError("bug")])
def test_asks_only_once_where_again_would_not_help(clock, error):
    with pytest.raises(type(error)):
        retry.call(failing(error), retry.Deadline(60.0), 5)
    assert clock.pauses == []


def test_an_attempt_may_take_no_longer_than_what_is_left(clock):
    left = []

    def attempt(timeout):
        left.append(timeout)
        clock.now += 0.3
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        retry.call(attempt, retry.Deadline(1.0), 100)
    assert left == pytest.approx([1.0, 0.6, 0.1])


def test_the_shortened_pauses_stay_above_half():
    assert retry.call(failing(Unavailable("gone")), retry.Deadline(5.0), 1) == 2


def test_no_time_is_left(clock):
    deadline = retry.Deadline(2.0)
    clock.now = 2.0
    with pytest.raises(DeadlineExceeded, match="within 2 s"):
        deadline.remaining()
