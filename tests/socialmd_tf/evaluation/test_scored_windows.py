"""Scores in a periodic box."""

import shutil

import numpy as np
import pytest

from pipelines.boxes import lattice_vectors, wrap
from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.laws.config import LennardJonesConfig, SpringsConfig
from pipelines.laws.dataset import write_dataset
from pipelines.manifest import Manifest
from socialmd_tf.evaluation import predictors
from socialmd_tf.evaluation.scored_windows import ScoredWindows

WINDOWS = DataConfig(subsample=1, subsample_phases=1, warm_up_steps=3, rollout_steps=5, window_shift=4, rotations=0)
LIQUID = LennardJonesConfig(
    num_train=1,
    num_validation=0,
    num_test=1,
    num_particles=27,
    density=0.45,
    cutoff=1.9,
    switch=1.4,
    num_frames=20,
    save_every=20,
    equilibration_steps=500,
)


@pytest.fixture(scope="module")
def liquid(tmp_path_factory):
    """A dataset of a periodic liquid, unwrapped, and the same one wrapped."""
    root = tmp_path_factory.mktemp("data")
    write_dataset(LIQUID, root / "unwrapped", command="simulate")
    shutil.copytree(root / "unwrapped", root / "wrapped")
    manifest = Manifest.load(root / "wrapped")
    for file in manifest.files:
        frames = np.load(root / "wrapped" / file)
        np.save(root / "wrapped" / file, wrap(frames, lattice_vectors(manifest.box, 2)).astype(np.float32))
    assert (np.load(root / "wrapped" / "test/00000.npy") != np.load(root / "unwrapped" / "test/00000.npy")).any()
    return root / "unwrapped", root / "wrapped"


def scored(directory):
    """`ScoredWindows` of the test split, and all predictors."""
    windows = ScoredWindows(CommonWindows([WINDOWS]), directory, "test")
    training = predictors.training_batches(windows.windows, directory)
    setting = predictors.Setting(Manifest.load(directory), WINDOWS, len(windows.index), windows.num_particles, training)
    made, left_out = predictors.make_all(setting)
    assert left_out == {}
    return windows, made


def numbers(value, path=()):
    """All numbers of nested dictionaries and lists, by their path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: number for name, item in items for key, number in numbers(item, (*path, name)).items()}
    return {path: value} if isinstance(value, float) else {}


def test_wrapped_data_are_scored_as_unwrapped_data(liquid):
    results = []
    for directory in liquid:
        windows, made = scored(directory)
        name = "constant_velocity"
        results.append(numbers(windows.score({name: made[name]})[1][name]))
    ours, theirs = results
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        assert theirs[path] == pytest.approx(value, rel=1e-2, abs=1e-3, nan_ok=True), path


@pytest.mark.slow
def test_the_exact_integrator_of_a_liquid_is_a_floor(liquid):
    windows, made = scored(liquid[1])
    _, results = windows.score(made)
    assert results["exact_integrator"]["mae"] < 1e-4
    assert results["constant_velocity"]["mae"] > 1e-2
    observables = results["exact_integrator"]["observables"]
    assert observables["energy_drift"]["truth"] < 0.1
    assert observables["momentum_drift"]["rollout"] < 1e-3
    radial = observables["radial_distribution"]
    assert radial["normalized"] and max(radial["r"]) < LIQUID.box_side / 2
    truth = np.array(radial["truth"])
    assert radial["r"][truth.argmax()] == pytest.approx(1.1, abs=0.15)  # the first shell of neighbours


@pytest.mark.slow
def test_springs_know_their_bonds(tmp_path):
    config = SpringsConfig(num_train=1, num_validation=0, num_test=1, num_frames=20)
    write_dataset(config, tmp_path, command="simulate")
    windows, made = scored(tmp_path)
    result = windows.score(made)[1]["exact_integrator"]
    assert result["mae"] < 1e-5
    assert result["observables"]["energy_drift"]["rollout"] < 1e-2


@pytest.mark.slow
def test_units_of_one_batch_give_the_numbers_of_one_unit(liquid, monkeypatch):
    monkeypatch.setattr(CommonWindows, "batch_size", staticmethod(lambda num_particles: 2))
    results = []
    for batches in (1, 100):
        monkeypatch.setattr("socialmd_tf.evaluation.scored_windows._BATCHES", batches)
        windows, made = scored(liquid[0])
        assert len(windows.index) > 3
        results.append(numbers(windows.score(made)[1]))
    assert results[0] == pytest.approx(results[1], rel=1e-12, nan_ok=True)
