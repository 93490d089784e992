import sys

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.reading import read_frames, read_topology
from tests.pipelines.molecules.systems import convert, nanoparticle, walk, write_gro, write_pdb

BOX = (40.0, 41.0, 42.0)


@pytest.fixture
def mda():
    return pytest.importorskip("MDAnalysis", reason="needs the extra `md`: pip install 'socialmd_tf[md]'")


@pytest.fixture
def system(tmp_path):
    """Molecules, frames `[5, num_atoms, 3]`, and the PDB file of them."""
    molecules, first = nanoparticle()
    frames = walk(first, 5)
    return molecules, frames, write_pdb(tmp_path / "md.pdb", molecules, frames, box=BOX)


def write_as(mda, system, path):
    """The same trajectory in the format of another suffix, a frame every 20 ps, in a triclinic box."""
    return convert(mda, system[-1], path, 20.0, [40, 41, 42, 90, 75, 90])


@pytest.mark.parametrize("suffix", ["xtc", "trr", "dcd", "ncdf", "gro", "lammpsdump"])
def test_all_formats_give_the_same(mda, system, tmp_path, suffix):
    _, frames, _ = system
    folder = tmp_path / "input"
    folder.mkdir()
    if suffix == "lammpsdump":
        rows = "\n".join(f"{i + 1} {x} {y} {z}" for i, (x, y, z) in enumerate(frames[0]))
        path = folder / "md.lammpsdump"
        bounds = "0 40\n0 41\n0 42"
        header = f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{len(frames[0])}\nITEM: BOX BOUNDS pp pp pp\n{bounds}\n"
        path.write_text(f"{header}ITEM: ATOMS id x y z\n{rows}\n")
    else:
        path = write_as(mda, system, folder / f"md.{suffix}")
    found = list(read_frames(path, frames.shape[1]))
    expected = {"gro": frames[-1:], "lammpsdump": frames[:1]}.get(suffix, frames)  # GRO: the writer keeps the last
    np.testing.assert_allclose([frame.positions for frame in found], expected, atol=0.006)
    box = found[0].box
    np.testing.assert_allclose(np.linalg.norm(box, axis=1), [40, 41, 42], atol=0.01)
    if suffix in ("xtc", "trr", "dcd", "ncdf"):
        assert np.degrees(np.arccos(box[0] @ box[2] / 40 / 42)) == pytest.approx(75, abs=0.05)
        np.testing.assert_allclose([frame.time for frame in found], 20.0 * np.arange(5), rtol=1e-5)
    assert [entry.name for entry in folder.iterdir()] == [path.name]  # nothing is left beside the user's files


def test_the_user_may_state_the_unit(system, tmp_path):
    molecules, frames, _ = system
    in_nm = write_pdb(tmp_path / "nm.pdb", molecules, frames / 10, box=np.array(BOX) / 10)
    (first, *_) = read_frames(in_nm, frames.shape[1], "nm")
    np.testing.assert_allclose(first.positions, frames[0], atol=0.006)
    np.testing.assert_allclose(np.diag(first.box), BOX, atol=0.01)
    in_angstrom = write_gro(tmp_path / "a.gro", molecules, frames, BOX)
    (first, *_) = read_frames(in_angstrom, frames.shape[1], "angstrom")
    np.testing.assert_allclose(first.positions, frames[0], atol=0.001)
    np.testing.assert_allclose(np.diag(first.box), BOX)


def test_no_such_file(tmp_path):
    for name in ("no.xtc", "no.gro", "no.nc"):
        with pytest.raises(UserError, match=f"{name}: no such file"):
            list(read_frames(tmp_path / name, 3))
        with pytest.raises(UserError, match=f"{name}: no such file"):
            read_topology(tmp_path / name)
    with pytest.raises(UserError, match="expected a file, found a directory"):
        read_topology(tmp_path)


def test_pdb_and_gro_files_need_no_mdanalysis(system, tmp_path, monkeypatch):
    _, frames, path = system
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    assert read_topology(path).num_atoms == frames.shape[1]
    assert len(list(read_frames(path, frames.shape[1]))) == 5
    (tmp_path / "a.xtc").touch()
    with pytest.raises(UserError, match="needs MDAnalysis"):
        list(read_frames(tmp_path / "a.xtc", 3))
