import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.laws.config import CoulombConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.dataset import write_dataset
from pipelines.manifest import Manifest
from pipelines.validation import validate

SPRINGS = SpringsConfig(num_train=3, num_validation=1, num_test=0, num_frames=4, save_every=2)


def test_manifest_files_and_bonds(tmp_path):
    manifest = write_dataset(SPRINGS, tmp_path, command="simulate")
    assert manifest == Manifest.load(tmp_path)
    assert manifest.splits["train"] == tuple(f"train/0000{i}.npy" for i in range(3))
    assert manifest.box is None and manifest.provenance["command"] == "simulate"
    trajectory = np.load(tmp_path / "train/00000.npy")
    assert trajectory.shape == (4, 5, 3) and trajectory.dtype == np.float32
    edges = np.load(tmp_path / manifest.edges_of("train/00000.npy"))
    assert edges.shape[1] == 3 and len(edges) > 0
    assert (edges[:, 0] < edges[:, 1]).all() and set(edges[:, 2]) == {1}


def test_a_periodic_law_writes_its_box(tmp_path):
    config = LennardJonesConfig(num_train=1, num_validation=0, num_test=0, num_frames=2, equilibration_steps=5)
    assert write_dataset(config, tmp_path, command="simulate").box == pytest.approx([(64 / 0.7) ** 0.5] * 2)


def test_velocities_are_written_if_asked_for(tmp_path):
    config = CoulombConfig(num_train=1, num_validation=0, num_test=0, num_frames=5, save_every=1, max_force=1.0)
    write_dataset(config, tmp_path / "without", command="simulate")
    manifest = write_dataset(dataclasses.replace(config, velocities=True), tmp_path / "with", command="simulate")
    assert manifest.features == ("velocity_x", "velocity_y", "velocity_z", "charge")
    found, expected = (np.load(tmp_path / name / "train/00000.npy") for name in ("with", "without"))
    np.testing.assert_array_equal(found[..., [0, 1, 2, 6]], expected)
    differences = (expected[2:, :, :3] - expected[:-2, :, :3]) / (2 * manifest.time_between_frames)
    np.testing.assert_allclose(found[1:-1, :, 3:6], differences, atol=2e-3)


@pytest.mark.parametrize(
    "config",
    [
        SPRINGS,
        dataclasses.replace(SPRINGS, edge_probability=0.0),
        TrapConfig(num_train=1, num_validation=1, num_test=0, num_frames=2, num_dimensions=3, temperature=1.0),
        LennardJonesConfig(num_train=1, num_validation=1, num_test=0, num_frames=2, equilibration_steps=5),
        CoulombConfig(num_train=1, num_validation=1, num_test=0, num_frames=2, velocities=True),
    ],
)
def test_datasets_are_valid(tmp_path, config):
    write_dataset(config, tmp_path, command="simulate")
    assert validate(tmp_path, min_frames=2) == []


def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path):
    for name in ("whole", "cut"):
        write_dataset(SPRINGS, tmp_path / name, command="simulate")
    for file in ("dataset.json", "train/00001.npy"):
        (tmp_path / "cut" / file).unlink()
    kept = (tmp_path / "cut/train/00000.npy").stat().st_mtime_ns
    write_dataset(SPRINGS, tmp_path / "cut", command="simulate")
    for file in sorted((tmp_path / "whole").rglob("*.*")):
        assert file.read_bytes() == (tmp_path / "cut" / file.relative_to(tmp_path / "whole")).read_bytes()
    assert (tmp_path / "cut/train/00000.npy").stat().st_mtime_ns == kept


def test_another_configuration_is_refused(tmp_path):
    write_dataset(SPRINGS, tmp_path, command="simulate")
    with pytest.raises(UserError, match="`spring_constant` = "):
        write_dataset(dataclasses.replace(SPRINGS, spring_constant=0.2), tmp_path, command="simulate")


def test_a_complete_dataset_is_not_touched(tmp_path):
    first = write_dataset(SPRINGS, tmp_path, command="simulate")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write_dataset(SPRINGS, tmp_path, command="simulate") == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times
    assert not (tmp_path / ".lock").exists()
