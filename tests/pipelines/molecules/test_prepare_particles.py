"""What particles are, and what `prepare` keeps of them: selections, centres of mass, attributes, bonds, velocities."""

import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.prepare import prepare
from pipelines.validation import check
from tests.pipelines.molecules.systems import BOX, Molecule, config_of, nanoparticle, walk, write_gro, write_pdb

pytest.importorskip("MDAnalysis")
KEEPS = {"center": ("none",), "fractions": (1.0, 0.0, 0.0)}
MASSES = {"C": 12.011, "N": 14.007, "O": 15.999}


def prepared(path, directory, **changes):
    summary = prepare(config_of(path, **{**KEEPS, **changes}), directory, command="python -m socialmd_tf.prepare")
    manifest = Manifest.load(directory)
    check(directory, min_frames=3)
    return summary, manifest, np.load(directory / manifest.splits["train"][0])


@pytest.fixture
def chain(tmp_path):
    """Two molecules of three atoms in open space, bonded in a row, the last bond between the molecules."""
    molecules = [Molecule("ALA", 1, ["N", "C", "O"]), Molecule("GLY", 2, ["N", "C", "O"])]
    first = np.array([[0, 0, 0], [1.5, 0, 0], [3, 0.2, 0], [4.5, 0, 0], [6, 0, 0], [7.5, 0.3, 0]]) + 10.0
    truth = walk(first, 12, step=0.1)
    path = write_pdb(tmp_path / "chain.pdb", molecules, truth)
    bonds = "".join(f"CONECT{i:5d}{i + 1:5d}\n" for i in range(1, 6))
    path.write_text(path.read_text().removesuffix("END\n") + bonds + "END\n")
    return path, truth


def test_no_centre_keeps_the_positions_of_the_file(chain, tmp_path):
    path, truth = chain
    _, manifest, frames = prepared(path, tmp_path / "data", molecules=("ALA", "GLY"))
    assert manifest.features == ("ALA", "GLY")
    np.testing.assert_allclose(frames[..., :3], truth[:, [1, 4]] / 10, atol=1e-6)


def test_every_selected_atom_is_a_particle_with_its_attributes_and_bonds(chain, tmp_path):
    path, truth = chain
    what = {"particles": "atoms", "select": "not name O", "feature": ("mass", "tempfactor"), "bonds": True}
    summary, manifest, frames = prepared(path, tmp_path / "data", **what)
    assert manifest.features == ("ALA", "GLY", "mass", "tempfactor")
    np.testing.assert_allclose(frames[..., :3], truth[:, [0, 1, 3, 4]] / 10, atol=1e-6)
    np.testing.assert_array_equal(frames[0, :, 3:5], [[1, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(frames[0, :, 5], [MASSES["N"], MASSES["C"]] * 2, atol=1e-3)
    assert not frames[..., 6].any()
    assert "masses were guessed from the names of the atoms" in str(summary)
    edges = np.load(tmp_path / "data" / manifest.edges_of(manifest.splits["train"][0]))
    assert edges.dtype == np.int32
    assert edges.tolist() == [[0, 1, 1], [2, 3, 4]]  # C and O of the first, O and N between them are cut off


def test_bonds_between_molecules_connect_their_particles(chain, tmp_path):
    path, _ = chain
    _, manifest, _ = prepared(path, tmp_path / "data", molecules=("GLY", "ALA"), bonds=True)
    edges = np.load(tmp_path / "data" / manifest.edges_of(manifest.splits["train"][0]))
    assert edges.tolist() == [[0, 1, 2]]  # kinds 0 and 1 of two: 1 + 0 * 2 + 1


def test_centres_of_mass_by_a_slow_loop_also_of_molecules_that_the_box_cuts(tmp_path):
    molecules, first = nanoparticle()
    first = first.copy()
    names = [[*"NCO"] if len(m.atom_names) == 3 else ["AU"] * 5 for m in molecules]
    molecules = [Molecule(m.name, i + 1, n) for i, (m, n) in enumerate(zip(molecules, names, strict=True))]
    truth = walk(first, 12, step=0.1)
    path = write_pdb(tmp_path / "md.pdb", molecules, (truth + np.array([8, 0, 0])) % np.array(BOX), box=BOX)
    what = {"particles": "center-of-mass", "molecules": ("OQL", "ONC"), "feature": ("mass",)}
    _, manifest, frames = prepared(path, tmp_path / "data", **what)
    weights = np.array([MASSES[name] for name in "NCO"])
    expected = [
        (truth[:, 5 + 3 * k : 8 + 3 * k] * weights[:, None]).sum(axis=1) / weights.sum() + [8, 0, 0] for k in range(6)
    ]
    apart = frames[..., :3] * 10 - np.stack(expected, axis=1)
    np.testing.assert_allclose(apart, np.round(apart / BOX) * BOX, atol=2e-3)
    assert not np.ptp(np.round(apart / BOX), axis=0).any()
    np.testing.assert_allclose(frames[..., 5], weights.sum(), atol=2e-3)
    assert manifest.box == pytest.approx(np.array(BOX) / 10)


def test_a_centre_that_is_a_particle_is_warned_about(tmp_path):
    molecules, first = nanoparticle()
    path = write_pdb(tmp_path / "md.pdb", molecules, walk(first, 12))
    what = {"center": ("OQL",), "center_on": "mean"}
    summary = prepared(path, tmp_path / "data", **what)[0]
    assert "warning: 9 of 9 atoms of the centre are part of the particles" in str(summary)
    assert "warning" not in str(prepared(path, tmp_path / "gold", center=("AU",))[0])


def test_velocities_are_those_of_the_file_in_the_units_of_the_dataset(tmp_path):
    molecules = [Molecule("LIP", 1, ["A"]), Molecule("LIP", 2, ["A"])]
    truth = walk(np.array([[1.0, 1, 1], [1.2, 1.2, 1.2]]), 8, step=0.01)
    velocities = np.round(np.gradient(truth, axis=0), 4)  # one picosecond between frames
    path = write_gro(tmp_path / "md.gro", molecules, truth)
    lines, rows = path.read_text().splitlines(), iter(velocities.reshape(-1, 3))
    atoms = [number for number, line in enumerate(lines) if "LIP" in line]
    for number in atoms:
        lines[number] += "".join(f"{value:8.4f}" for value in next(rows))
    path.write_text("\n".join(lines) + "\n")
    what = {"molecules": ("LIP",), "velocities": True, "time_between_frames": 1.0}
    _, manifest, frames = prepared(path, tmp_path / "data", **what)
    assert manifest.features == ("LIP", "velocity_x", "velocity_y", "velocity_z")
    np.testing.assert_allclose(frames[..., 4:], velocities, atol=1e-6)
    pytest.importorskip("h5py")
    prepare(config_of(path, **KEEPS, **what, file_format="h5md"), tmp_path / "h5md", command="")
    check(tmp_path / "h5md", min_frames=3)
    with pytest.raises(UserError, match=r"frame 0 states no velocities; expected velocities in every frame, or"):
        without = write_gro(tmp_path / "without.gro", molecules, truth)
        prepared(without, tmp_path / "none", **what)


def test_stride_keeps_every_nth_frame_and_follows_all(system, tmp_path):
    path, _ = system
    whole = prepared(path, tmp_path / "whole", center=("AU",))[2]
    summary, manifest, frames = prepared(path, tmp_path / "third", center=("AU",), stride=3)
    np.testing.assert_array_equal(frames, whole[::3])
    assert manifest.time_between_frames == 3000.0
    assert "one frame in 3 was kept (--stride)" in str(summary)


def test_a_pattern_stands_for_the_simulations_that_it_matches(eight, tmp_path):
    by_pattern = config_of(tmp_path / "[0-9].pdb", split_by="file", fractions=eight.fractions)
    assert by_pattern.trajectory == eight.trajectory
    named = config_of(tmp_path / "?.pdb", split_by="file", validation=(tmp_path / "[67].pdb",))
    assert [path.name for path in named.validation] == ["6.pdb", "7.pdb"]
    with pytest.raises(UserError, match=r"`trajectory` must be files, or patterns that match files. Received: .*x\*"):
        config_of(tmp_path / "x*")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"select": "name ZZ"}, "`select` must select atoms. Received: 'name ZZ', which selects none in "),
        ({"select": "nonsense ("}, "`select` 'nonsense \\(': cannot be read: "),
        ({"select": "resname HOH"}, "`select` must select more than water, which is never modelled"),
        ({"feature": ("charge",)}, "md.pdb: states no charge of its atoms \\(`--feature`\\); expected a `--topology`"),
        ({"feature": ("name",)}, "md.pdb: name is not a number \\(`--feature`\\)"),
        ({"bonds": True}, "md.pdb: states no bonds \\(`--bonds`\\); expected a `--topology` with bonds"),
        ({"velocities": True}, "frame 0 states no velocities"),
    ],
)
def test_refuses_in_one_line(system, tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as error:
        prepare(config_of(system[0], **changes), tmp_path / "data", command="")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "data").exists()


def test_settings_that_an_older_version_did_not_have_stand_for_their_defaults(system, tmp_path):
    config = config_of(system[0])
    prepare(config, tmp_path / "data", command="")
    path = tmp_path / "data" / "prepare.json"
    old = {name: value for name, value in json.loads(path.read_text()).items() if name not in ("dtype", "stride")}
    path.write_text(json.dumps(old))
    assert prepare(config, tmp_path / "data", command="").was_complete
    with pytest.raises(UserError, match="holds a dataset with `dtype` = 'float32'; expected 'float64' or a new"):
        prepare(config_of(system[0], dtype="float64"), tmp_path / "data", command="")


def test_the_default_names_are_those_of_the_thesis_or_of_the_selection():
    assert MoleculesConfig.molecules == ("OQL", "ONC")
