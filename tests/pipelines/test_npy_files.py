import re

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.npy_files import open_trajectory, save_chunks, save_trajectory


def test_saved_trajectory_is_float32_in_c_order_and_alone_in_its_directory(tmp_path):
    trajectory = np.asfortranarray(np.arange(24.0).reshape(4, 2, 3))
    path = tmp_path / "train/0.npy"
    save_trajectory(path, trajectory)
    stored = np.load(path)
    assert stored.dtype == np.float32 and stored.flags.c_contiguous
    np.testing.assert_array_equal(stored, trajectory)
    np.testing.assert_array_equal(open_trajectory(path, 3), trajectory)
    assert list(path.parent.iterdir()) == [path]


def test_save_trajectory_refuses_another_rank(tmp_path):
    expected = re.escape("`trajectory` must be [num_frames, N, D + F]. Received: (4, 2)")
    with pytest.raises(UserError, match=expected):
        save_trajectory(tmp_path / "0.npy", np.zeros((4, 2)))


def test_a_trajectory_written_in_pieces_has_the_bytes_of_one_written_whole(tmp_path, random_trajectory):
    trajectory = random_trajectory(num_frames=7)
    save_trajectory(tmp_path / "whole.npy", trajectory)
    save_chunks(tmp_path / "pieces.npy", trajectory.shape, (trajectory[:3], trajectory[3:3], trajectory[3:]))
    assert (tmp_path / "pieces.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    ("shape", "message"),
    [((8, 3, 3), "`chunks` must be 8 frames in total. Received: 7"), ((7, 2, 3), r"`chunks` must be \[frames, 2, 3\]")],
)
def test_pieces_that_do_not_fit_leave_no_file(tmp_path, random_trajectory, shape, message):
    with pytest.raises(UserError, match=message):
        save_chunks(tmp_path / "pieces.npy", shape, [random_trajectory(num_frames=7)])
    assert list(tmp_path.iterdir()) == []
