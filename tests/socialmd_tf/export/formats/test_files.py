"""Files are read back by the programs they are for: MDAnalysis and ASE."""

import csv
import io
import sys
import warnings

import ase.io
import MDAnalysis
import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.export.formats.files import SUFFIXES, check_format, check_suffix, write_paths

BINARY = [".xtc", ".dcd", ".h5md"]
OTHERS = [*BINARY, ".pdb", ".extxyz"]
GENERATOR = np.random.default_rng(0)
OBSERVED, MEAN = GENERATOR.normal(size=(2, 12, 3)), GENERATOR.normal(size=(3, 12, 3))
SAMPLES, TRUTH = GENERATOR.normal(size=(2, 3, 12, 3)), GENERATOR.normal(size=(1, 12, 3))
TRICLINIC = np.array([[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [-1.0, 0.5, 6.0]])
TYPES = ("OQL", "ONC", "DPPC") * 4
FACTS = {"length_unit": "nm", "time_unit": "ns", "types": TYPES, "box": TRICLINIC}


def write(path, observed=OBSERVED, mean=MEAN, samples=(), truth=(), **changes):
    times = 0.25 * np.arange(len(observed) + len(mean))
    return write_paths(path, observed, mean, samples, truth, **{"times": times, **FACTS, **changes})


def read_back(path, **options):
    """Types, positions, times and boxes of a file, as MDAnalysis or ASE reads it."""
    if path.suffix == ".extxyz":
        frames = ase.io.read(path, ":")
        boxes = np.array([frame.cell.array for frame in frames])
        positions = np.array([frame.positions for frame in frames])
        times = [frame.info["time"] for frame in frames]
        return frames[0].arrays["label"].tolist(), positions, times, boxes if frames[0].pbc.any() else None
    names = [path] if path.suffix == ".pdb" else [path.with_suffix(".topology.pdb"), path]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(*map(str, names), to_guess=(), **options)
        steps = [step.copy() for step in universe.trajectory]
        boxes = None if steps[0].dimensions is None else np.array([step.triclinic_dimensions for step in steps])
        positions, times = np.array([step.positions for step in steps]), [step.time for step in steps]
        universe.trajectory.close()
    return universe.atoms.resnames.tolist(), positions, times, boxes


@pytest.mark.parametrize("suffix", OTHERS)
def test_names_units_times_and_box_are_read_back(tmp_path, suffix):
    written, note = write(tmp_path / f"new/x{suffix}")
    assert note == "" and written[0] == tmp_path / f"new/x{suffix}"
    assert sorted(written) == sorted((tmp_path / "new").iterdir())
    types, positions, times, boxes = read_back(written[0])
    assert types == list(TYPES)
    np.testing.assert_allclose(
        positions, 10 * np.concatenate([OBSERVED, MEAN]), atol=6e-4 if suffix == ".pdb" else 2e-5
    )
    tolerance = 5e-2 if suffix == ".pdb" else 1e-4  # two decimals of the angles
    np.testing.assert_allclose(boxes, np.broadcast_to(10 * TRICLINIC, (5, 3, 3)), atol=tolerance)
    if suffix != ".pdb":  # which has no place for times but a remark
        np.testing.assert_allclose(times, [0, 250, 500, 750, 1000], rtol=1e-6)


def test_a_pdb_file_says_its_times_in_a_remark(tmp_path):
    write(tmp_path / "x.pdb")
    assert "EVERY 250 ps FROM 0 ps" in (tmp_path / "x.pdb").read_text()


@pytest.mark.parametrize("suffix", OTHERS)
def test_two_dimensions_without_box_names_or_units(tmp_path, suffix):
    plane = {"observed": OBSERVED[..., :2], "mean": MEAN[..., :2]}
    unknown = {"length_unit": "1", "time_unit": None, "types": None, "box": None}
    written, note = write(tmp_path / f"x{suffix}", **plane, **unknown)
    assert "length '1'" in note and "time not stated" in note and "\n" not in note
    options = {"convert_units": False} if suffix == ".h5md" else {}
    types, positions, times, boxes = read_back(written[0], **options)
    assert types == ["X"] * 12 and boxes is None
    np.testing.assert_allclose(positions[..., :2], np.concatenate([OBSERVED, MEAN])[..., :2], atol=6e-4)
    np.testing.assert_array_equal(positions[..., 2], 0)
    if suffix != ".pdb":
        np.testing.assert_allclose(times, 0.25 * np.arange(5), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".xtc", ".extxyz"])
def test_an_open_axis_gets_an_edge_that_nothing_reaches(tmp_path, suffix):
    """Edges 3 and 4 stay; the open one is longer than twice the paths."""
    (path, *_), _ = write(tmp_path / f"x{suffix}", box=np.array([3.0, 0.0, 4.0]))
    _, positions, _, boxes = read_back(path)
    np.testing.assert_allclose(boxes[0][[0, 2]], 10 * np.array([[3, 0, 0], [0, 0, 4]]), atol=1e-5)
    assert boxes[0][1, 1] > 2 * np.ptp(positions[..., 1])
    if suffix == ".extxyz":
        assert ase.io.read(path).pbc.tolist() == [True, False, True]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_xtc_keeps_the_digits_of_float32(tmp_path, scale):
    write(tmp_path / "x.xtc", OBSERVED * scale, MEAN * scale, box=None)
    _, positions, _, _ = read_back(tmp_path / "x.xtc")
    true = 10 * scale * np.concatenate([OBSERVED, MEAN])
    assert np.abs(positions - true).max() < 1e-6 * np.abs(true).max()


@pytest.mark.parametrize("suffix", OTHERS)
def test_every_sample_is_a_file(tmp_path, suffix):
    written, _ = write(tmp_path / f"x{suffix}", samples=SAMPLES)
    samples = [tmp_path / f"x.sample-0{number}{suffix}" for number in range(2)]
    assert [path for path in written if "sample" in path.name] == samples
    for path, sample in zip(samples, SAMPLES, strict=True):
        for other in path.parent.glob("*.topology.pdb"):
            path.with_suffix(".topology.pdb").write_bytes(other.read_bytes())
        positions = read_back(path)[1]
        np.testing.assert_allclose(positions, 10 * np.concatenate([OBSERVED, sample]), atol=6e-4)


def test_csv_holds_all_paths_in_the_units_of_the_data(tmp_path):
    written, note = write(tmp_path / "x.csv", samples=SAMPLES, truth=TRUTH)
    assert (written, note) == ([tmp_path / "x.csv"], "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert list(rows[0]) == ["path", "frame", "time", "particle", "type", "x", "y", "z"]
    parts = {"observed": OBSERVED, "mean": MEAN, "truth": TRUTH, "sample-00": SAMPLES[0], "sample-01": SAMPLES[1]}
    for name, positions in parts.items():
        mine = [row for row in rows if row["path"] == name]
        found = np.array([[float(row[axis]) for axis in "xyz"] for row in mine]).reshape(positions.shape)
        np.testing.assert_allclose(found, positions, rtol=1e-8)
        frames = np.repeat(np.arange(len(positions)) + 2 * (name != "observed"), 12)
        assert [int(row["frame"]) for row in mine] == frames.tolist()
        assert [float(row["time"]) for row in mine] == (0.25 * frames).tolist()
        assert [row["type"] for row in mine[:12]] == list(TYPES)
        assert [int(row["particle"]) for row in mine[:12]] == list(range(12))
    assert len(rows) == sum(map(len, parts.values())) * 12


@pytest.mark.parametrize("name", ["x.npy", "x", "x.XTC"])
def test_other_suffixes_are_refused_with_the_list(tmp_path, name):
    with pytest.raises(UserError) as refusal:
        check_suffix(tmp_path / name)
    assert all(word in str(refusal.value) for word in ("`output`", *SUFFIXES, name))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_library_is_one_line(tmp_path, monkeypatch, suffix):
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    if suffix in (".npz", ".csv", ".extxyz"):
        check_format(tmp_path / f"x{suffix}")
        return
    with pytest.raises(UserError, match=f"a {suffix} file needs MDAnalysis.*pip install MDAnalysis"):
        check_format(tmp_path / f"x{suffix}")


def test_positions_that_a_pdb_file_cannot_hold(tmp_path):
    far = {"observed": OBSERVED + 2000, "mean": MEAN + 2000, "box": None}
    with pytest.raises(UserError, match=r"\.pdb.*-999\.999 to 9999\.999.*\.extxyz"):
        write(tmp_path / "x.pdb", **far)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "x.dcd", **far)  # its topology has the names
    types, positions, _, _ = read_back(tmp_path / "x.dcd")
    assert types == list(TYPES) and positions.min() > 19_000


@pytest.mark.parametrize("suffix", [".xtc", ".dcd", ".h5md", ".pdb"])
def test_a_turned_box_is_refused_where_its_orientation_would_be_lost(tmp_path, suffix):
    turned = np.array([[0.0, 4.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    with pytest.raises(UserError, match=r"`box`.*\.extxyz"):
        write(tmp_path / f"x{suffix}", box=turned)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "x.extxyz", box=turned)
    np.testing.assert_allclose(read_back(tmp_path / "x.extxyz")[3][0], 10 * turned)
