import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.config import TrainConfig
from socialmd_tf.training.motion_scales import motion_scales
from tests.socialmd_tf.training.small import SMALL, WINDOWS


@pytest.fixture
def accelerated(write_dataset):
    """Positions t^2 / 2 along x and t along y, times a length; every second frame is used."""

    def make(length):
        time = np.arange(40, dtype=np.float32)
        positions = length * np.stack([time**2 / 2, time], axis=-1)[:, None].repeat(2, axis=1)
        frames = np.concatenate([positions, np.ones((40, 2, 1))], axis=-1).astype(np.float32)
        return write_dataset({"train": [frames]})

    return make


def config(**model):
    return TrainConfig(windows=WINDOWS, model=dataclasses.replace(SMALL, **model))


def test_means_over_windows_particles_and_coordinates(accelerated):
    """Windows of 5 frames begin at 0, 4, 8, ... 28 (8 of them), and a move along x at frame t is 2 t + 2."""
    move, acceleration = motion_scales(accelerated(1.0), config())
    moves = [2 * (start + 2 * step) + 2 for start in range(0, 32, 4) for step in range(4)]
    assert move == pytest.approx((np.mean(moves) + 2) / 2)
    assert acceleration == pytest.approx((4 + 0) / 2)


def test_the_scales_are_at_least_the_floor(accelerated):
    """The second difference is 2 on average."""
    assert motion_scales(accelerated(1.0), config(scale_floor=10.0))[1] == 10.0


def test_moves_below_the_floor_are_refused_with_the_flag_to_change(accelerated):
    directory = accelerated(1e-10)
    with pytest.raises(UserError) as refused:
        motion_scales(directory, config())
    assert "--model.scale-floor" in str(refused.value) and "0.0001" in str(refused.value)
    move, _ = motion_scales(directory, config(scale_floor=1e-12))
    assert 1e-10 < move < 1e-8


def test_particles_at_rest_are_refused(accelerated):
    with pytest.raises(UserError, match="no particle moves"):
        motion_scales(accelerated(0.0), config())


def test_features_that_no_network_can_read_are_refused_by_name(write_dataset, random_trajectory):
    for size, is_refused in ((1e3, False), (1e7, True)):
        directory = write_dataset({"train": [random_trajectory() * np.float32([1, 1, size])]})
        if not is_refused:
            motion_scales(directory, config())
            continue
        with pytest.raises(UserError, match=f"{directory}: feature 'mass' reaches .* Convert it to another unit"):
            motion_scales(directory, config())


@pytest.mark.slow_cases("1")
@pytest.mark.parametrize("axis", [0, 1])
def test_moves_that_float32_cannot_represent_are_refused(write_dataset, random_trajectory, axis):
    """Map coordinates: float32 numbers are 0.5 apart there."""
    near = random_trajectory() * np.float32([0.05, 0.05, 1])
    assert min(motion_scales(write_dataset({"train": [near]}), config())) > 0.01
    far = near + np.eye(3, dtype=np.float32)[axis] * np.float32(5e6)
    with pytest.raises(UserError) as refused:
        motion_scales(write_dataset({"train": [far]}, name="far"), config())
    message = str(refused.value)
    assert f": {'xy'[axis]} is about 5e+06" in message and "0.5 apart" in message and "reference position" in message
