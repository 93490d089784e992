import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.fitting.dataset import read_split

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=1, rotations=0)
FEATURES = ("mass", "anchor_x", "anchor_y", "dipole_x", "dipole_y", "velocity_x", "velocity_y")


def walk(num_frames, num_particles, seed):
    rng = np.random.default_rng(seed)
    moves = rng.normal(scale=0.2, size=(num_frames, num_particles, 2))
    constant = np.broadcast_to(rng.normal(size=(num_particles, 5)), (num_frames, num_particles, 5))
    return np.concatenate([moves.cumsum(axis=0), constant, moves], axis=-1).astype("float32")


def test_every_nth_frame_of_all_systems_padded(write_dataset):
    """Without anchors, which the rollout does not hand to forces; velocities are no features."""
    files = [walk(20, 3, 0), walk(15, 2, 1)]
    directory = write_dataset({"train": files}, features=FEATURES)
    data = read_split(directory, "train", WINDOWS)
    assert data.positions.shape == (2, 8, 3, 2) and data.positions.dtype == np.float64
    assert data.feature_names == ("mass", None, None)
    np.testing.assert_array_equal(data.positions[0], files[0][:16:2, :, :2])
    np.testing.assert_array_equal(data.positions[1, :, :2], files[1][::2, :, :2])
    np.testing.assert_array_equal(data.features[1, :2], files[1][0][:, [2, 5, 6]])
    np.testing.assert_array_equal(data.mask, [[True] * 3, [True, True, False]])
    interval = 2 * Manifest.load(directory).time_between_frames
    np.testing.assert_allclose(data.velocities[1, :, :2], interval * files[1][::2, :, -2:].astype(float), rtol=1e-12)
    assert not data.velocities[1, :, 2].any()
    assert not data.positions[1, :, 2].any() and data.cell is None


def test_wrapped_positions_are_unwrapped_before_frames_are_left_out(write_dataset):
    frames = walk(20, 3, 0)
    wrapped = frames.copy()
    wrapped[..., :2] %= 1.5
    data = read_split(write_dataset({"train": [wrapped]}, features=FEATURES, box=(1.5, 1.5)), "train", WINDOWS)
    moved = data.positions[0] - data.positions[0, 0]
    np.testing.assert_allclose(moved, (frames[::2, :, :2] - frames[0, :, :2]), atol=1e-5)
    np.testing.assert_array_equal(data.cell, [1.5 * np.eye(2)])


@pytest.mark.parametrize("box", [None, (1.5, 1.5)])
def test_some_simulations_and_frames_are_the_first_of_all(write_dataset, box):
    files = [walk(40, 3, seed) for seed in range(3)]
    for file in files:
        file[..., :2] %= 1.5 if box else 1e6
    directory = write_dataset({"train": files}, features=FEATURES, box=box)
    every, some = read_split(directory, "train", WINDOWS), read_split(directory, "train", WINDOWS, 2, 7)
    np.testing.assert_array_equal(some.positions, every.positions[:2, :7])
    np.testing.assert_array_equal(some.velocities, every.velocities[:2, :7])


def test_every_file_may_have_its_own_box(write_dataset):
    files = {"train/00000.npy": "first.npy", "train/00001.npy": "second.npy"}
    directory = write_dataset({"train": [walk(20, 3, 0), walk(20, 3, 1)]}, features=FEATURES, box_files=files)
    for name, side in (("first.npy", 3.0), ("second.npy", 4.0)):
        np.save(directory / name, np.full((20, 2), side))
    np.testing.assert_array_equal(read_split(directory, "train", WINDOWS).cell, [3 * np.eye(2), 4 * np.eye(2)])


def test_a_box_that_changes_in_time_is_refused(write_dataset):
    directory = write_dataset(
        {"train": [walk(20, 3, 0)]}, features=FEATURES, box_files={"train/00000.npy": "boxes.npy"}
    )
    np.save(directory / "boxes.npy", np.linspace(3, 4, 20)[:, None] * np.ones(2))
    with pytest.raises(UserError, match=r"^[^\n]*constant in time[^\n]* frame 1 of [^\n]*pair_mlp$"):
        read_split(directory, "train", WINDOWS)


def test_two_particles_in_one_place_are_refused(write_dataset):
    """In a frame that the fit reads, with file, frame and particles; an equal x alone is no fault."""
    frames = walk(20, 4, 0)
    frames[:, 3, 0] = frames[:, 0, 0]
    frames[3, 2] = frames[3, 1]  # a frame that is left out
    read_split(write_dataset({"train": [walk(20, 4, 1), frames]}, features=FEATURES), "train", WINDOWS)
    frames[12, 2] = frames[12, 1]
    directory = write_dataset({"train": [walk(20, 4, 1), frames]}, features=FEATURES)
    with pytest.raises(UserError, match=r"00001\.npy: expected .*, found particles 1 and 2 in one place in frame 12"):
        read_split(directory, "train", WINDOWS)
