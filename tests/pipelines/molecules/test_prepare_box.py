"""Datasets that have the periodic box of the trajectory."""

import itertools
import json

import numpy as np
import pytest

from pipelines.boxes import lattice_vectors, minimum_image
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules.known_molecules import known_molecules
from pipelines.molecules.plan import fills_box
from pipelines.molecules.prepare import prepare
from pipelines.side_files import load_boxes
from pipelines.validation import check
from tests.pipelines.molecules.systems import (
    BOX,
    Molecule,
    config_of,
    contents,
    nanoparticle,
    walk,
    write_pdb,
    write_xtc,
)

EDGES = (20.0, 21.0, 22.0)
LIQUID = [Molecule("OQL", number, ["C"]) for number in range(1, 41)]
SETTINGS = {"molecules": ("OQL",), "center_on": "nothing", "fractions": (0.5, 0.25, 0.25)}


def liquid_paths(seed=0):
    """Twelve frames of unwrapped positions of 40 atoms, in angstrom, that fill the box and leave it."""
    first = (np.random.default_rng(seed).uniform(0, 1, (40, 3)) * EDGES).round(3)
    return walk(first, 12, step=1.5, seed=seed)


def liquid(path, seed=0, edges=EDGES):
    """A PDB file of the liquid, wrapped."""
    return write_pdb(path, LIQUID, liquid_paths(seed) % np.array(edges), box=edges)


def distances(frame, box):
    first, second = np.array(list(itertools.combinations(range(len(frame)), 2))).T
    return np.linalg.norm(minimum_image(frame[second] - frame[first], box), axis=-1)


def files_of(directory):
    manifest = Manifest.load(directory)
    check(directory, min_frames=3)
    return manifest, [np.load(directory / file) for file in manifest.files]


def test_a_liquid_keeps_its_box_and_all_distances(tmp_path):
    summary = prepare(config_of(liquid(tmp_path / "md.pdb"), **SETTINGS), tmp_path / "data", command="")
    manifest, files = files_of(tmp_path / "data")
    assert manifest.box == pytest.approx([2.0, 2.1, 2.2]) and manifest.box_files is None
    truth = liquid_paths() / 10
    found = np.concatenate(files)[..., :3]
    # Where the file has them in the first frame, and unwrapped from there.
    np.testing.assert_allclose(found[0], (liquid_paths()[0] % EDGES) / 10, atol=2e-4)
    np.testing.assert_allclose(found - found[:1], truth - truth[:1], atol=3e-4)
    box = lattice_vectors(manifest.box, 3)
    np.testing.assert_allclose(distances(found[-1], box), distances(truth[-1], box), atol=5e-4)
    assert "The dataset has the box, which the particles fill" in str(summary)
    assert not list((tmp_path / "data").rglob("*.box.npy"))


@pytest.mark.parametrize(
    ("changes", "has_box", "text"),
    [
        ({"box": "drop"}, False, "does not have the box although the particles fill it"),
        ({"center_on": "mean", "center": ("OQL",)}, True, "has the box, which the particles fill"),
        ({"center_on": "mean", "center": ("OQL",), "box": "drop"}, False, "does not have the box although"),
    ],
)
def test_when_a_liquid_keeps_its_box(tmp_path, changes, has_box, text):
    config = config_of(liquid(tmp_path / "md.pdb"), **{**SETTINGS, **changes})
    summary = prepare(config, tmp_path / "data", command="")
    assert (Manifest.load(tmp_path / "data").box is not None) == has_box
    assert text in str(summary)


@pytest.mark.parametrize(
    ("changes", "has_box"), [({}, False), ({"box": "keep"}, True), ({"center_on": "nothing"}, True)]
)
def test_when_a_nanoparticle_keeps_its_box(system, tmp_path, changes, has_box):
    """It leaves half of the box empty."""
    summary = prepare(config_of(system[0], **changes), tmp_path / "data", command="")
    box = Manifest.load(tmp_path / "data").box
    assert box == (pytest.approx(np.array(BOX) / 10) if has_box else None)
    assert "fill" not in str(summary)


def test_a_box_that_changes_has_a_file_beside_each_trajectory(tmp_path):
    boxes = np.stack([np.diag(EDGES) * (1 + 0.01 * frame) / 10 for frame in range(12)])
    boxes[:, 1, 0] = 0.3
    topology = liquid(tmp_path / "md.pdb")
    trajectory = write_xtc(tmp_path / "md.xtc", liquid_paths() / 10, boxes)
    summary = prepare(config_of(trajectory, topology=(topology,), **SETTINGS), tmp_path / "data", command="")
    assert "The box changes in time; `box_files` has that of every frame." in str(summary)
    manifest, files = files_of(tmp_path / "data")
    assert manifest.box is None
    assert manifest.box_files == {file: file.replace(".npy", ".box.npy") for file in manifest.files}
    found = [
        load_boxes(manifest, tmp_path / "data", file, len(frames))
        for file, frames in zip(manifest.files, files, strict=True)
    ]
    np.testing.assert_allclose(np.concatenate(found), boxes, atol=1e-5)


def test_a_tilted_box_is_kept_by_its_vectors(tmp_path):
    box = np.array([[2.0, 0, 0], [0.5, 2.1, 0], [-0.4, 0.3, 2.2]])
    trajectory = write_xtc(tmp_path / "md.xtc", liquid_paths() / 10, [box] * 12)
    config = config_of(trajectory, topology=(liquid(tmp_path / "md.pdb"),), **SETTINGS)
    assert "box_files" not in str(prepare(config, tmp_path / "data", command=""))
    np.testing.assert_allclose(Manifest.load(tmp_path / "data").box, box, atol=1e-6)


def test_simulations_in_different_boxes(tmp_path):
    """Each box is constant; every trajectory has a file of it, also when a killed run is completed."""
    paths = [liquid(tmp_path / f"{seed}.pdb", seed, np.array(EDGES) + seed) for seed in range(4)]
    config = config_of(*paths, **{**SETTINGS, "split_by": "file"})
    summary = prepare(config, tmp_path / "data", command="")
    assert "Files have different boxes; `box_files` has them." in str(summary)
    manifest, files = files_of(tmp_path / "data")
    for seed, (file, frames) in enumerate(zip(manifest.files, files, strict=True)):
        boxes = load_boxes(manifest, tmp_path / "data", file, len(frames))
        np.testing.assert_allclose(boxes, np.broadcast_to(np.diag(np.array(EDGES) + seed) / 10, (12, 3, 3)), atol=1e-6)
    whole = contents(tmp_path / "data")
    for name in ("dataset.json", "simulations/00003.json", manifest.box_files[manifest.files[0]]):
        (tmp_path / "data" / name).unlink()
    prepare(config, tmp_path / "data", command="")
    assert contents(tmp_path / "data") == whole


def test_without_a_box_there_is_none_to_keep(tmp_path):
    path = write_pdb(tmp_path / "open.pdb", LIQUID, liquid_paths())
    with pytest.raises(UserError, match=r"open.pdb: found no periodic box; .*`--box`"):
        prepare(config_of(path, **SETTINGS, box="keep"), tmp_path / "data", command="")
    assert not (tmp_path / "data").exists()
    prepare(config_of(path, **SETTINGS), tmp_path / "data", command="")
    assert Manifest.load(tmp_path / "data").box is None


@pytest.mark.parametrize(
    ("changes", "field"), [({"box": "keep"}, "box"), ({"center_on": "nothing"}, "center_on"), ({}, None)]
)
def test_flat_slices_have_no_box(system, tmp_path, changes, field):
    flat = {"num_dimensions": 2, "slice_half_thickness": 0.45, **changes}
    if field is None:
        prepare(config_of(system[0], **flat), tmp_path / "data", command="")
        assert Manifest.load(tmp_path / "data").box is None
    else:
        with pytest.raises(UserError, match=f"^`{field}` must be"):
            config_of(system[0], **flat)


def test_a_box_is_filled_without_a_gap_of_a_quarter():
    """Particles at fractional coordinates along x, at one place along y; z is open."""
    box = np.diag([10.0, 10.0, 0.0])
    for fractions, fills in (([0.0, 0.2, 0.4, 0.6, 0.8], True), ([0.1, 0.3, 0.5, 0.7], False), ([0.4], False)):
        positions = np.array([[10.0 * fraction - 30.0, 5.0, 7.0 * fraction] for fraction in fractions])
        assert fills_box(positions, box) is fills
        assert fills_box(positions[:, [1, 0, 2]], box) is fills
        assert fills_box(positions, np.diag([0.0, 10.0, 0.0])) is False


def test_without_a_centre_there_are_no_distances_from_it(system, tmp_path):
    for center_on in ("atom", "nothing"):
        config = config_of(system[0], center_on=center_on)
        prepare(config, tmp_path / center_on, command="python -m socialmd_tf.prepare")
        assert known_molecules(Manifest.load(tmp_path / center_on)).is_centered == (center_on == "atom")
    record = json.loads((tmp_path / "nothing" / "simulations" / "00000.json").read_text())
    assert record["center_atoms"] == [] and record["keeps_box"] is True


def test_names_of_the_centre_do_not_matter_without_one(tmp_path):
    """The default, gold, does not exist in a liquid."""
    molecules, first = nanoparticle()
    path = write_pdb(tmp_path / "md.pdb", molecules[1:], walk(first[5:], 12), box=BOX)
    prepare(config_of(path, center_on="nothing", fractions=(0.5, 0.25, 0.25)), tmp_path / "data", command="")
    with pytest.raises(UserError, match="no molecule or atom is called AU"):
        prepare(config_of(path), tmp_path / "other", command="")
