import dataclasses

import numpy as np
import pytest

from pipelines import dataset
from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.errors import UserError

COARSE = DataConfig(subsample=4, subsample_phases=2, warm_up_steps=3, rollout_steps=4, window_shift=1, rotations=0)
FINE = dataclasses.replace(COARSE, subsample=2, subsample_phases=1, warm_up_steps=4, rollout_steps=8)


@pytest.fixture
def data(write_dataset, random_trajectory):
    test = [random_trajectory(num_particles=number, seed=number) for number in (4, 2)]
    return write_dataset({"train": [random_trajectory()], "test": test})


def joined(windows, directory):
    """All batches as one."""
    batches = list(windows.batches(directory, "test", windows.index(directory, "test")))
    return {
        "observed": [np.concatenate([batch.observed[view] for batch in batches]) for view in windows.views],
        **{
            name: np.concatenate([getattr(batch, name) for batch in batches])
            for name in ("features", "mask", "targets", "trajectories", "last_observed")
        },
    }


def test_one_configuration_gives_the_windows_of_the_pipeline(data):
    windows = CommonWindows([COARSE])
    found = joined(windows, data)
    ((inputs, targets),) = dataset.batches(data, "test", COARSE, batch_size=1000, seed=0, shuffle=False)
    np.testing.assert_array_equal(found["observed"][0], inputs["positions"])
    np.testing.assert_array_equal(found["features"], inputs["features"])
    np.testing.assert_array_equal(found["mask"], inputs["mask"])
    np.testing.assert_array_equal(found["targets"], targets)
    counts = dataset.num_windows_by_file(data, "test", COARSE)
    assert found["trajectories"].tolist() == [0] * counts[0] + [1] * counts[1]
    assert len(CommonWindows([COARSE, COARSE]).index(data, "test")) == sum(counts)


def test_another_sampling_ends_at_the_same_frame_and_meets_at_common_ones(data):
    windows = CommonWindows([FINE, COARSE])
    assert (windows.reference, windows.spacing, windows.num_steps) == (COARSE, 4, 4)
    assert windows.steps_of(FINE) == slice(1, 8, 2)
    assert windows.steps_of(COARSE) == slice(0, 4, 1)
    found = joined(windows, data)
    frames = [np.load(data / f"test/{name}.npy") for name in ("00000", "00001")]
    for window, (number, last) in enumerate(zip(found["trajectories"], found["last_observed"], strict=True)):
        real = found["mask"][window] > 0
        expected = frames[number][..., :2]
        fine, coarse = (each[window][:, real] for each in found["observed"])
        np.testing.assert_array_equal(fine, expected[last - 6 : last + 1 : 2])
        np.testing.assert_array_equal(coarse, expected[last - 8 : last + 1 : 4])
        np.testing.assert_array_equal(found["targets"][window][:, real], expected[last + 4 : last + 17 : 4])
        assert not found["targets"][window][:, ~real].any()
    np.testing.assert_array_equal(windows.index(data, "test"), CommonWindows([COARSE]).index(data, "test"))


def test_windows_that_reach_back_too_far_are_left_out(data):
    long = dataclasses.replace(FINE, warm_up_steps=7)
    windows = CommonWindows([COARSE, long])
    last = windows.index(data, "test")[:, 1]
    alone = CommonWindows([COARSE]).index(data, "test")[:, 1]
    assert last.min() == 12 and alone.min() == 8
    assert sorted(last) == sorted(alone[alone >= 12])


def test_steps_that_never_meet_are_refused():
    with pytest.raises(UserError) as error:
        CommonWindows([COARSE, dataclasses.replace(COARSE, subsample=6, rollout_steps=1)])
    assert str(error.value) == (
        "`model` must name models that predict a common frame, which is every 12 stored frames. "
        "Received rollouts of 4 x 4, 1 x 6 stored frames"
    )


def test_no_window_left_is_refused(data):
    windows = CommonWindows([COARSE, dataclasses.replace(FINE, warm_up_steps=30)])
    with pytest.raises(UserError, match="the split 'test' has no window with the observed frames of all models"):
        windows.index(data, "test")


def test_more_particles_mean_smaller_batches():
    assert [CommonWindows.batch_size(number) for number in (1, 25, 1000, 10_000)] == [32, 32, 1, 1]
