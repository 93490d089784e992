import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.xyz import read_frames

FRAMES = np.random.default_rng(0).uniform(-5, 5, (3, 4, 3)).round(3)
NAMES = ["AU", "C", "H", "H"]


def text_of(comment="", frames=FRAMES):
    return "".join(
        f"4\n{comment}\n" + "".join(f"{name} {x} {y} {z}\n" for name, (x, y, z) in zip(NAMES, frame, strict=True))
        for frame in frames
    )


def read(tmp_path, text, num_atoms=4):
    path = tmp_path / "a.xyz"
    path.write_text(text)
    return list(read_frames(path, num_atoms))


def test_all_frames_with_the_names_of_their_atoms(tmp_path):
    found = read(tmp_path, text_of() + "\n\n")
    np.testing.assert_array_equal([frame.positions for frame in found], FRAMES)
    assert found[2].labels.atom_names.tolist() == [name.encode() for name in NAMES]
    assert found[0].box is None


@pytest.mark.parametrize(
    ("comment", "box"),
    [
        ('Lattice="9 0 0 1 8 0 0 0 7" Properties=species:S:1:pos:R:3', [[9, 0, 0], [1, 8, 0], [0, 0, 7]]),
        ('Lattice="9 0 0 0 8 0 0 0 7" pbc="T T F"', [[9, 0, 0], [0, 8, 0], [0, 0, 0]]),
    ],
)
def test_the_box_of_extended_files(tmp_path, comment, box):
    np.testing.assert_array_equal(read(tmp_path, text_of(comment))[1].box, box)


def test_faults_have_line_or_frame(tmp_path):
    for text, message in (
        (text_of().replace("4\n", "5\n"), "frame 0: expected 4 atoms as in the topology, found 5"),
        (text_of().replace("C ", "C x "), "line 4: expected a name and three coordinates"),
        ("four\n" + text_of(), "line 1: expected the number of atoms, found 'four'"),
        (text_of('Lattice="9 0 0"'), "line 2: expected a lattice of 9 numbers"),
        (text_of('Lattice="9 0 0 0 8 0 0 0 7" pbc="T F"'), "line 2: expected three flags"),
        (text_of("Properties=pos:R:3:species:S:1"), "line 2: expected species and positions"),
        ("", "expected atoms, found none"),
    ):
        with pytest.raises(UserError, match=f"a.xyz: {message}"):
            read(tmp_path, text)


def test_a_cut_is_found(tmp_path):
    frames = np.round(FRAMES, 2) + 0.001  # three decimals everywhere
    text = text_of(frames=frames.round(3))
    begin = len(text_of(frames=frames[:2].round(3)))
    for size in range(begin + 3, len(text) - 1):
        with pytest.raises(IncompleteFileError, match=r"frame 2 is cut off"):
            read(tmp_path, text[:size])
    assert len(read(tmp_path, text[:-1])) == 3
