import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.gro import read_frames, read_topology
from tests.pipelines.molecules.systems import Molecule, gro_frame, write_gro

MOLECULES = [Molecule("OQL", 99999, ["A", "B"]), Molecule("OQL", 0, ["A", "B"]), Molecule("SODIU", 1, ["NA+"])]
FRAMES = np.random.default_rng(0).uniform(-5, 5, (3, 5, 3)).round(3)
BOX = (4.0, 5.0, 6.0)


def positions_of(path, num_atoms=5):
    return [frame.positions for frame in read_frames(path, num_atoms)]


def written(tmp_path, text):
    path = tmp_path / "a.gro"
    path.write_text(text)
    return path


def test_the_topology(tmp_path):
    topology = read_topology(write_gro(tmp_path / "a.gro", MOLECULES, FRAMES))
    assert topology.atom_names.tolist() == ["A", "B", "A", "B", "NA+"]
    assert topology.molecule_names.tolist() == ["OQL"] * 4 + ["SODIU"]
    assert topology.molecule_numbers.tolist() == ["99999", "99999", "0", "0", "1"]


@pytest.mark.parametrize("digits", [3, 5])
def test_all_frames_are_read_at_any_precision(tmp_path, digits):
    path = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES, BOX, digits)
    found = list(read_frames(path, 5))
    np.testing.assert_allclose([frame.positions for frame in found], FRAMES, atol=1e-9)
    np.testing.assert_array_equal([frame.box for frame in found], [np.diag(BOX)] * 3)
    assert [frame.index for frame in found] == [0, 1, 2]


def test_velocities_blank_titles_and_blank_lines_at_the_end(tmp_path):
    lines = gro_frame(MOLECULES, FRAMES[0], BOX).splitlines()
    lines[0] = ""
    lines[2:7] = [line + "  0.1000 -0.2000  0.3000" for line in lines[2:7]]
    path = written(tmp_path, "\n".join(lines * 2) + "\n\n\n\n")
    np.testing.assert_array_equal(positions_of(path), [FRAMES[0]] * 2)


@pytest.mark.parametrize(
    ("numbers", "box"),
    [
        ([4, 5, 6, 0, 0, 1, 0, 2, 3], [[4, 0, 0], [1, 5, 0], [2, 3, 6]]),
        ([4, 5, 0], [[4, 0, 0], [0, 5, 0], [0, 0, 0]]),
        ([0, 0, 0], np.zeros((3, 3))),
        ([4, 5, 0, 0, 0, 1, 0, 0, 0], [[4, 0, 0], [1, 5, 0], [0, 0, 0]]),
    ],
)
def test_boxes(tmp_path, numbers, box):
    (frame,) = read_frames(write_gro(tmp_path / "a.gro", MOLECULES, FRAMES[:1], numbers), 5)
    np.testing.assert_array_equal(frame.box, box)


@pytest.mark.parametrize("box", [BOX, (4, 5, 6, 0, 0, 1, 0, 2, 3)])
def test_every_cut_is_found(tmp_path, box):
    text = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES[:2], box).read_text()
    begin = len(text) // 2
    for size in range(begin + 1, len(text) - 1, 2):
        with pytest.raises((IncompleteFileError, UserError)) as error:
            positions_of(written(tmp_path, text[:size]))
        assert isinstance(error.value, IncompleteFileError) and "frame 1 is cut off" in str(error.value), size
    assert len(positions_of(written(tmp_path, text[:begin]))) == 1
    assert len(positions_of(written(tmp_path, text[:-1]))) == 2  # only the end of the last line is missing


def test_faults_have_their_line_or_frame(tmp_path):
    lines = gro_frame(MOLECULES, FRAMES[0], BOX).splitlines(keepends=True)

    def fault(changed, num_atoms=5):
        with pytest.raises(UserError) as error:
            positions_of(written(tmp_path, "".join(changed)), num_atoms)
        return str(error.value)

    assert "frame 0: expected 7 atoms as in the topology, found 5" in fault(lines, 7)
    assert "frame 1: expected 5 atoms as in the topology, found 6" in fault([*lines, lines[0], "6\n"])
    assert "line 2: expected the number of atoms, found 'five'" in fault([lines[0], "five\n", *lines[2:]])
    assert "line 2: expected the number of atoms" in fault([lines[0], "-5\n", *lines[2:]])
    assert "line 4: expected three coordinates" in fault(
        [*lines[:3], lines[3][:20] + "what".rjust(24) + "\n", *lines[4:]]
    )
    assert "line 8: expected a box of 3 or 9 numbers, found '4 5'" in fault([*lines[:7], "4 5\n"])
    assert "frame 0: expected the vectors of a box" in fault([*lines[:7], "4 5 nan\n"])
    assert "a.gro: expected atoms, found none" in fault(["\n\n"])
