import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.trr import read_frames
from tests.pipelines.molecules.systems import write_trr

pytest.importorskip("MDAnalysis", reason="needs the extra `md`: pip install 'socialmd_tf[md]'")
FRAMES = np.random.default_rng(0).uniform(-5, 5, (4, 7, 3)).astype(np.float32)
BOX = [[4, 0, 0], [1, 5, 0], [0, 0, 0]]


def test_positions_boxes_and_times(tmp_path):
    found = list(read_frames(write_trr(tmp_path / "a.trr", FRAMES, BOX, [5, 7, 9, 11]), 7))
    np.testing.assert_array_equal([frame.positions for frame in found], FRAMES)
    np.testing.assert_array_equal([frame.box for frame in found], [BOX] * 4)
    assert [frame.time for frame in found] == [5, 7, 9, 11]


def test_double_precision(tmp_path):
    """The library writes single precision; a double is two such words."""
    content = write_trr(tmp_path / "a.trr", FRAMES[:1], BOX).read_bytes()
    header = np.frombuffer(content[24:76], ">i4").copy()
    header[:10] *= 2
    values = np.frombuffer(content[76:], ">f4").astype(">f8")
    path = tmp_path / "b.trr"
    path.write_bytes((content[:24] + header.tobytes() + values.tobytes()) * 2)
    found = list(read_frames(path, 7))
    np.testing.assert_array_equal([frame.positions for frame in found], FRAMES[[0, 0]])
    np.testing.assert_array_equal(found[1].box, BOX)


def test_frames_of_velocities_have_no_positions(tmp_path):
    path = write_trr(tmp_path / "a.trr", [FRAMES[0], None, FRAMES[2]], BOX)
    assert [frame.positions is None for frame in read_frames(path, 7)] == [False, True, False]


def test_every_cut_is_found(tmp_path):
    content = write_trr(tmp_path / "a.trr", FRAMES, BOX).read_bytes()
    path = tmp_path / "b.trr"
    size = len(content) // 4
    for cut in range(1, size, 13):
        path.write_bytes(content[: 3 * size + cut])
        with pytest.raises(IncompleteFileError, match=r"b.trr: frame 3 is cut off"):
            list(read_frames(path, 7))
    path.write_bytes(content[: 3 * size])
    assert len(list(read_frames(path, 7))) == 3


def test_faults(tmp_path):
    path = write_trr(tmp_path / "a.trr", FRAMES, BOX)
    with pytest.raises(UserError, match=r"a.trr: frame 0: expected 9 atoms as in the topology, found 7"):
        list(read_frames(path, 9))
    content = path.read_bytes()
    for place, message in ((0, "no TRR file"), (30, "do not hold 7 atoms"), (54, "do not hold 7 atoms")):
        path.write_bytes(content[:place] + b"\7" + content[place + 1 :])
        with pytest.raises(UserError, match=f"a.trr: frame 0: .*{message}"):
            list(read_frames(path, 7))
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"a.trr: expected at least one frame"):
        list(read_frames(path, 7))
