from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.frame_times import FrameTimes
from pipelines.molecules.simulation_frames import Frame


def run(times, given=None):
    frame_times = FrameTimes(given)
    for index, time in enumerate(times):
        frame_times.note(Frame(Path("a.xtc"), index, np.zeros((1, 3)), None, time))
    return frame_times.time_between_frames("a.xtc")


def as_float32(start, step, count=40):
    """Times as XTC files store them."""
    return np.float32(start + step * np.arange(count)).astype(float)


@pytest.mark.parametrize(
    ("start", "step"), [(0, 100), (0, 0.1), (50, 100), (1e5, 0.1), (2000, 0.02), (1e6, 0.5), (1e6, 0.05), (3e5, 0.123)]
)
def test_the_step_is_found_whatever_float32_makes_of_the_times(start, step):
    assert run(as_float32(start, step, 400)) == step


def test_times_equal_in_float32_are_no_fault_if_the_whole_trajectory_tells_the_step():
    times = as_float32(1e6, 0.02, 2000)
    assert (np.diff(times) == 0).any()
    assert run(times) == pytest.approx(0.02, rel=0.01)


def test_the_user_overrides_the_file():
    assert run([0, 1, 5, None], given=1000.0) == 1000


@pytest.mark.parametrize("start", [0.0, 1e5])
@pytest.mark.parametrize("missing", [1, 20, 38])
def test_a_missing_frame_is_found_also_late_in_a_run(start, missing):
    times = np.delete(as_float32(start, 0.1), missing)
    with pytest.raises(UserError, match="ps and the frame before it at"):
        run(times)


@pytest.mark.parametrize(
    ("times", "values"),
    [
        ([0, 100, 200, 350], ["frame 3", "350 ps", "200 ps", "100 ps"]),
        ([0, 100, 0, 100], ["frame 2", "0 ps", "100 ps", "`--split-by file`", "`--time-between-frames`"]),
        ([100, 100, 100], ["100 ps", "`--time-between-frames`"]),
        ([100, 50], ["frame 1", "50 ps", "100 ps"]),
        ([None], ["a.xtc", "`--time-between-frames`"]),
        ([np.nan], ["a.xtc", "`--time-between-frames`"]),
        ([7.0], ["a.xtc", "one frame"]),
        (as_float32(1e5, 0.1, 3), ["a.xtc", "100000", "`--time-between-frames`"]),
    ],
)
def test_times_without_a_step_are_refused(times, values):
    with pytest.raises(UserError) as error:
        run(times)
    assert all(value in str(error.value) for value in values)


def test_times_that_differ_differ_in_print():
    times = [100000.0, 100000.1015625, 100000.1953125, 100000.9]
    with pytest.raises(UserError, match=r"100000\.9 ps and the frame before it at 100000\.195"):
        run(times)
