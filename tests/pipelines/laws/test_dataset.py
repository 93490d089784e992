import dataclasses
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.laws.config import LennardJonesConfig, SpringsConfig
from pipelines.laws.dataset import write_dataset

SPRINGS = SpringsConfig(num_train=3, num_validation=1, num_test=0, num_frames=4, save_every=2)


def test_manifest_files_and_bonds(tmp_path):
    write_dataset(SPRINGS, tmp_path, command="simulate")
    manifest = json.loads((tmp_path / "dataset.json").read_text())
    assert manifest["splits"]["train"] == [f"train/0000{i}.npy" for i in range(3)]
    assert "box" not in manifest
    trajectory = np.load(tmp_path / "train/00000.npy")
    assert trajectory.shape == (4, 5, 3) and trajectory.dtype == np.float32
    edges = np.load(tmp_path / manifest["edges"]["train/00000.npy"])
    assert edges.shape[1] == 3 and len(edges) > 0
    assert (edges[:, 0] < edges[:, 1]).all() and set(edges[:, 2]) == {1}


def test_a_periodic_law_says_its_box(tmp_path):
    config = LennardJonesConfig(num_train=1, num_validation=0, num_test=0, num_frames=2, equilibration_steps=5)
    write_dataset(config, tmp_path, command="simulate")
    box = json.loads((tmp_path / "dataset.json").read_text())["box"]
    assert box == pytest.approx([(64 / 0.7) ** 0.5] * 2)


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
