import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.dataset import num_windows
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules.plan import make_plans
from pipelines.molecules.prepare import prepare
from pipelines.molecules.slices import slice_axes
from pipelines.output_directory import LOCK_FILE, DirectoryLock
from pipelines.validation import check
from pipelines.workers import run_all
from tests.pipelines.molecules.systems import (
    BOX,
    Molecule,
    config_of,
    contents,
    convert,
    nanoparticle,
    walk,
    write_pdb,
    write_series,
)

MIDDLES = [6, 9, 12, 15, 18, 21]
GOLD = 2
KINDS = [0, 1, 0, 1, 1, 0]


def expected_positions(truth):
    return truth[:, MIDDLES] - truth[:, [GOLD]]


def test_the_whole_path_in_3d(system, tmp_path):
    path, truth = system
    summary = prepare(config_of(path), tmp_path / "data", command="the command")
    manifest = Manifest.load(tmp_path / "data")
    check(tmp_path / "data", min_frames=3)
    assert (manifest.num_dimensions, manifest.features, manifest.length_unit) == (3, ("OQL", "ONC"), "nm")
    assert manifest.time_between_frames == 1000
    assert manifest.provenance["command"] == "the command"
    assert manifest.time_unit == "ps"
    assert manifest.group == {f"{split}/00000.npy": "00000" for split in ("train", "validation", "test")}
    assert manifest.provenance["periodic_jumps"] > 0
    assert {split: len(files) for split, files in manifest.splits.items()} == {"train": 1, "validation": 1, "test": 1}

    parts = [np.load(tmp_path / "data" / manifest.splits[split][0]) for split in ("train", "validation", "test")]
    assert [part.shape for part in parts] == [(28, 6, 5), (6, 6, 5), (6, 6, 5)]
    whole = np.concatenate(parts)
    np.testing.assert_allclose(whole[..., :3], expected_positions(truth) / 10, atol=2e-4)
    np.testing.assert_array_equal(whole[..., 3:], np.broadcast_to(np.eye(2)[KINDS], (40, 6, 2)))

    lines = str(summary).splitlines()
    assert lines[1:4] == [
        "molecules: 3 OQL (3 atoms each), 3 ONC (3 atoms each)",
        "not kept: 3 HOH, 1 AU",
        "frames: 40, 1000 ps apart; files: train 1, validation 1, test 1",
    ]
    assert lines[4].startswith("box periodic along x, y, z: ")
    record = json.loads((tmp_path / "data" / "simulations" / "00000.json").read_text())
    assert (record["particles"], record["center_atoms"]) == (MIDDLES, [GOLD])


def test_no_window_reaches_across_a_cut(system, tmp_path):
    path, _ = system
    prepare(config_of(path), tmp_path / "data", command="")
    config = DataConfig(1, 1, warm_up_steps=2, rollout_steps=2, window_shift=1)
    counts = {split: num_windows(tmp_path / "data", split, config) for split in ("train", "validation", "test")}
    assert counts == {"train": 25, "validation": 3, "test": 3}  # of the 37 windows of 40 frames, 6 cross a cut


def test_angstrom_and_the_order_of_the_names(system, tmp_path):
    path, truth = system
    config = config_of(path, molecules=("ONC", "OQL"), length_unit="angstrom", fractions=(1.0, 0.0, 0.0))
    prepare(config, tmp_path / "data", command="")
    manifest = Manifest.load(tmp_path / "data")
    assert (manifest.features, manifest.length_unit) == (("ONC", "OQL"), "angstrom")
    assert manifest.splits == {"train": ("train/00000.npy",), "validation": (), "test": ()}
    found = np.load(tmp_path / "data" / "train" / "00000.npy")
    np.testing.assert_allclose(found[..., :3], expected_positions(truth), atol=2e-3)
    np.testing.assert_array_equal(found[0, :, 3:].argmax(axis=1), 1 - np.array(KINDS))


def test_flat_slices(system, tmp_path):
    path, truth = system
    config = config_of(path, num_dimensions=2, slice_half_thickness=0.45, num_slices=3)
    summary = prepare(config, tmp_path / "data", command="")
    manifest = Manifest.load(tmp_path / "data")
    check(tmp_path / "data")
    assert manifest.num_dimensions == 2
    assert manifest.splits["test"] == tuple(f"test/00000_{number:02d}.npy" for number in range(3))
    expected = expected_positions(truth) / 10
    outside = []
    for number, axis in enumerate(slice_axes(3)):
        members = [i for i in range(6) if abs(expected[0, i] @ axis) <= 0.45]
        names = [f"{split}/00000_{number:02d}.npy" for split in ("train", "validation", "test")]
        found = np.concatenate([np.load(tmp_path / "data" / name) for name in names])
        assert found.shape == (40, len(members), 4)
        # Flattening takes away what is along the axis, and nothing else.
        flat = np.linalg.norm(found[..., :2], axis=-1)
        along = expected[:, members] @ axis
        np.testing.assert_allclose(flat**2 + along**2, (expected[:, members] ** 2).sum(axis=-1), atol=1e-3)
        np.testing.assert_array_equal(found[0, :, 2:], np.eye(2)[np.array(KINDS)[members]])
        outside.append((np.abs(along[-1]) > 0.45).mean())
    statistics = manifest.provenance["slices"]
    assert statistics["share_outside"][0] == 0
    assert statistics["share_outside"][-1] == pytest.approx(np.mean(outside))
    assert "slices: 3 per simulation" in str(summary)
    # All slices of a simulation, in all splits, are one group.
    assert set(manifest.group.values()) == {"00000"} and len(manifest.group) == 9


def test_slices_that_stay_thin_and_slices_that_do_not(tmp_path):
    molecules = [Molecule("AU", 1, ["AU"]), *(Molecule("OQL", i, ["C"]) for i in range(4))]
    frames = np.array([[[0.0, 0, 0], [4, 0, 0], [0, 4, 0], [-4, 0, 0], [0, -4, 0]]] * 9)
    changes = {"molecules": ("OQL",), "num_dimensions": 2, "slice_half_thickness": 0.1, "num_slices": 1}
    changes["fractions"] = (1.0, 0.0, 0.0)
    thin = prepare(config_of(write_pdb(tmp_path / "1.pdb", molecules, frames), **changes), tmp_path / "1", command="")
    frames[5:, 1, 2] = 3.0
    thick = prepare(config_of(write_pdb(tmp_path / "2.pdb", molecules, frames), **changes), tmp_path / "2", command="")
    assert "the end: 0.0%, 0.0%, 0.0%, 0.0%, 0.0%" in str(thin) and "do not stay thin" not in str(thin)
    assert "the end: 0.0%, 0.0%, 0.0%, 25.0%, 25.0%" in str(thick) and "do not stay thin" in str(thick)


def test_a_series_of_files_in_directories_is_the_same_as_one_file(system, tmp_path):
    path, truth = system
    molecules, _ = nanoparticle()
    shifted = (truth + np.array([8.0, 0, 0])) % np.array(BOX)
    paths = write_series(tmp_path / "series", molecules, shifted, box=BOX)
    prepare(config_of(path), tmp_path / "one", command="")
    prepare(config_of(tmp_path / "series"), tmp_path / "directory", command="")
    prepare(config_of(*sorted(paths)), tmp_path / "star", command="")
    arrays = [
        {name: content for name, content in contents(tmp_path / kind).items() if name.endswith(".npy")}
        for kind in ("one", "directory", "star")
    ]
    assert arrays[0] == arrays[1] == arrays[2]


def test_whole_simulations_of_different_molecules_go_to_splits(tmp_path):
    """Two with the hydrophobic drug, two with another; names that one simulation lacks are no fault."""
    molecules, first = nanoparticle()
    paths, truths = [], []
    for index, drug in enumerate(["OQL", "OQL", "PAN", "PAN"]):
        named = [Molecule(drug if m.name == "OQL" else m.name, m.number, m.atom_names, m.chain) for m in molecules]
        truths.append(walk(first, 6, seed=index))
        paths.append(write_pdb(tmp_path / f"{index}.pdb", named, truths[-1]))
    config = config_of(*paths, split_by="file", fractions=(0.5, 0.25, 0.25), molecules=("OQL", "PAN", "ONC"))
    summary = prepare(config, tmp_path / "data", command="")
    splits = Manifest.load(tmp_path / "data").splits
    assert splits == {
        "train": ("train/00000.npy", "train/00001.npy"),
        "validation": ("validation/00002.npy",),
        "test": ("test/00003.npy",),
    }
    for truth, name in zip(truths, [name for names in splits.values() for name in names], strict=True):
        found = np.load(tmp_path / "data" / name)
        np.testing.assert_allclose(found[..., :3], expected_positions(truth) / 10, atol=2e-4)
    assert found[0, :, 3:].sum(axis=0).tolist() == [0, 3, 3]
    assert all(kind in str(summary) for kind in ("6 OQL", "6 PAN", "12 ONC", "no periodic box in the trajectory"))
    groups = Manifest.load(tmp_path / "data").group
    assert [groups[name] for names in splits.values() for name in names] == ["00000", "00001", "00002", "00003"]


def test_simulations_that_are_named_go_to_their_splits(tmp_path):
    molecules, first = nanoparticle()
    paths = [write_pdb(tmp_path / f"{index}.pdb", molecules, walk(first, 6, seed=index)) for index in range(4)]
    named = {"split_by": "file", "validation": (paths[3],), "test": (paths[0], paths[2])}
    prepare(config_of(*paths, **named), tmp_path / "data", command="")
    expected = {
        "train": ("train/00001.npy",),
        "validation": ("validation/00003.npy",),
        "test": ("test/00000.npy", "test/00002.npy"),
    }
    assert Manifest.load(tmp_path / "data").splits == expected
    moved = [path.rename(path.with_stem(f"moved{path.stem}")) for path in paths]
    again = {"split_by": "file", "validation": (moved[3],), "test": (moved[2], moved[0])}
    assert "4 simulations" in str(prepare(config_of(*moved, **again), tmp_path / "data", command=""))
    with pytest.raises(UserError, match="test"):
        prepare(config_of(*moved, **again | {"test": (moved[0],)}), tmp_path / "data", command="")


def test_a_dataset_with_faults_has_no_manifest(tmp_path):
    """Positions that were wrapped into a box that the file does not state."""
    molecules = [Molecule("AU", 1, ["AU"]), *(Molecule("OQL", number, ["C"]) for number in range(2, 22))]
    first = np.random.default_rng(0).uniform(0, 30, (21, 3))
    frames = (first + np.arange(40)[:, None, None] * np.array([1.0, 0, 0]) * (np.arange(21) > 0)[:, None]) % 30
    path = write_pdb(tmp_path / "md.pdb", molecules, frames)
    for _ in range(2):
        with pytest.raises(UserError, match="jump"):
            prepare(config_of(path, molecules=("OQL",)), tmp_path / "data", command="")
        assert not (tmp_path / "data" / "dataset.json").exists()


def test_a_killed_run_is_finished_by_the_same_call(eight, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    script = (
        "from pathlib import Path, PosixPath\n"
        "from pipelines.molecules.config import MoleculesConfig\n"
        "from pipelines.molecules.prepare import prepare\n"
        f"prepare({eight!r}, Path({str(killed)!r}), command='')"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[3])
    while not list(killed.glob("simulations/*.json")) and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "dataset.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in killed.glob("simulations/*.json")}
    assert 0 < len(kept) < 8
    (killed / ".00007.centers.tmp").write_bytes(b"half")

    prepare(eight, killed, command="")
    prepare(eight, whole, command="")
    assert contents(killed) == contents(whole)
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in kept.items())


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_files_that_are_lost_or_cut_are_made_again(eight, tmp_path, spoil):
    prepare(eight, tmp_path / "data", command="")
    before = contents(tmp_path / "data")
    path = tmp_path / "data" / "train" / "00000.npy"
    spoil(path)
    assert not prepare(eight, tmp_path / "data", command="").was_complete
    assert contents(tmp_path / "data") == before
    assert prepare(eight, tmp_path / "data", command="").was_complete


def test_a_fault_leaves_the_directory_as_it_was(system, tmp_path):
    path, _ = system
    new, empty = tmp_path / "new", tmp_path / "empty"
    empty.mkdir()
    for directory in (new, empty):
        with pytest.raises(UserError, match="40 frames, of which the validation split gets 6"):
            prepare(config_of(path, min_frames=7), directory, command="")
    assert not new.exists() and list(empty.iterdir()) == []
    prepare(config_of(path), new, command="")


def test_refuses_another_dataset(system, tmp_path):
    path, _ = system
    prepare(config_of(path), tmp_path / "data", command="")
    with pytest.raises(UserError, match="`length_unit` = 'nm'; expected 'angstrom'"):
        prepare(config_of(path, length_unit="angstrom"), tmp_path / "data", command="")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty and not a dataset of molecules"):
        prepare(config_of(path), tmp_path / "other", command="")
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_simulations_of_different_time_steps(tmp_path):
    mda = pytest.importorskip("MDAnalysis")
    molecules, first = nanoparticle()
    pdb = write_pdb(tmp_path / "md.pdb", molecules, walk(first, 6))
    paths = []
    for step in (10.0, 20.0):
        paths.append(convert(mda, pdb, tmp_path / f"{step:g}.dcd", step, [50, 50, 50, 90, 90, 90]))
    config = config_of(*paths, split_by="file", fractions=(0.5, 0.5, 0.0), topology=(pdb,), time_between_frames=None)
    with pytest.raises(UserError, match=r"`trajectory` must have one time between frames. Received: \[10.0, 20.0\] ps"):
        prepare(config, tmp_path / "data", command="")


def test_a_refused_command_changes_nothing_of_the_one_that_runs(system, tmp_path, monkeypatch):
    """Another process takes the directory while this one reads the topology."""
    path, _ = system
    directory, others = tmp_path / "data", []

    def plans_meanwhile(*arguments):
        others.append(DirectoryLock(directory))
        return make_plans(*arguments)

    monkeypatch.setattr("pipelines.molecules.prepare.make_plans", plans_meanwhile)
    with pytest.raises(UserError, match="in use by process"):
        prepare(config_of(path), directory, command="")
    assert (directory / LOCK_FILE).exists()
    others.pop().release()
    monkeypatch.undo()
    prepare(config_of(path), directory, command="")


def test_stores_that_stopped_workers_left_are_removed(eight, tmp_path, monkeypatch):
    directory = tmp_path / "data"

    def with_remains(*arguments):
        (directory / "train/.00000.zarr.1.tmp/position").mkdir(parents=True)
        return run_all(*arguments)

    monkeypatch.setattr("pipelines.molecules.prepare.run_all", with_remains)
    prepare(eight, directory, command="")
    assert not list(directory.rglob("*.tmp"))
