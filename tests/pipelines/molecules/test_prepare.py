import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.dataset import num_windows
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules import write_simulation
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.prepare import prepare
from pipelines.molecules.slices import slice_axes
from pipelines.validation import check
from tests.pipelines.molecules.systems import Molecule, convert, nanoparticle, walk, write_pdb, write_series

MIDDLES = [6, 9, 12, 15, 18, 21]
GOLD = 2
KINDS = [0, 1, 0, 1, 1, 0]
BOX = (24.0, 25.0, 26.0)


def config_of(*trajectory, **changes):
    values = {"min_frames": 3, "time_between_frames": 1000.0, **changes}
    return MoleculesConfig(trajectory=tuple(trajectory), **values)


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def system(tmp_path):
    """40 frames of a nanoparticle in a box that cuts it now and then: the file, and the true positions."""
    molecules, first = nanoparticle()
    truth = walk(first, 40)
    shifted = truth + np.array([8.0, 0, 0])
    return write_pdb(tmp_path / "md.pdb", molecules, shifted % np.array(BOX), box=BOX), truth


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
    assert all(kind in str(summary) for kind in ("6 OQL", "6 PAN", "12 ONC", "no periodic box in the files"))
    groups = Manifest.load(tmp_path / "data").group
    assert [groups[name] for names in splits.values() for name in names] == ["00000", "00001", "00002", "00003"]


def test_chunks_do_not_show(system, tmp_path, monkeypatch):
    path, _ = system
    flat = {"num_dimensions": 2, "slice_half_thickness": 1.0}
    prepare(config_of(path, **flat), tmp_path / "whole", command="")
    monkeypatch.setattr(write_simulation, "_CHUNK_NUMBERS", 40)
    prepare(config_of(path, **flat), tmp_path / "pieces", command="")
    assert contents(tmp_path / "whole") == contents(tmp_path / "pieces")


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    """1000 atoms; 200 frames of them would be 4.8 MB."""
    molecules = [Molecule("AU", 1, ["AU"]), *(Molecule("OQL", i, ["A", "B", "C"]) for i in range(2, 335))]
    frames = walk(np.random.default_rng(0).uniform(0, 20, size=(1000, 3)), 5)
    peaks = []
    for count in (1, 40):
        path = write_pdb(tmp_path / f"{count}.pdb", molecules, np.tile(frames, (count, 1, 1)))
        config = config_of(path, molecules=("OQL",), fractions=(1.0, 0.0, 0.0))
        tracemalloc.start()
        prepare(config, tmp_path / str(count), command="")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6


class TestChangedInputs:
    @pytest.fixture
    def complete(self, system, tmp_path):
        """The input of a dataset that is complete, and the contents of the dataset."""
        path, _ = system
        prepare(config_of(path), tmp_path / "data", command="")
        return path, contents(tmp_path / "data")

    def refused(self, config, tmp_path, before, *values):
        with pytest.raises(UserError) as error:
            prepare(config, tmp_path / "data", command="")
        assert all(value in str(error.value) for value in values)
        assert contents(tmp_path / "data") == before

    def test_the_same_input_again_is_complete(self, complete, tmp_path):
        path, before = complete
        again = prepare(config_of(path), tmp_path / "data", command="")
        assert again.was_complete and str(again).startswith("The dataset was complete already; nothing was done.")
        assert contents(tmp_path / "data") == before

    def test_equal_input_that_was_moved_or_touched_is_the_same(self, complete, tmp_path):
        path, _ = complete
        moved = path.rename(tmp_path / "elsewhere.pdb")
        assert prepare(config_of(moved), tmp_path / "data", command="").was_complete
        shutil.copy(moved, path)
        assert prepare(config_of(path), tmp_path / "data", command="").was_complete

    def test_a_longer_trajectory_is_not(self, complete, tmp_path):
        path, before = complete
        text = path.read_text()
        path.write_text(text.removesuffix("END\n") + text[text.index("MODEL") :])
        self.refused(config_of(path), tmp_path, before, str(path), "has changed", "--output")

    def test_another_file_of_the_same_size_and_time_of_change_elsewhere_is_not(self, complete, tmp_path):
        path, before = complete
        other = tmp_path / "other.pdb"
        other.write_text(path.read_text().replace("1.00  0.00", "1.00  1.00"))
        os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        self.refused(config_of(other), tmp_path, before, str(other), "has changed")

    def test_a_frame_more_in_a_directory_is_not(self, tmp_path):
        molecules, first = nanoparticle()
        paths = write_series(tmp_path / "series", molecules, walk(first, 40))
        prepare(config_of(tmp_path / "series"), tmp_path / "data", command="")
        before = contents(tmp_path / "data")
        added = Path(shutil.copy(paths[-1], tmp_path / "series" / "frame_41.pdb"))
        self.refused(config_of(tmp_path / "series"), tmp_path, before, f"{added} was added")
        added.unlink()
        paths[-1].unlink()
        self.refused(config_of(tmp_path / "series"), tmp_path, before, f"{paths[-1]} is missing")

    def test_input_that_is_gone_cannot_be_compared(self, complete, tmp_path):
        path, before = complete
        path.unlink()
        self.refused(config_of(path), tmp_path, before, f"{path}: no such file")

    def test_another_number_of_simulations_is_not_the_same(self, complete, tmp_path):
        path, before = complete
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
            shutil.copy(path, folder)
        self.refused(config_of(*folders), tmp_path, before, "1 simulations", "has 2")

    def test_a_run_that_was_stopped_does_not_resume_with_changed_input(self, eight, tmp_path):
        directory = tmp_path / "data"
        prepare(eight, directory, command="")
        for name in ("dataset.json", "simulations/00007.json"):
            (directory / name).unlink()
        changed = eight.trajectory[2]
        changed.write_text(changed.read_text().replace("1.00  0.00", "1.00  1.00", 1))
        with pytest.raises(UserError, match=f"{changed}: the input has changed"):
            prepare(eight, directory, command="")
        assert not (directory / "dataset.json").exists()

    def test_input_that_changes_while_it_is_read(self, system, tmp_path, monkeypatch):
        path, _ = system
        store = write_simulation._store_centers

        def grow(*arguments):
            path.write_text(path.read_text() + "REMARK\n")
            return store(*arguments)

        monkeypatch.setattr(write_simulation, "_store_centers", grow)
        with pytest.raises(UserError, match=f"{path}: the input has changed since reading began"):
            prepare(config_of(path), tmp_path / "data", command="")
        assert not (tmp_path / "data").exists()


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


def test_records_of_another_version_are_refused(system, tmp_path):
    path, _ = system
    prepare(config_of(path), tmp_path / "data", command="")
    record = tmp_path / "data" / "simulations" / "00000.json"
    for text in ('{"topology": "md.pdb"}', "[1]", "{", ""):
        record.write_text(text)
        with pytest.raises(UserError, match=f"{record}: not a record"):
            prepare(config_of(path), tmp_path / "data", command="")


@pytest.fixture
def eight(tmp_path):
    """A configuration of eight simulations."""
    molecules, first = nanoparticle()
    paths = [write_pdb(tmp_path / f"{i}.pdb", molecules, walk(first, 60, seed=i), box=BOX) for i in range(8)]
    return config_of(*paths, split_by="file", fractions=(0.5, 0.25, 0.25))


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_dimensions": 2}, "`slice_half_thickness` must be given for 2D slices"),
        ({"slice_half_thickness": -1.0}, "`slice_half_thickness` must be a positive number"),
        ({"fractions": (0.7, 0.2, 0.2)}, "`fractions` must be three shares"),
        ({"fractions": (0.0, 0.5, 0.5)}, "`fractions` must be three shares"),
        ({"molecules": ()}, "`molecules` must be one or more different names"),
        ({"molecules": ("OQL", "OQL")}, "`molecules` must be one or more different names"),
        ({"time_between_frames": float("inf")}, "`time_between_frames` must be a positive number"),
        ({"num_slices": 0}, "`num_slices` must be at least 1"),
        ({"radii": (0.3, 0.4, 0.5)}, "`radii` must be one positive length, or one per name"),
        ({"radii": (0.3, -0.4)}, "`radii` must be one positive length, or one per name"),
    ],
)
def test_configurations_that_cannot_be(changes, message):
    with pytest.raises(UserError, match=message):
        config_of(Path("a.pdb"), **changes)
