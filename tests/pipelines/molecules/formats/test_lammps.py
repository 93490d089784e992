import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.lammps import read_frames

GENERATOR = np.random.default_rng(0)
FRAMES = GENERATOR.uniform(0, 1, (3, 5, 3)).round(4)
LOW, LENGTHS = np.array([-2.0, 1.0, 3.0]), np.array([8.0, 9.0, 10.0])


def dump(frames, columns="id type x y z", boundary="pp pp pp", bounds=None, shuffle=False):
    lines = []
    for index, frame in enumerate(frames):
        lines += ["ITEM: TIMESTEP", f"{100 * index}", "ITEM: NUMBER OF ATOMS", f"{len(frame)}"]
        lines += [f"ITEM: BOX BOUNDS {boundary}".strip()]
        lines += bounds or [f"{low} {low + length}" for low, length in zip(LOW, LENGTHS, strict=True)]
        lines += [f"ITEM: ATOMS {columns}"]
        rows = []
        for atom, x in enumerate(frame):
            known = {"id": atom + 1, "type": 1 + atom % 2}
            rows.append(" ".join(str(known.get(name, x["xyz".find(name[0])])) for name in columns.split()))
        lines += list(GENERATOR.permutation(rows)) if shuffle else rows
    return "\n".join(lines) + "\n"


def read(tmp_path, text, num_atoms=5):
    path = tmp_path / "a.lammpsdump"
    path.write_text(text)
    return list(read_frames(path, num_atoms))


@pytest.mark.parametrize("names", ["x y z", "xu yu zu", "xs ys zs", "xsu ysu zsu"])
def test_atoms_are_sorted_and_scaled_positions_are_put_into_the_box(tmp_path, names):
    found = read(tmp_path, dump(FRAMES, f"id type {names}", shuffle=True))
    expected = FRAMES * LENGTHS if "s" in names else FRAMES - LOW
    np.testing.assert_allclose([frame.positions for frame in found], expected)
    np.testing.assert_array_equal(found[1].box, np.diag(LENGTHS))
    assert all(frame.time is None for frame in found)
    assert [label.tolist() for label in (found[0].labels.rows, found[2].labels.rows)] == [
        [b"1 1", b"2 2", b"3 1", b"4 2", b"5 1"]
    ] * 2


def test_axes_that_are_not_periodic_are_open(tmp_path):
    found = read(tmp_path, dump(FRAMES, "id xs ys zs", "pp ff pp"))
    np.testing.assert_array_equal(found[0].box, np.diag(LENGTHS * [1, 0, 1]))
    np.testing.assert_allclose(found[0].positions, FRAMES[0] * LENGTHS)
    np.testing.assert_array_equal(read(tmp_path, dump(FRAMES, boundary=""))[0].box, np.diag(LENGTHS))


def test_a_tilted_box_by_hand(tmp_path):
    # Edges (8, 0, 0), (-2, 9, 0) and (1, 3, 10); the bounds enclose the tilted box.
    bounds = ["-2.0 9.0 -2.0", "0.0 12.0 1.0", "0.0 10.0 3.0"]
    (frame,) = read(tmp_path, dump(FRAMES[:1], "id xs ys zs", "xy xz yz pp pp pp", bounds))
    box = np.array([[8.0, 0, 0], [-2, 9, 0], [1, 3, 10]])
    np.testing.assert_array_equal(frame.box, box)
    np.testing.assert_allclose(frame.positions, FRAMES[0] @ box)


def test_faults_have_line_or_frame(tmp_path):
    good = dump(FRAMES)
    for text, message in (
        (dump(FRAMES, "type x y z"), "frame 0: expected a column `id`"),
        (dump(FRAMES, "id type vx vy vz"), "frame 0: expected columns `x y z`"),
        (good.replace("ATOMS\n5", "ATOMS\n6"), "frame 0: expected 5 atoms as in the topology, found 6"),
        (good.replace("ATOMS\n5", "ATOMS\nx"), "line 4: expected the number of atoms, found 'x'"),
        (good.replace("BOUNDS pp", "BOUNDS abc origin pp"), "frame 0: expected BOX BOUNDS"),
        (good.replace("BOUNDS pp", "BOUNDS pp pp"), "frame 0: expected BOX BOUNDS"),
        (good.replace("ITEM: NUMBER", "ITEM: NUMB", 1), "line 3: expected ITEM: NUMBER OF ATOMS"),
        (good.replace("-2.0 6.0", "-2.0"), "line 6: expected 2 numbers"),
        (good.replace("\n3 1 ", "\nx 1 "), "frame 0: the 5 lines after line 9 cannot be read"),
        (good.replace("\n3 1 ", "\n3 1 1 "), "frame 0: the 5 lines after line 9 cannot be read"),
        ("", "expected at least one frame"),
    ):
        with pytest.raises(UserError, match=f"a.lammpsdump: {message}"):
            read(tmp_path, text)


def test_a_cut_is_found(tmp_path):
    text, begin = dump(FRAMES), len(dump(FRAMES[:2]))
    for size in range(begin + 1, len(text), 3):
        with pytest.raises(IncompleteFileError, match="cut off"):
            read(tmp_path, text[:size])
