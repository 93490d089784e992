import sys
import warnings

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.mdanalysis import read_bonds, read_frames, read_topology
from tests.pipelines.molecules.systems import convert, nanoparticle, walk, write_pdb


@pytest.fixture
def mda():
    return pytest.importorskip("MDAnalysis", reason="needs the extra `md`: pip install 'socialmd_tf[md]'")


@pytest.fixture
def system(mda, tmp_path):
    """Molecules, frames `[5, num_atoms, 3]`, and the PDB file of them."""
    molecules, first = nanoparticle()
    frames = walk(first, 5)
    return molecules, frames, write_pdb(tmp_path / "md.pdb", molecules, frames)


def test_netcdf(mda, system, tmp_path):
    _, frames, pdb = system
    path = convert(mda, pdb, tmp_path / "md.ncdf", 20.0, [40, 41, 42, 90, 75, 90])
    found = list(read_frames(path, frames.shape[1]))
    np.testing.assert_allclose([frame.positions for frame in found], frames, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found[3].box, axis=1), [40, 41, 42], atol=1e-4)
    np.testing.assert_allclose([frame.time for frame in found], 20.0 * np.arange(5), rtol=1e-5)


def test_a_topology_of_another_format(mda, system, tmp_path):
    molecules, _, pdb = system
    path = tmp_path / "md.crd"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mda.Universe(str(pdb), to_guess=()).atoms.write(str(path))
    topology = read_topology(path)
    assert topology.atom_names.tolist() == [name for m in molecules for name in m.atom_names]
    assert topology.molecule_names.tolist() == [m.name for m in molecules for _ in m.atom_names]
    (frame,) = read_frames(path, topology.num_atoms)
    assert [name.decode() for name in frame.labels.atom_names] == topology.atom_names.tolist()


def test_bonds_are_those_of_the_topology(mda, system, tmp_path):
    rows = [
        f"{atom + 1:8d} A    {1 + atom // 2:<4d} LIG  {name:<4} {name:<4} 0.0 12.0 0"
        for atom, name in enumerate(("S", "C1", "S", "C1"))
    ]
    path = tmp_path / "md.psf"
    lines = ["PSF", "", "       1 !NTITLE", " strands", "", "       4 !NATOM", *rows, ""]
    path.write_text("\n".join([*lines, "       2 !NBOND: bonds", "       1       2       3       4", "", ""]))
    np.testing.assert_array_equal(read_bonds(path), [[0, 1], [2, 3]])
    assert read_topology(path).atom_names.tolist() == ["S", "C1", "S", "C1"]
    _, _, pdb = system
    assert read_bonds(pdb).shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("junk.nc", b"not a netcdf file" * 50),
        ("junk.crd", b"not a CRD file" * 50),
        ("junk.psf", b""),
        ("what.xyzzy", b"text"),
    ],
)
def test_files_that_cannot_be_read_give_one_line(mda, tmp_path, name, content, capfd):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (lambda: list(read_frames(path, 30)), lambda: read_topology(path)):
        with pytest.raises(UserError, match=f"{name}: cannot be read: ") as error:
            read()
        assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_cut_netcdf_file(mda, system, tmp_path):
    _, frames, pdb = system
    path = convert(mda, pdb, tmp_path / "md.ncdf", 20.0, [40, 41, 42, 90, 75, 90])
    content = path.read_bytes()
    for size in (len(content) - 40, len(content) // 2, 100):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match=r"md.ncdf: (frame \d: )?cannot be read: "):
            list(read_frames(path, frames.shape[1]))


@pytest.mark.parametrize("box", ["", "  50.000  50.000  50.000\n"])
def test_a_cut_amber_text_file(mda, tmp_path, box):
    frames = np.random.default_rng(0).uniform(0, 50, (4, 25, 3)).round(3)
    rows = [[f"{value:8.3f}" for value in frame.ravel()] for frame in frames]
    blocks = ["".join("".join(row[i : i + 10]) + "\n" for i in range(0, 75, 10)) + box for row in rows]
    path = tmp_path / "md.mdcrd"
    path.write_text("title\n" + "".join(blocks))
    np.testing.assert_allclose([frame.positions for frame in read_frames(path, 25)], frames, atol=1e-4)
    path.write_text("title\n" + "".join(blocks[:3]) + blocks[3][:200])
    with pytest.raises(IncompleteFileError, match=r"md.mdcrd: frame 3 is cut off"):
        list(read_frames(path, 25))


def test_a_trajectory_is_no_topology(mda, system, tmp_path):
    path = convert(mda, system[-1], tmp_path / "md.ncdf", 20.0, [40, 41, 42, 90, 75, 90])
    with pytest.raises(UserError, match=r"md.ncdf: .*expected a topology such as PDB"):
        read_topology(path)


def test_without_mdanalysis_it_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    for read in (lambda: read_topology(tmp_path / "a.psf"), lambda: list(read_frames(tmp_path / "a.nc", 3))):
        with pytest.raises(UserError, match=r"needs MDAnalysis, .* pip install 'MDAnalysis"):
            read()
