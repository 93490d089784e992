"""`rollout` reads the frames it needs and no more."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipelines import boxes
from pipelines.manifest import Manifest
from pipelines.stored_trajectory import StoredTrajectory
from socialmd_tf.rollout import read

SUBSAMPLE, FIRST, NUM_FRAMES = 4, 3, 5
LAST = FIRST + SUBSAMPLE * (NUM_FRAMES - 1)


@pytest.fixture
def frames_read(monkeypatch):
    """Numbers of the frames that were read."""
    found, original = set(), StoredTrajectory.__getitem__

    def record(stored, frames):
        found.update(np.arange(len(stored))[frames].ravel().tolist())
        return original(stored, frames)

    monkeypatch.setattr(StoredTrajectory, "__getitem__", record)
    return found


@pytest.mark.parametrize("box", [None, (6.0, 6.0)])
def test_only_the_observed_and_the_predicted_frames_are_read(write_dataset, random_trajectory, frames_read, box):
    walk = random_trajectory(num_frames=60)
    if box:
        walk[..., :2] %= 6.0
    walk[LAST + 1 :] = np.nan
    directory = write_dataset({"test": [walk]}, box=box)
    command = SimpleNamespace(input=directory / "test/00000.npy", data=directory, first_frame=FIRST)
    model = SimpleNamespace(card={"windows": {"subsample": SUBSAMPLE}})
    positions, features, cells = read(command, model, Manifest.load(directory), NUM_FRAMES)
    chosen = np.arange(FIRST, LAST + 1, SUBSAMPLE)
    if box is None:
        assert sorted(frames_read) == chosen.tolist() and cells is None
        np.testing.assert_array_equal(positions, walk[chosen, :, :2])
    else:  # particles are followed through every frame between the first and the last
        assert sorted(frames_read) == list(range(FIRST, LAST + 1))
        followed = boxes.unwrap(walk[FIRST : LAST + 1, :, :2], np.diag(box))[::SUBSAMPLE]
        np.testing.assert_allclose(positions, followed, atol=1e-5)
        assert cells.shape == (NUM_FRAMES, 2, 2)
    np.testing.assert_array_equal(features, walk[0, :, 2:])


def test_a_file_that_ends_early_gives_the_frames_it_has(write_dataset, random_trajectory):
    directory = write_dataset({"test": [random_trajectory(num_frames=12)]})
    command = SimpleNamespace(input=directory / "test/00000.npy", data=directory, first_frame=FIRST)
    model = SimpleNamespace(card={"windows": {"subsample": SUBSAMPLE}})
    positions, *_ = read(command, model, Manifest.load(directory), NUM_FRAMES)
    assert len(positions) == len(range(FIRST, 12, SUBSAMPLE)) == 3
