import numpy as np
import pytest
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.npy_files import StoredTrajectory, save_trajectory
from pipelines.window_counts import count_windows
from pipelines.windows import read, slide, subsample

SMALL = DataConfig(subsample=2, subsample_phases=2, warm_up_steps=2, rollout_steps=1, window_shift=1)


def reference_windows(trajectory, config):
    """Every window `[T + T', N, C]`, frame by frame."""
    windows = []
    for phase in range(config.subsample_phases):
        first = phase * config.subsample // config.subsample_phases
        frames = [frame for frame in range(len(trajectory)) if (frame - first) % config.subsample == 0]
        frames = [frame for frame in frames if frame >= first]
        start = 0
        while start + config.window_steps <= len(frames):
            windows.append(np.stack([trajectory[frames[start + step]] for step in range(config.window_steps)]))
            start += config.window_shift
    return windows


def cut(trajectory, config, num_dimensions=2):
    mask = np.ones(trajectory.shape[1], np.float32)
    dataset = tf.data.Dataset.from_tensors(({"trajectory": trajectory}, {"mask": mask}))
    return list(dataset.apply(subsample(config)).apply(slide(config, num_dimensions)).as_numpy_iterator())


def test_phases_of_eight_numbered_frames():
    trajectory = np.arange(8, dtype=np.float32).reshape(8, 1, 1)
    elements = {"trajectory": trajectory}, {"mask": np.ones(1, np.float32)}
    dataset = tf.data.Dataset.from_tensors(elements).apply(subsample(SMALL))
    phases = [frames["trajectory"].ravel().tolist() for frames, _ in dataset.as_numpy_iterator()]
    assert phases == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_windows_of_eight_numbered_frames():
    trajectory = np.arange(8, dtype=np.float32).repeat(2).reshape(8, 1, 2)
    windows = cut(trajectory, SMALL)
    observed = [inputs["positions"][:, 0, 0].tolist() for inputs, _ in windows]
    targets = [target[:, 0, 0].tolist() for _, target in windows]
    assert observed == [[0, 2], [2, 4], [1, 3], [3, 5]]
    assert targets == [[4], [6], [5], [7]]
    assert count_windows(8, SMALL) == 4


CONFIGS = [
    DataConfig(subsample=1, subsample_phases=1, warm_up_steps=3, rollout_steps=4, window_shift=7),
    DataConfig(subsample=6, subsample_phases=3, warm_up_steps=2, rollout_steps=3, window_shift=2),
    DataConfig(subsample=4, subsample_phases=4, warm_up_steps=1, rollout_steps=5, window_shift=1),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_windows_are_those_of_the_slow_loops(random_trajectory, config, num_dimensions):
    trajectory = random_trajectory(num_frames=61, num_dimensions=num_dimensions, num_features=2)
    expected = reference_windows(trajectory, config)
    windows = cut(trajectory, config, num_dimensions)
    assert len(windows) == len(expected) > 3
    for (inputs, target), window in zip(windows, expected, strict=True):
        positions = window[:, :, :num_dimensions]
        np.testing.assert_array_equal(np.concatenate([inputs["positions"], target]), positions)
        np.testing.assert_array_equal(inputs["features"], window[0, :, num_dimensions:])
        assert len(target) == config.rollout_steps


@pytest.mark.parametrize("config", [*CONFIGS, SMALL])
@pytest.mark.parametrize("num_frames", [1, 25, 26, 60, 61])
def test_windows_are_counted_without_cutting_them(config, num_frames):
    assert count_windows(num_frames, config) == len(reference_windows(np.zeros((num_frames, 1, 2)), config))


def test_thesis_trajectory_has_four_windows_a_phase():
    assert count_windows(1000, DataConfig(subsample_phases=1)) == 4
    assert count_windows(1000, DataConfig()) == 20


def test_read_pads_to_the_largest_system_and_masks_the_padding(tmp_path, random_trajectory):
    arrays = [
        random_trajectory(num_frames=frames, num_particles=particles, seed=particles)
        for frames, particles in ((4, 2), (6, 3), (5, 1))
    ]
    for index, array in enumerate(arrays):
        save_trajectory(tmp_path / f"{index}.npy", array)
    dataset = read([StoredTrajectory.check(tmp_path / f"{index}.npy", 3) for index in range(3)])
    specs = tf.nest.flatten(dataset.element_spec)
    assert [spec.shape.as_list() for spec in specs] == [[None, 3, 3], [3]]
    for (frames, system), array in zip(dataset.as_numpy_iterator(), arrays, strict=True):
        num_particles, trajectory, mask = array.shape[1], frames["trajectory"], system["mask"]
        np.testing.assert_array_equal(trajectory[:, :num_particles], array)
        np.testing.assert_array_equal(trajectory[:, num_particles:], 0.0)
        np.testing.assert_array_equal(mask, [1.0] * num_particles + [0.0] * (3 - num_particles))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_read_takes_every_version_of_the_npy_format(tmp_path, random_trajectory, version):
    array = random_trajectory()
    with (tmp_path / "0.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    ((frames, _),) = read([StoredTrajectory.check(tmp_path / "0.npy", 3)]).as_numpy_iterator()
    np.testing.assert_array_equal(frames["trajectory"], array)
