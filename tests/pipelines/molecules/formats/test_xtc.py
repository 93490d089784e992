import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.xtc import read_frames
from tests.pipelines.molecules.systems import write_xtc

pytest.importorskip("MDAnalysis", reason="needs the extra `md`: pip install 'socialmd_tf[md]'")
FRAMES = np.random.default_rng(0).uniform(0, 5, (3, 40, 3)).round(3)
BOXES = [np.diag([6.0, 6, 6]), np.diag([6.0, 6, 0]), np.zeros((3, 3))]


@pytest.mark.parametrize("num_atoms", [1, 9, 10, 40])
def test_positions_boxes_and_times(tmp_path, num_atoms):
    path = write_xtc(tmp_path / "a.xtc", FRAMES[:, :num_atoms], BOXES, [0, 2, 4])
    found = list(read_frames(path, num_atoms))
    np.testing.assert_allclose([frame.positions for frame in found], FRAMES[:, :num_atoms], atol=1e-6)
    np.testing.assert_array_equal([frame.box for frame in found], BOXES)
    assert [frame.time for frame in found] == [0, 2, 4]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.xtc"]  # no index is left behind


def test_stale_indices_of_mdanalysis_are_not_trusted(tmp_path):
    path = write_xtc(tmp_path / "a.xtc", FRAMES, BOXES)
    (tmp_path / ".a.xtc_offsets.npz").write_bytes(b"stale")
    assert len(list(read_frames(path, 40))) == 3


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_cut_is_found(tmp_path, share):
    content = write_xtc(tmp_path / "a.xtc", FRAMES, BOXES).read_bytes()
    begin = len(write_xtc(tmp_path / "b.xtc", FRAMES[:2], BOXES[:2]).read_bytes())
    path = tmp_path / "c.xtc"
    path.write_bytes(content[: begin + int(share * (len(content) - begin))])
    found = []
    with pytest.raises(IncompleteFileError, match=r"c.xtc: frame 2 is cut off"):
        for frame in read_frames(path, 40):
            found.append(frame)
    assert len(found) == 2


def test_damaged_frames_do_not_end_the_process(tmp_path):
    """Unpacking such frames can write beyond the memory of the library."""
    content = write_xtc(tmp_path / "a.xtc", FRAMES, BOXES).read_bytes()
    path = tmp_path / "b.xtc"
    path.write_bytes(content[:100] + b"\xff" * 40 + content[140:])
    try:
        assert len(list(read_frames(path, 40))) == 3
    except UserError as error:
        assert "b.xtc: frame 0: the file is damaged" in str(error)


def test_faults(tmp_path):
    path = write_xtc(tmp_path / "a.xtc", FRAMES, BOXES)
    with pytest.raises(UserError, match=r"a.xtc: frame 0: expected 9 atoms as in the topology, found 40"):
        list(read_frames(path, 9))
    content = path.read_bytes()
    for place, message in ((0, "no XTC file"), (52, "does not fit 40 atoms"), (88, "does not fit 40 atoms")):
        path.write_bytes(content[:place] + b"\x7f" + content[place + 1 :])
        with pytest.raises(UserError, match=f"a.xtc: frame 0: .*{message}"):
            list(read_frames(path, 40))
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"a.xtc: expected at least one frame"):
        list(read_frames(path, 40))


def test_two_readers_at_a_time_get_their_own_frames(tmp_path):
    """Each asks ahead, also for other atoms."""
    path, chosen = write_xtc(tmp_path / "a.xtc", FRAMES, BOXES), np.array([3, 17])
    other = write_xtc(tmp_path / "b.xtc", FRAMES + 1, BOXES)
    readers = read_frames(path, FRAMES.shape[1]), read_frames(other, FRAMES.shape[1], chosen)
    for place, (one, two) in enumerate(zip(*readers, strict=True)):
        np.testing.assert_allclose(one.positions, FRAMES[place], atol=1e-3)
        np.testing.assert_allclose(two.positions, FRAMES[place, chosen] + 1, atol=1e-3)
