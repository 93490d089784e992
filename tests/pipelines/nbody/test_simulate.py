import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pipelines import progress
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import forces, kinetic_energy, potential_energy
from pipelines.nbody.initial_conditions import draw, generator
from pipelines.nbody.simulate import simulate
from pipelines.nbody.verlet import velocity_verlet
from pipelines.validation import validate
from tests.pipelines.nbody.dense import DENSE

# Nearly half of the draws are redrawn.
SMALL = dataclasses.replace(DENSE, num_train=5, num_validation=2, num_test=1, max_energy_error=1e-5)
# The same for a second or two, with many draws of the unluckiest simulations.
LONG = dataclasses.replace(SMALL, num_train=15, num_steps=50_000, save_every=500, time_step=1e-6, max_energy_error=1e-7)


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def slow_simulation(config, split, index):
    """Draw after draw by the readable integrator: frames `[num_frames, N, D]`, attempts, energy error."""
    for attempt in range(100):
        system = draw(generator(config.seed, split, index, attempt), config)
        constants = (system.masses, system.charges, config.coulomb_constant, config.gravitational_constant)
        positions, velocities = system.positions, system.velocities
        kinetic = kinetic_energy(velocities, system.masses)
        before = kinetic + potential_energy(positions, *constants)
        frames, error = [], 0.0
        for _ in range(config.num_steps // config.save_every):
            positions, velocities = velocity_verlet(
                positions,
                velocities,
                lambda x, c=constants: forces(x, *c) / c[0][:, None],
                config.time_step,
                config.save_every,
            )
            after = kinetic_energy(velocities, system.masses) + potential_energy(positions, *constants)
            error = max(error, abs(after - before) / kinetic)
            frames.append(positions)
        if error <= config.max_energy_error:
            return np.stack(frames), attempt + 1, error
    raise AssertionError("no draw was accepted")


@pytest.fixture(scope="module")
def small_dataset(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nbody") / "small"
    return directory, simulate(SMALL, directory, command="the command")


def test_writes_a_dataset_that_is_valid(small_dataset):
    directory, _ = small_dataset
    manifest = Manifest.load(directory)
    assert validate(directory, min_frames=20) == []
    assert (manifest.name, manifest.num_dimensions, manifest.features) == ("nbody", 2, ("mass", "charge"))
    assert manifest.time_between_frames == 1e-3
    assert {split: len(files) for split, files in manifest.splits.items()} == {"train": 5, "validation": 2, "test": 1}
    assert manifest.splits["test"] == ("test/00000.npy",)
    trajectory = np.load(directory / "train" / "00000.npy")
    assert trajectory.dtype == np.float32
    assert trajectory.shape == (20, 5, 4)


def test_provenance_says_where_the_data_come_from(small_dataset):
    directory, summary = small_dataset
    provenance = Manifest.load(directory).provenance
    assert provenance["seed"] == 0
    assert provenance["command"] == "the command"
    assert SimulationConfig(**provenance["config"]) == SMALL
    assert provenance["redrawn"] == summary.redrawn > 0


@pytest.mark.parametrize(("split", "index"), [("train", 0), ("train", 1), ("train", 4), ("test", 0)])
def test_the_first_draw_of_small_energy_error_is_kept(small_dataset, split, index):
    directory, _ = small_dataset
    frames, attempts, energy_error = slow_simulation(SMALL, split, index)
    trajectory = np.load(directory / split / f"{index:05d}.npy")
    record = json.loads((directory / split / f"{index:05d}.json").read_text())
    np.testing.assert_allclose(trajectory[:, :, :2], frames, atol=1e-6)
    assert record["attempts"] == attempts
    assert record["energy_error"] == pytest.approx(energy_error, rel=1e-4)
    r = np.linalg.norm(frames[:, :, None] - frames[:, None], axis=-1)
    assert record["closest_approach"] == pytest.approx(r[r > 0].min(), rel=1e-6)


def test_some_simulations_are_redrawn_and_some_are_not(small_dataset):
    attempts = [record.attempts for record in small_dataset[1].records]
    assert min(attempts) == 1
    assert max(attempts) > 2


def test_features_are_the_masses_and_charges_of_the_draw(small_dataset):
    directory, summary = small_dataset
    system = draw(generator(0, "train", 0, summary.records[0].attempts - 1), SMALL)
    features = np.load(directory / "train" / "00000.npy")[:, :, 2:]
    expected = np.stack([system.masses, system.charges], axis=1).astype(np.float32)
    np.testing.assert_array_equal(features, np.broadcast_to(expected, features.shape))


def test_same_seed_same_bytes(small_dataset, tmp_path):
    simulate(SMALL, tmp_path / "again", command="the command")
    assert contents(tmp_path / "again") == contents(small_dataset[0])


def test_another_seed_gives_other_trajectories(small_dataset, tmp_path):
    simulate(dataclasses.replace(SMALL, seed=1), tmp_path, command="the command")
    assert (tmp_path / "train/00000.npy").read_bytes() != (small_dataset[0] / "train/00000.npy").read_bytes()


def test_more_simulations_leave_the_first_ones_as_they_are(small_dataset, tmp_path):
    simulate(dataclasses.replace(SMALL, num_train=12), tmp_path, command="the command")
    more, fewer = contents(tmp_path), contents(small_dataset[0])
    assert len(more) == len(fewer) + 2 * 7
    for name in set(fewer) - {"dataset.json", "simulation.json"}:
        assert more[name] == fewer[name], name


def test_three_dimensions(tmp_path):
    config = dataclasses.replace(SMALL, num_train=1, num_validation=0, num_test=0, num_dimensions=3, num_steps=300)
    simulate(config, tmp_path, command="the command")
    frames, _, _ = slow_simulation(config, "train", 0)
    np.testing.assert_allclose(np.load(tmp_path / "train/00000.npy")[:, :, :3], frames, atol=1e-6)


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_bytes(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    script = (
        "import pathlib; from pipelines.nbody.config import SimulationConfig; "
        "from pipelines.nbody.simulate import simulate; "
        f"simulate({LONG!r}, pathlib.Path({str(killed)!r}), command='the command')"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while not list(killed.glob("*/*.json")) and process.poll() is None:
        time.sleep(0.002)
    with pytest.raises(UserError, match=f"in use by process {process.pid} "):
        simulate(LONG, killed, command="the command")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in killed.glob("*/*.npy")}
    recorded = [path.with_suffix(".npy") for path in killed.glob("*/*.json")]
    assert 0 < len(recorded) < 18
    assert not (killed / "dataset.json").exists()

    resumed = simulate(LONG, killed, command="the command")
    uninterrupted = simulate(LONG, whole, command="the command")
    assert contents(killed) == contents(whole)
    assert resumed.records == uninterrupted.records
    assert all(path.stat().st_mtime_ns == kept[path] for path in recorded)  # not computed again


@pytest.fixture
def own_copy(small_dataset, tmp_path):
    directory = tmp_path / "copy"
    for name, content in contents(small_dataset[0]).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    return directory


def test_a_complete_dataset_is_left_alone(own_copy, small_dataset):
    before = {path: path.stat().st_mtime_ns for path in own_copy.rglob("*")}
    summary = simulate(SMALL, own_copy, command="another command")
    assert {path: path.stat().st_mtime_ns for path in own_copy.rglob("*")} == before
    assert summary.was_complete and "complete already" in str(summary)
    assert summary.records == small_dataset[1].records


@pytest.mark.parametrize("lost", ["train/00003.npy", "train/00003.json", "dataset.json"])
def test_what_is_lost_is_made_again(own_copy, small_dataset, lost):
    (own_copy / lost).unlink()
    (own_copy / "train" / ".00003.npy.123.tmp").write_bytes(b"of a run killed while it wrote")
    assert not simulate(SMALL, own_copy, command="the command").was_complete
    assert contents(own_copy) == contents(small_dataset[0])


def test_refuses_a_directory_of_other_things(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not empty and not an N-body dataset; expected a new directory"):
        simulate(SMALL, tmp_path, command="the command")
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_refuses_a_dataset_of_another_configuration(own_copy):
    with pytest.raises(UserError, match="holds a dataset with `seed` = 0; expected 7 or a new directory"):
        simulate(dataclasses.replace(SMALL, seed=7), own_copy, command="the command")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_refuses_a_broken_configuration_file(tmp_path, content):
    (tmp_path / "simulation.json").write_text(content)
    with pytest.raises(UserError, match=r"simulation\.json: not the configuration of an N-body dataset"):
        simulate(SMALL, tmp_path, command="the command")


def test_refuses_a_file_where_the_directory_belongs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: cannot hold a dataset: File exists"):
        simulate(SMALL, tmp_path / "file", command="the command")


def test_gives_up_a_hopeless_time_step(tmp_path):
    config = dataclasses.replace(SMALL, num_steps=1, save_every=1, time_step=1.0)
    with pytest.raises(
        UserError, match="`time_step` must be small enough for `max_energy_error` = 1e-05: 100 successive"
    ):
        simulate(config, tmp_path, command="the command")


@pytest.mark.parametrize("change", [{"speed": 0.0}, {"num_particles": 1}])
def test_refuses_systems_without_kinetic_energy(tmp_path, change):
    with pytest.raises(UserError, match="`speed` must be positive and `num_particles` at least 2"):
        simulate(dataclasses.replace(SMALL, **change), tmp_path, command="the command")
    assert os.listdir(tmp_path) == []


def test_prints_plain_lines_where_there_is_no_terminal(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    simulate(SMALL, tmp_path, command="the command")
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("simulate: ")]
    assert lines[0] == "simulate: 0 of 8 accepted, 0 redrawn, 5%"
    assert lines[-1].startswith("simulate: 8 of 8 accepted, ") and lines[-1].endswith(", 100%")


def test_a_run_killed_while_it_wrote_its_first_file_begins_anew(small_dataset, tmp_path):
    directory = tmp_path / "killed"
    directory.mkdir()
    (directory / ".simulation.json.4711.tmp").write_text('{"num_')
    simulate(SMALL, directory, command="the command")
    assert contents(directory) == contents(small_dataset[0])
