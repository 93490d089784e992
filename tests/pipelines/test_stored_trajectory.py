import os

import numpy as np
import pytest

from pipelines import open_files, stored_trajectory
from pipelines.manifest import Manifest
from pipelines.npy_files import save_trajectory
from pipelines.open_files import Kept
from pipelines.stored_trajectory import StoredTrajectory, frame_chunks

MANIFEST = Manifest("tiny", 2, ("mass",), "1", 0.1, {}, {})


@pytest.mark.parametrize(("overlap", "starts"), [(0, [0, 2, 4, 6]), (1, [0, 2, 4])])
def test_chunks_cover_a_trajectory_and_share_the_overlap(monkeypatch, random_trajectory, overlap, starts):
    monkeypatch.setattr(stored_trajectory, "_CHUNK_NUMBERS", 2 * 3 * 3)
    trajectory = random_trajectory(num_frames=7)
    chunks = list(frame_chunks(trajectory, overlap))
    assert [start for start, _ in chunks] == starts
    for start, frames in chunks:
        np.testing.assert_array_equal(frames, trajectory[start : start + 2 + overlap])
    assert chunks[-1][0] + len(chunks[-1][1]) == 7


@pytest.mark.parametrize("largest", [1 << 28, 0])
@pytest.mark.parametrize(
    ("dtype", "order", "conversion"),
    [
        ("<f4", "C", None),
        ("<f8", "C", "float64"),
        (">f4", "C", "big-endian"),
        ("<f4", "F", "Fortran order"),
        (">f8", "F", "float64, big-endian, Fortran order"),
    ],
)
def test_frames_are_read_whatever_type_and_order_they_are_stored_in(
    tmp_path, random_trajectory, monkeypatch, dtype, order, conversion, largest
):
    monkeypatch.setattr(stored_trajectory, "_OPENED", Kept(largest))
    values = random_trajectory().astype(np.float64) + (1e-9 if dtype.endswith("8") else 0)
    np.save(tmp_path / "0.npy", values.astype(dtype, order=order))
    stored = StoredTrajectory.check(tmp_path / "0.npy", MANIFEST)
    assert stored.conversion == conversion and len(stored) == 40
    for frames in (3, slice(2, 30, 7), np.array([0, 5, 6])):
        found = stored[frames]
        assert found.dtype.isnative and found.flags.c_contiguous
        np.testing.assert_array_equal(found, values[frames].astype(dtype))


def test_a_file_that_was_replaced_is_opened_anew(tmp_path, random_trajectory):
    path = tmp_path / "0.npy"
    for seed in (0, 1):
        save_trajectory(path, random_trajectory(seed=seed))
        np.testing.assert_array_equal(StoredTrajectory.check(path, MANIFEST)[3], random_trajectory(seed=seed)[3])


def test_only_some_files_stay_open(tmp_path, random_trajectory, monkeypatch):
    monkeypatch.setattr(stored_trajectory, "_OPENED", Kept())
    monkeypatch.setattr(open_files, "_MAX_OBJECTS", 5)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        save_trajectory(tmp_path / f"{number}.npy", random_trajectory(seed=number))
    stored = [StoredTrajectory.check(tmp_path / f"{number}.npy", MANIFEST) for number in range(20)]
    for number in (*range(20), 3):
        np.testing.assert_array_equal(stored[number][1], random_trajectory(seed=number)[1])
    assert len(os.listdir("/proc/self/fd")) - before == 5


def test_what_was_used_last_is_kept_as_long_as_it_fits():
    made, kept = [], Kept(max_bytes=10)

    def get(name, size):
        return kept.get(name, size, lambda: made.append(name) or name)

    for name, size in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4), ("large", 11), ("large", 11)):
        assert get(name, size) == name
    assert made == ["a", "b", "c", "b", "large", "large"]
