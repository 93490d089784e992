import struct
import warnings

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.dcd import read_frames
from pipelines.molecules.formats.frame import IncompleteFileError

FRAMES = np.random.default_rng(0).uniform(-50, 50, (4, 6, 3)).astype(np.float32)
RIGHT = (30.0, 0.0, 40.0, 0.0, 0.0, 50.0)  # a, cos gamma, b, cos beta, cos alpha, c


def record(order, content):
    return struct.pack(f"{order}i", len(content)) + content + struct.pack(f"{order}i", len(content))


def dcd(frames=FRAMES, cells=None, order="<", announced=None, fixed=(), start=0, interval=5, step=1.0, fourth=False):
    """The bytes of a DCD file as CHARMM and NAMD write it."""
    num_atoms = frames.shape[1]
    control = [0] * 20
    control[:3] = len(frames) if announced is None else announced, start, interval
    control[8], control[10], control[11], control[19] = len(fixed), cells is not None, fourth, 24
    words = bytearray(struct.pack(f"{order}20i", *control))
    words[36:40] = struct.pack(f"{order}f", step)
    parts = [record(order, b"CORD" + bytes(words)), record(order, struct.pack(f"{order}i", 1) + b"a title".ljust(80))]
    parts.append(record(order, struct.pack(f"{order}i", num_atoms)))
    free = [atom for atom in range(num_atoms) if atom not in fixed]
    if fixed:
        parts.append(record(order, (np.array(free) + 1).astype(f"{order}i4").tobytes()))
    for index, frame in enumerate(frames):
        if cells is not None:
            parts.append(record(order, np.array(cells[index], f"{order}f8").tobytes()))
        chosen = frame if index == 0 or not fixed else frame[free]
        parts += [record(order, chosen[:, axis].astype(f"{order}f4").tobytes()) for axis in range(3)]
        if fourth:
            parts.append(record(order, np.zeros(len(chosen), f"{order}f4").tobytes()))
    return b"".join(parts)


def read(tmp_path, content, num_atoms=6):
    path = tmp_path / "a.dcd"
    path.write_bytes(content)
    return list(read_frames(path, num_atoms))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("cells", [None, [RIGHT] * 4])
def test_positions_in_either_byte_order(tmp_path, order, cells):
    for fourth in (False, True):
        found = read(tmp_path, dcd(cells=cells, order=order, fourth=fourth))
        np.testing.assert_array_equal([frame.positions for frame in found], FRAMES)
        expected = np.zeros((3, 3)) if cells is None else np.diag([30.0, 40, 50])
        np.testing.assert_allclose([frame.box for frame in found], [expected] * 4)


def test_fixed_atoms_keep_their_first_positions(tmp_path):
    found = read(tmp_path, dcd(fixed=(1, 4)))
    expected = FRAMES.copy()
    expected[:, [1, 4]] = FRAMES[0, [1, 4]]
    np.testing.assert_array_equal([frame.positions for frame in found], expected)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ((30, 0.5, 40, 0, 0, 50), [[30, 0, 0], [20, 40 * 0.75**0.5, 0], [0, 0, 50]]),
        ((30, 60, 40, 90, 90, 50), [[30, 0, 0], [20, 40 * 0.75**0.5, 0], [0, 0, 50]]),
        ((30, -2, 40, 3, -4, 50), [[30, -2, 3], [-2, 40, -4], [3, -4, 50]]),  # the matrix of new CHARMM versions
        ((30, 0, 40, 0, 0, 0), [[30, 0, 0], [0, 40, 0], [0, 0, 0]]),
    ],
)
def test_conventions_of_the_box(tmp_path, cell, expected):
    np.testing.assert_allclose(read(tmp_path, dcd(cells=[cell] * 4))[2].box, expected, atol=1e-9)


def test_times_follow_from_steps(tmp_path):
    unit = np.sqrt(1e-3 / 4184) * 1e2  # sqrt(amu angstrom^2 / (kcal/mol)) in ps
    times = [frame.time for frame in read(tmp_path, dcd(start=10, interval=5, step=2.0))]
    np.testing.assert_allclose(times, unit * 2.0 * (10 + 5 * np.arange(4)), rtol=1e-5)
    assert read(tmp_path, dcd(step=0.0))[0].time is None


def test_the_same_as_mdanalysis(tmp_path):
    mda = pytest.importorskip("MDAnalysis")
    found = read(tmp_path, dcd(cells=[(30, 0.1, 40, 0.2, -0.1, 50)] * 4, step=3.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = mda.coordinates.DCD.DCDReader(str(tmp_path / "a.dcd"))
        for frame, step in zip(found, reader, strict=True):
            np.testing.assert_allclose(frame.positions, step.positions)
            np.testing.assert_allclose(frame.box, step.triclinic_dimensions, atol=1e-4)
            assert frame.time == pytest.approx(step.time)
        reader.close()


@pytest.mark.parametrize("cells", [None, [RIGHT] * 4])
def test_every_cut_is_found(tmp_path, cells):
    content = dcd(cells=cells)
    begin = len(dcd(FRAMES[:3], cells))
    for size in range(begin + 1, len(content), 3):
        with pytest.raises(IncompleteFileError, match=r"a.dcd: frame 3 is cut off"):
            read(tmp_path, content[:size])
    with pytest.raises(IncompleteFileError, match=r"a.dcd: the header announces 4 frames, the file holds 3"):
        read(tmp_path, content[:begin])


def test_headers_that_announce_no_number_or_fewer_frames(tmp_path):
    for announced in (0, 2):
        assert len(read(tmp_path, dcd(announced=announced))) == 4


def test_faults(tmp_path):
    good = dcd()
    for content, message in (
        (b"not a DCD file" * 9, "expected a DCD file"),
        (good[:60], "the header is cut off"),
        (good[:192] + struct.pack("<i", -6) + good[196:], ".*damaged"),
        (good[:-2] + b"\1\1", "frame 3: the file is damaged"),
        (dcd(FRAMES[:0]), "expected at least one frame"),
    ):
        with pytest.raises(UserError, match=f"a.dcd: {message}"):
            read(tmp_path, content)
    with pytest.raises(UserError, match=r"a.dcd: frame 0: expected 9 atoms as in the topology, found 6"):
        read(tmp_path, good, 9)
