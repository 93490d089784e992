import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules.like_dataset import prepare_like
from pipelines.molecules.prepare import prepare
from tests.pipelines.molecules.systems import Molecule, config_of, walk, write_pdb

MOLECULES = [
    Molecule("AU", 1, ["AU"]),
    Molecule("LIG", 2, ["S", "C1"]),
    Molecule("OQL", 3, ["A", "M", "B"]),
    Molecule("LIG", 4, ["S", "C1"]),
    Molecule("ONC", 5, ["A", "M", "B"]),
]
FIRST = np.array(
    [
        [10, 10, 10],
        [12, 10, 10],  # atom 1: the S of the strand of the drug, which leans to the other side
        [10, 14, 10],
        [5, 10, 10],
        [6.5, 10, 10.2],
        [8, 10, 10],
        [8, 10, 12],  # atom 6: the S of the strand of the background
        [10, 6, 10],
        [13, 10, 10],
        [14.5, 10, 10.2],
        [16, 10, 10],
    ],
    float,
)
BONDS = [(1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (9, 10)]


def pdb(path, bonds=(), frames=None, box=None):
    frames = walk(FIRST, 20, step=0.1) if frames is None else frames
    write_pdb(path, MOLECULES, frames, box=box)
    if bonds:
        records = "".join(f"CONECT{i + 1:5d}{j + 1:5d}\n" for i, j in bonds)
        path.write_text(path.read_text().removesuffix("END\n") + records + "END\n")
    return path


def prepared(path, directory, **changes):
    prepare(config_of(path, **{"anchor": ("S",), **changes}), directory, command="")
    return Manifest.load(directory), np.load(directory / "train" / "00000.npy")


@pytest.mark.parametrize(
    ("bonds", "anchor_by", "atoms"),
    [
        (BONDS, "auto", [1, 6]),
        (BONDS, "bonds", [1, 6]),
        (BONDS, "nearest", [6, 1]),
        ((), "auto", [6, 1]),
    ],
)
def test_bonds_lead_to_the_anchor_and_without_them_it_is_the_nearest(tmp_path, bonds, anchor_by, atoms):
    path = pdb(tmp_path / "md.pdb", bonds)
    manifest, frames = prepared(path, tmp_path / "data", anchor_by=anchor_by)
    assert manifest.features == ("OQL", "ONC", "anchor_x", "anchor_y", "anchor_z")
    np.testing.assert_allclose(frames[0, :, 5:], (FIRST[atoms] - FIRST[0]) / 10, atol=1e-6)
    record = json.loads((tmp_path / "data" / "simulations" / "00000.json").read_text())
    assert record["anchors"] == atoms


def test_anchors_are_those_of_the_first_frame_in_all_splits(tmp_path):
    path = pdb(tmp_path / "md.pdb", BONDS)
    frames = walk(FIRST, 20, step=0.1)
    _, first = prepared(path, tmp_path / "data")
    for split in ("train", "validation", "test"):
        found = np.load(tmp_path / "data" / split / "00000.npy")[..., 5:]
        np.testing.assert_array_equal(found, np.broadcast_to(first[:1, :, 5:], found.shape))
    relative = frames[:, [1, 6]] - frames[:, [0]]
    moved = np.sqrt(((relative[-1] - relative[0]) ** 2).sum(axis=1).mean())
    statistics = Manifest.load(tmp_path / "data").provenance
    assert statistics["anchor_move"] == pytest.approx(moved / 10, rel=1e-4)


def test_of_the_atoms_of_the_centre_bonds_lead_to_the_first(tmp_path):
    path = pdb(tmp_path / "md.pdb", [*BONDS, (0, 1), (0, 6)])
    _, frames = prepared(path, tmp_path / "data", anchor=(), anchor_by="bonds")
    np.testing.assert_array_equal(frames[..., 5:], 0)  # the gold atom, which is the origin


def test_anchors_are_beside_the_centre_where_the_box_cuts_the_particle(tmp_path):
    box = np.array([24.0, 25.0, 26.0])
    path = pdb(tmp_path / "md.pdb", BONDS, (walk(FIRST, 20, step=0.1) + np.array([12.0, 0, 0])) % box, box=box)
    for anchor_by, atoms in (("bonds", [1, 6]), ("nearest", [6, 1])):
        _, frames = prepared(path, tmp_path / anchor_by, anchor_by=anchor_by)
        np.testing.assert_allclose(frames[0, :, 5:], (FIRST[atoms] - FIRST[0]) / 10, atol=1e-6)


def test_anchors_of_slices_turn_with_them(tmp_path):
    path = pdb(tmp_path / "md.pdb", BONDS)
    prepare(
        config_of(path, anchor=("S",), num_dimensions=2, slice_half_thickness=5.0, num_slices=3),
        tmp_path / "data",
        command="",
    )
    assert Manifest.load(tmp_path / "data").features == ("OQL", "ONC", "anchor_x", "anchor_y")
    relative = (FIRST[[4, 9, 1, 6]] - FIRST[0]) / 10
    for number, slice_record in enumerate(
        json.loads((tmp_path / "data" / "simulations" / "00000.json").read_text())["slices"]
    ):
        axis = np.array(slice_record["axis"])
        flat = relative - np.outer(relative @ axis, axis)  # in the plane, whatever its axes
        frame = np.load(tmp_path / "data" / "train" / f"00000_{number:02d}.npy")[0].astype(float)
        points = np.concatenate([frame[:, :2], frame[:, 4:]])
        np.testing.assert_allclose(points @ points.T, flat @ flat.T, atol=1e-5)


def test_without_the_flag_there_are_none(tmp_path):
    manifest, frames = prepared(pdb(tmp_path / "md.pdb", BONDS), tmp_path / "data", anchor=())
    assert manifest.features == ("OQL", "ONC") and frames.shape[-1] == 5


@pytest.mark.parametrize(
    ("bonds", "changes", "message"),
    [
        (
            BONDS,
            {"anchor": ("XX",)},
            "no molecule or atom is called XX (`anchor`); the molecules are LIG, ONC, OQL, AU; the atoms are ",
        ),
        (
            (),
            {"anchor": ("OQL", "M")},
            "no molecule or atom outside the molecules of `molecules` is called OQL or M (`anchor`); ",
        ),
        (
            BONDS[:-4],
            {},
            "1 of 2 molecules have no bonds to S, the first of them ONC with atom 8 (from 0); expected bonds from "
            "every molecule, or `--anchor-by nearest`",
        ),
        ((), {"anchor_by": "bonds"}, "states no bonds; expected a `--topology` with bonds (PDB with CONECT records, "),
        ([(0, 70)], {}, "line 261: a bond of serial number '71', which no atom has"),
    ],
)
def test_refuses_anchors_that_cannot_be_found(tmp_path, bonds, changes, message):
    path = pdb(tmp_path / "md.pdb", bonds)
    with pytest.raises(UserError) as error:
        prepared(path, tmp_path / "data", **changes)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value) and not (tmp_path / "data").exists()


def test_the_nearest_needs_a_name():
    with pytest.raises(UserError, match=r"^`anchor` must be given with `--anchor-by nearest`"):
        config_of("md.pdb", anchor_by="nearest")


def test_a_further_trajectory_has_its_anchors_found_as_those_of_the_dataset(tmp_path):
    """Without bonds it would get the nearest atoms, which are others here."""
    bonded, bare = pdb(tmp_path / "bonded.pdb", BONDS), pdb(tmp_path / "bare.pdb")
    command = "python -m socialmd_tf.prepare"
    for path, name in ((bonded, "by_bonds"), (bare, "nearest")):
        prepare(config_of(path, anchor=("S",)), tmp_path / name, command=command)
    manifest = Manifest.load(tmp_path / "by_bonds")
    assert manifest.provenance["notes"] == [f"{bonded}: anchors were found by the bonds of the topology"]
    same = np.load(prepare_like(manifest, bonded, None, tmp_path / "again"))
    np.testing.assert_array_equal(
        same[: len(same) // 2], np.load(tmp_path / "by_bonds/train/00000.npy")[: len(same) // 2]
    )
    with pytest.raises(UserError, match=r"bare\.pdb: states no bonds"):
        prepare_like(manifest, bare, None, tmp_path / "refused")
    prepare_like(Manifest.load(tmp_path / "nearest"), bare, None, tmp_path / "allowed")
