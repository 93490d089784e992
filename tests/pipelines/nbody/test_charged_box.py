import dataclasses
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.nbody import charged_box
from pipelines.nbody.box_integrator import kick_and_drift, reflect
from pipelines.nbody.charged_box import Extremes, draw, load_trajectories, load_velocities, simulate
from pipelines.nbody.config import ChargedBoxConfig
from pipelines.nbody.initial_conditions import generator
from pipelines.validation import validate

SMALL = ChargedBoxConfig(
    num_train=5, num_validation=2, num_test=1, num_frames=3, num_test_frames=4, save_every=20, half_width=1.5, seed=3
)


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(charged_box, "SIMULATIONS_PER_CHUNK", 2)


@pytest.fixture
def directory(tmp_path):
    simulate(SMALL, tmp_path / "box", command="by hand")
    return tmp_path / "box"


def test_writes_what_the_readable_integrator_gives(directory):
    assert validate(directory) == []
    manifest = Manifest.load(directory)
    assert manifest.features == ("charge",) and manifest.time_between_frames == 0.02
    assert {split: len(files) for split, files in manifest.splits.items()} == {"train": 5, "validation": 2, "test": 1}
    for split, count, num_frames in (("train", 5, 3), ("validation", 2, 3), ("test", 1, 4)):
        stored, stored_velocities = load_trajectories(directory, split), load_velocities(directory, split)
        assert stored.shape == (count, num_frames, 5, 3) and stored_velocities.shape == (count, num_frames, 5, 2)
        for index in range(count):
            state = draw(generator(3, split, index, 0), SMALL)
            x, v = reflect(state.positions, state.velocities, 1.5)
            for frame in range(num_frames):
                x, v = kick_and_drift(
                    x,
                    v,
                    state.charges,
                    coulomb_constant=1.0,
                    max_force=100.0,
                    half_width=1.5,
                    time_step=1e-3,
                    num_steps=20,
                )
                np.testing.assert_allclose(stored[index, frame, :, :2], x, atol=1e-6)
                np.testing.assert_allclose(stored_velocities[index, frame], v, atol=1e-6)
                np.testing.assert_array_equal(stored[index, frame, :, 2], state.charges)


def test_extremes_are_those_of_the_training_split(directory):
    extremes = Extremes.of(Manifest.load(directory))
    positions, velocities = load_trajectories(directory, "train")[..., :2], load_velocities(directory, "train")
    assert (extremes.position_min, extremes.position_max) == (positions.min(), positions.max())
    assert (extremes.velocity_min, extremes.velocity_max) == (velocities.min(), velocities.max())


def test_initial_states_are_as_stated():
    config = ChargedBoxConfig()
    states = [draw(generator(0, "train", index, 0), config) for index in range(400)]
    positions, velocities, _, charges = (np.stack(values) for values in zip(*states, strict=True))
    np.testing.assert_allclose(np.linalg.norm(velocities, axis=-1), 0.5)
    assert abs(np.std(positions) - 1.0) < 0.05 and abs(np.mean(positions)) < 0.05
    assert set(np.unique(charges)) == {-1.0, 1.0} and abs(np.mean(charges)) < 0.1
    angles = np.arctan2(velocities[..., 1], velocities[..., 0])
    counts = np.histogram(angles, bins=4, range=(-np.pi, np.pi))[0]
    assert counts.min() > 0.85 * counts.mean()


def test_fewer_simulations_are_the_first_of_more_and_an_interrupted_run_resumes(directory, tmp_path):
    fewer = dataclasses.replace(SMALL, num_train=3)
    simulate(fewer, tmp_path / "fewer", command="by hand")
    more, less = contents(directory), contents(tmp_path / "fewer")
    for name in ("train/00000.npy", "train/00002.npy", "test/00000.npy", "velocities/train/00000.npy"):
        assert more[name] == less[name]
    for name in ("dataset.json", "velocities/train/00002.npy", "train/00003.npy"):
        (directory / name).unlink()
    simulate(SMALL, directory, command="by hand")
    assert contents(directory) == more
    simulate(SMALL, directory, command="something else")
    assert contents(directory) == more


def test_refusals(directory, tmp_path):
    with pytest.raises(UserError, match="holds a dataset with `seed` = 3; expected 4"):
        simulate(dataclasses.replace(SMALL, seed=4), directory, command="by hand")
    with pytest.raises(UserError, match="`num_train` must be at least 1"):
        dataclasses.replace(SMALL, num_train=0)
    with pytest.raises(UserError, match="`half_width` must be positive"):
        dataclasses.replace(SMALL, half_width=0.0)
    with pytest.raises(UserError, match="no velocities of the split 'train'; expected charges in a box"):
        load_velocities(tmp_path, "train")
    written = json.loads((directory / "dataset.json").read_text())
    del written["provenance"]["training_extremes"]
    (directory / "dataset.json").write_text(json.dumps(written))
    with pytest.raises(UserError, match="no `training_extremes` in the provenance"):
        Extremes.of(Manifest.load(directory))
