import dataclasses

import numpy as np
import pytest

from pipelines import boxes, stored_trajectory, windows
from pipelines.config import DataConfig
from pipelines.dataset import open_split
from pipelines.manifest import Manifest
from pipelines.open_files import Kept
from pipelines.window_counts import count_windows
from pipelines.windows import Windows

SMALL = DataConfig(subsample=2, subsample_phases=2, warm_up_steps=2, rollout_steps=1, window_shift=1)
CONFIGS = [
    DataConfig(subsample=1, subsample_phases=1, warm_up_steps=3, rollout_steps=4, window_shift=7),
    DataConfig(subsample=6, subsample_phases=3, warm_up_steps=2, rollout_steps=3, window_shift=2),
    DataConfig(subsample=4, subsample_phases=4, warm_up_steps=1, rollout_steps=5, window_shift=1),
]


def reference_windows(trajectory, config):
    """Every window `[T + T', N, C]`, frame by frame."""
    found = []
    for phase in range(config.subsample_phases):
        first = phase * config.subsample // config.subsample_phases
        frames = [frame for frame in range(len(trajectory)) if (frame - first) % config.subsample == 0]
        frames = [frame for frame in frames if frame >= first]
        start = 0
        while start + config.window_steps <= len(frames):
            found.append(np.stack([trajectory[frames[start + step]] for step in range(config.window_steps)]))
            start += config.window_shift
    return found


def windows_of(directory, config):
    manifest = Manifest.load(directory)
    return Windows(open_split(manifest, directory, "train", config), manifest, config)


def test_windows_of_eight_numbered_frames(write_dataset):
    trajectory = np.arange(8, dtype=np.float32).repeat(2).reshape(8, 1, 2)
    found = windows_of(write_dataset({"train": [trajectory]}, features=()), SMALL)
    (columns,) = found.gather(np.arange(4))
    assert columns[..., 0, 0].tolist() == [[0, 2, 4], [2, 4, 6], [1, 3, 5], [3, 5, 7]]
    assert found.first_frames.tolist() == [0, 2, 1, 3]
    assert len(found) == count_windows(8, SMALL) == 4


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_windows_are_those_of_the_slow_loops(write_dataset, random_trajectory, config, num_dimensions):
    """By file, phase and time; smaller systems are padded with zeros, and any windows can be asked for."""
    shapes = dict(num_dimensions=num_dimensions, num_features=2)
    trajectories = [random_trajectory(num_frames=61, num_particles=n, seed=n, **shapes) for n in (3, 2)]
    directory = write_dataset({"train": trajectories}, num_dimensions=num_dimensions, features=("mass", "charge"))
    expected = [window for trajectory in trajectories for window in reference_windows(trajectory, config)]
    found = windows_of(directory, config)
    assert len(found) == len(expected) > 3
    numbers = np.random.default_rng(0).integers(0, len(expected), 20)
    (columns,) = found.gather(numbers)
    inputs, targets = found.read(numbers)
    for place, number in enumerate(numbers):
        count = expected[number].shape[1]
        np.testing.assert_array_equal(columns[place, :, :count], expected[number])
        np.testing.assert_array_equal(columns[place, :, count:], 0.0)
        assert inputs["mask"][place].numpy().tolist() == [1.0] * count + [0.0] * (3 - count)
    np.testing.assert_array_equal(inputs["positions"], columns[:, : config.warm_up_steps, :, :num_dimensions])
    np.testing.assert_array_equal(targets, columns[:, config.warm_up_steps :, :, :num_dimensions])
    np.testing.assert_array_equal(inputs["features"], columns[:, 0, :, num_dimensions:])


@pytest.mark.parametrize("config", [*CONFIGS, SMALL])
@pytest.mark.parametrize("num_frames", [1, 25, 26, 60, 61])
def test_windows_are_counted_without_cutting_them(config, num_frames):
    assert count_windows(num_frames, config) == len(reference_windows(np.zeros((num_frames, 1, 2)), config))


def test_thesis_trajectory_has_four_windows_a_phase():
    assert count_windows(1000, DataConfig(subsample_phases=1)) == 4
    assert count_windows(1000, DataConfig()) == 20


@pytest.mark.parametrize("largest", [1 << 27, 0])
@pytest.mark.parametrize("changes", [False, True])
def test_windows_in_a_box_are_followed_through_every_stored_frame(
    write_dataset, random_trajectory, monkeypatch, changes, largest
):
    """Whether the file is small enough to be followed once, or the frames of each window are."""
    monkeypatch.setattr(windows, "_WRAPS_BYTES", largest)
    config, walk = CONFIGS[1], random_trajectory(num_frames=61)
    lengths = 5.0 + (0.05 * np.sin(np.arange(61))[:, None] if changes else np.zeros((61, 1))) * np.ones((61, 2))
    walk[..., :2] = 0.3 * walk[..., :2]
    walk[..., :2] -= np.floor(walk[..., :2] / lengths[:, None]) * lengths[:, None]
    box = {"box_files": {"train/00000.npy": "box.npy"}} if changes else {"box": (5.0, 5.0)}
    directory = write_dataset({"train": [walk]}, **box)
    np.save(directory / "box.npy", lengths)
    cells = boxes.lattice_vectors(lengths, 2, leading=1)
    found = windows_of(directory, config)
    columns, last_boxes = found.gather(np.arange(len(found)))
    moved = 0.0
    for number, first in enumerate(found.first_frames):
        span = slice(first, first + 4 * config.subsample + 1)
        followed = boxes.unwrap(walk[span, :, :2], cells[span])[:: config.subsample]
        moved = max(moved, np.abs(followed - walk[span, :, :2][:: config.subsample]).max())
        np.testing.assert_allclose(columns[number, ..., :2], followed, atol=1e-6)
        np.testing.assert_allclose(last_boxes[number], cells[first + config.subsample], rtol=1e-6)
    assert moved > 4


def test_rows_beyond_a_window_are_not_read(write_dataset, random_trajectory, monkeypatch):
    """A slice of the file for each window, no more."""
    slices = []

    class Recorder:
        def __init__(self, array):
            self.array = array

        def __getitem__(self, frames):
            slices.append(frames)
            return self.array[frames]

    directory = write_dataset({"train": [random_trajectory(num_frames=61)]})
    found = windows_of(directory, CONFIGS[1])
    original = stored_trajectory.StoredTrajectory.open
    monkeypatch.setattr(stored_trajectory.StoredTrajectory, "open", lambda stored: Recorder(original(stored)))
    found.gather(np.array([1, 0]))
    assert slices == [slice(12, 37, 6), slice(0, 25, 6)]


def test_many_windows_are_not_kept_in_memory(write_dataset, random_trajectory, monkeypatch):
    found = windows_of(write_dataset({"train": [random_trajectory(num_frames=61)]}), CONFIGS[1])
    assert found.num_bytes == 4 * 5 * 3 * 3
    assert found.kept()[1].shape[0] == len(found)
    monkeypatch.setattr(windows, "_KEPT_BYTES", len(found) * found.num_bytes - 1)
    assert found.kept() is None


def test_no_file_stays_open_that_is_too_large(write_dataset, random_trajectory, monkeypatch):
    monkeypatch.setattr(stored_trajectory, "_OPENED", Kept(0))
    config = dataclasses.replace(SMALL, subsample_phases=1)
    trajectory = random_trajectory()
    found = windows_of(write_dataset({"train": [trajectory]}), config)
    (columns,) = found.gather(np.arange(len(found)))
    np.testing.assert_array_equal(columns, np.stack(reference_windows(trajectory, config)))
