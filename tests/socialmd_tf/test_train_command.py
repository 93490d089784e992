import contextlib
import csv
import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pipelines.manifest import Manifest
from socialmd_tf import commands
from socialmd_tf.config import to_dict
from socialmd_tf.export.saved_model import load
from socialmd_tf.train import main, parse
from socialmd_tf.training import loop
from tests.tensorflow_log import without_tensorflow_log

SETTINGS = {
    "windows": {
        "subsample": 2,
        "subsample_phases": 1,
        "warm_up_steps": 2,
        "rollout_steps": 3,
        "window_shift": 2,
        "rotations": 1,
    },
    "model": {
        "units": 8,
        "input_embedding": 4,
        "state_embedding": 4,
        "interaction_embedding": 4,
        "bins": 8,
        "filters": [2],
        "kernel_size": 2,
        "side_lengths": [4.0],
    },
    "epochs": 12,
    "patience": 3,
    "batch_size": 5,
    "learning_rate": 0.03,
}
QUICK = {"model.cell": "plain", "model.interaction": "none", "model.input_layers": 4, "model.lstm_layers": 4}
"""Flags of a model whose graph is built in a fifth of the time."""

# HDF5 files are written by Keras through an old NumPy interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture
def data(write_dataset, random_trajectory):
    """24 windows of three and four particles to train on, so much slower than the others that overfitting is fast."""
    trajectories = [random_trajectory(num_particles=3 + seed % 2, seed=seed) for seed in range(5)]
    slow = [trajectory * np.float32(0.2) for trajectory in trajectories[:3]]
    return write_dataset({"train": slow, "validation": trajectories[3:4], "test": trajectories[4:]})


@pytest.fixture
def flags(tmp_path, data):
    """Flags of a quick run under `tmp_path`."""
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    return {
        "config": tmp_path / "settings.json",
        "data": data,
        "run-directory": tmp_path / "run",
        "export-directory": tmp_path / "saved" / "small",
    }


def spell(flags):
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in flags.items()]


@pytest.fixture
def call(monkeypatch, capsys, flags):
    """Run the command here: flags that replace the usual ones -> exit status, stdout, stderr."""

    def call(**changes):
        given = {**flags, **{name.replace("_", "-"): value for name, value in changes.items()}}
        monkeypatch.setattr(sys, "argv", ["train", *spell({k: v for k, v in given.items() if v is not None})])
        with pytest.raises(SystemExit) as stop:
            commands.run(main)
        return stop.value.code, *capsys.readouterr()

    return call


def history(run):
    lines = (run / "history.csv").read_text().splitlines()
    return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def same_histories(found, expected):
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-5)


def kill_after(epoch, flags):
    """Start the command, kill it when an epoch has been saved, and return the number of the last saved one."""
    run, command = flags["run-directory"], [sys.executable, "-m", "socialmd_tf.train", *spell(flags)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not any(int(path.name) >= epoch for path in (run / "checkpoints").glob("[0-9]*")):
            assert process.poll() is None, process.stderr.read().decode()[-2000:]
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    return max(int(path.name) for path in (run / "checkpoints").glob("[0-9]*"))


@pytest.mark.slow
def test_a_killed_run_resumes_as_if_never_killed(flags, tmp_path, capsys):
    flags |= {**QUICK, "epochs": 40, "patience": 40}
    config = parse(spell(flags))
    reached = kill_after(2, flags)
    assert reached < 40
    config = dataclasses.replace(config, epochs=reached + 2)
    model, run = loop.fit(config, flags["data"])
    assert f"continuing {flags['run-directory']} after epoch {reached}" in capsys.readouterr().out
    unbroken, whole = loop.fit(dataclasses.replace(config, run_directory=str(tmp_path / "unbroken")), flags["data"])
    assert len(run.epochs) == len(whole.epochs) == reached + 2
    same_histories(run.epochs, whole.epochs)
    for weight, expected in zip(model.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_killed_command_ends_as_if_never_killed(call, flags, tmp_path):
    """With early stopping, export and report; and a run that has ended does nothing again."""
    run, command = tmp_path / "run", [sys.executable, "-m", "socialmd_tf.train", *spell(flags)]
    reached = kill_after(6, flags)  # the fifth is the best
    half = run / "checkpoints" / f".{reached + 1:04}.partial"
    half.mkdir(exist_ok=True)
    (half / "model.weights.h5").write_text("half")

    resumed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (resumed.returncode, without_tensorflow_log(resumed.stderr)) == (0, "")
    assert f"continuing {run} after epoch {reached}\n" in resumed.stdout

    unbroken = tmp_path / "unbroken"
    code, out, _ = call(run_directory=unbroken, export_directory=tmp_path / "saved" / "other")
    assert code == 0
    assert reached < len(history(unbroken)) < SETTINGS["epochs"]  # it stopped early
    losses = [row["val_loss"] for row in history(unbroken)]
    assert len(losses) == np.argmin(losses) + 1 + SETTINGS["patience"]
    same_histories(history(run), history(unbroken))
    results = [json.loads((directory / "metrics.json").read_text())["predictors"] for directory in (run, unbroken)]
    assert results[0]["small"]["nll"] == pytest.approx(results[1]["other"]["nll"], rel=1e-4)
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints",
        "config.json",
        "data.json",
        "finished.json",
        "history.csv",
        "metrics.json",
        "paths.png",
        "report.html",
        "report.md",
        "scales.json",
        "tensorboard",
    ]

    def table(text):
        return text[text.index("| predictor") :]

    before = (tmp_path / "saved" / "other" / "1" / "saved_model.pb").stat().st_mtime_ns
    again = call(run_directory=unbroken, export_directory=tmp_path / "saved" / "other")
    assert again[0] == 0 and table(again[1]) == table(out)
    assert "exported the weights" in out and "exported the weights" not in again[1]
    assert [path.name for path in (tmp_path / "saved" / "other").iterdir()] == ["1"]
    assert (tmp_path / "saved" / "other" / "1" / "saved_model.pb").stat().st_mtime_ns == before


@contextlib.contextmanager
def files_of_at_most(size):
    """Let this process write no file beyond a size in bytes, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.slow
def test_more_epochs_continue_a_run_also_after_a_full_disk(call, tmp_path):
    run = tmp_path / "run"
    assert call(epochs=1)[0] == 0
    before = (run / "checkpoints" / "0001" / "model.weights.h5").read_bytes()
    with files_of_at_most(20_000):
        code, _, error = call(epochs=2)
    (line,) = without_tensorflow_log(error).splitlines()
    assert code == 2 and line.startswith(f"error: {run}") and "too large" in line
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["0001"]
    assert (run / "checkpoints" / "0001" / "model.weights.h5").read_bytes() == before
    code, out, _ = call(epochs=2)
    assert code == 0 and "after epoch 1\n" in out
    assert sorted(path.name for path in (tmp_path / "saved" / "small").iterdir()) == ["1", "2"]
    assert call(epochs=2, run_directory=tmp_path / "whole")[0] == 0
    same_histories(history(run), history(tmp_path / "whole"))


@pytest.mark.slow
def test_a_run_that_diverges_says_so_in_one_line(call, tmp_path):
    code, _, error = call(learning_rate=1e30, **QUICK)
    (line,) = error.splitlines()
    assert code == 1
    assert line.startswith("error: the loss became ") and "in epoch 1, batch " in line
    assert line.endswith("no epoch was finished. Try a lower --learning-rate")
    assert not (tmp_path / "saved").exists() and not (tmp_path / "run" / "history.csv").exists()


@pytest.mark.slow
def test_ctrl_c_stops_cleanly(flags, tmp_path):
    command = [sys.executable, "-m", "socialmd_tf.train", *spell(flags)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "run" / "checkpoints" / "0001").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
    assert process.returncode == 130
    assert error.splitlines()[-1] == "interrupted; what was saved is kept: run the same command again"
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": "nowhere.json"}, "no such file: nowhere.json"),
        ({"data": "nowhere"}, "nowhere: no such directory; expected the directory of a dataset"),
        ({"preset": "best"}, "Received: 'best'. Change --preset"),
        ({"epochs": 0}, "`epochs` must be at least 1. Received: 0"),
        ({"learning_rate": "nan"}, "`learning_rate` must be positive. Received: nan"),
        ({"learning_rte": 1}, "--learning-rte"),
        (
            {"subsample": 3, "subsample_phases": 2},
            "`subsample_phases` must be a divisor of `subsample` = 3. Received: 2",
        ),
        ({"warm_up_steps": 30}, "expected at least 65 frames for one window, found 40"),
        ({"rollout_steps": 30}, "expected at least 63 frames for one window, found 40"),
        ({"model.bins": 1}, "`bins` must be at least 2"),
        (
            {"initial_weights": "nowhere"},
            "`initial_weights` must be a run with at least one finished epoch. Received: nowhere",
        ),
        (
            {"initial_weights": "run", "run_directory": "run"},
            "`initial_weights` must be another directory than",
        ),
        ({"initial_model": "nowhere"}, "Found none in nowhere. Change --initial-model"),
        ({"max_horizon": 2}, "`max_horizon` must be at least `rollout_steps` = 3. Received: 2"),
        ({"model.scale_floor": 100}, "--model.scale-floor"),
    ],
)
def test_a_user_s_mistake_is_one_line(call, tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(**changes)
    (line,) = error.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "run").exists() and not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "settings.json is not JSON: "),
        ("[]", "`TrainConfig` must be a JSON object. Received: []"),
        ('{"epoch": 1}', "unknown field `epoch` in TrainConfig. Expected: config, data, preset, "),
        ('{"model": {"unit": 1}}', "unknown field `unit` in ModelConfig"),
        ('{"epochs": "many"}', "`epochs` must be of type int. Received: 'many'"),
        ('{"epochs": null}', "`epochs` must be "),
        ('{"preset": "best"}', "`preset` must be one of thesis, "),
    ],
)
def test_a_faulty_config_file_is_one_line(call, flags, text, message):
    flags["config"].write_text(text)
    code, _, error = call()
    assert code == 2 and message in error and len(error.splitlines()) == 1


def test_a_preset_beside_a_config_file_that_is_no_object_is_refused(call, flags):
    flags["config"].write_text("[]")
    message = f"error: {flags['config']}: `TrainConfig` must be a JSON object. Received: []. Change --config\n"
    assert call(preset="thesis")[::2] == (2, message)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frames: frames[0], "expected rank 3, [num_frames, N, 3], found rank 2"),
        (lambda frames: frames[:8], "expected at least 9 frames for one window, found 8"),
        (
            lambda frames: np.where(np.arange(40)[:, None, None] == 5, np.float32(np.nan), frames),
            "frame 5, particle 0, column 0 (x): expected a finite number, found nan",
        ),
        (
            lambda frames: frames + (np.arange(40)[:, None, None] == 9) * np.float32(1),
            "frame 9, particle 0, column 2 (mass): expected",
        ),
    ],
)
def test_faulty_data_are_refused_before_training(call, data, tmp_path, split, spoil, message):
    path = data / split / "00000.npy"
    np.save(path, spoil(np.load(path)).astype(np.float32))
    code, out, error = call()
    assert (code, out) == (2, "")
    assert error.startswith(f"error: {path}: {message}") and len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_data_set_without_manifest_is_refused(call, data):
    (data / "dataset.json").unlink()
    code, _, error = call()
    assert code == 2
    assert error == (
        f"error: {data / 'dataset.json'}: No such file or directory; expected the manifest of a dataset, "
        "which `prepare` writes from trajectories of molecules\n"
    )


@pytest.mark.parametrize("name", ["run", "saved"])
def test_directories_of_something_else_are_refused_before_training(call, tmp_path, name):
    directory = tmp_path / name
    directory.mkdir()
    (directory / "notes.txt").write_text("mine")
    code, out, error = call(**{"run": {"run_directory": directory}, "saved": {"export_directory": directory}}[name])
    assert (code, out, len(error.splitlines())) == (2, "", 1)
    assert str(directory) in error and "must" in error
    assert [path.name for path in directory.iterdir()] == ["notes.txt"]


def test_a_training_leaves_a_model_and_a_report_and_is_not_repeated(call, tmp_path):
    code, out, _ = call(epochs=1, **QUICK)
    run, version = tmp_path / "run", tmp_path / "saved" / "small" / "1"
    assert code == 0 and f"model: {version}\n" in out
    assert (run / "report.md").read_text() in out and (run / "paths.png").exists()
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    found = json.loads((run / "metrics.json").read_text())["predictors"]["small"]
    assert card["metrics"]["split"] == "validation" and card["metrics"]["mae"] == found["mae"]
    assert not (run / "test_evaluations.json").exists()

    times = {path: path.stat().st_mtime_ns for path in (version / "saved_model.pb", run / "metrics.json")}
    code, out, _ = call(epochs=1, **QUICK)
    assert code == 0 and "exported" not in out and f"model: {version}\n" in out
    assert {path: path.stat().st_mtime_ns for path in times} == times

    code, _, error = call(run_directory=tmp_path / "next", initial_weights=run, **QUICK | {"model.lstm_layers": 7})
    assert (code, len(error.splitlines())) == (2, 1)
    assert f"In {run} `lstm_layers` is [4] there and [7] here" in error
    assert not (tmp_path / "next").exists()


def test_a_run_of_another_configuration_is_refused(call, flags, tmp_path):
    (tmp_path / "run").mkdir()
    settings = to_dict(parse(spell(flags)))
    (tmp_path / "run" / "config.json").write_text(json.dumps({**settings, "batch_size": 7}))
    code, _, error = call()
    assert (code, len(error.splitlines())) == (2, 1)
    assert "`batch_size` is 7 there and 5 here" in error and "--run-directory" in error


def test_the_test_split_needs_a_flag_and_files(call, data, tmp_path):
    manifest = Manifest.load(data)
    dataclasses.replace(manifest, splits={**manifest.splits, "test": ()}).save(data)
    code, out, error = call(final=True)
    assert (code, out, len(error.splitlines())) == (2, "", 1)
    assert "`final`" in error and not (tmp_path / "run").exists()


def test_a_real_process_ends_with_one_line_too(flags, tmp_path):
    shutil.rmtree(flags["data"])
    command = [sys.executable, "-m", "socialmd_tf.train", *spell(flags)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"error: {flags['data']}: no such directory; expected the directory of a dataset\n"


@pytest.fixture
def periodic_data(write_dataset):
    """Walks wrapped into a box of side 6, with velocities and bonds."""

    def walk(seed):
        generator = np.random.default_rng(seed)
        moves = 0.05 * generator.normal(size=(24, 4, 2))
        positions = (6 * generator.uniform(size=(1, 4, 2)) + moves.cumsum(axis=0)) % 6
        return np.concatenate([positions, np.ones((24, 4, 1)), 10 * moves], axis=-1).astype(np.float32)

    splits = {"train": [walk(0), walk(1)], "validation": [walk(2)], "test": [walk(3)]}
    features = ("mass", "velocity_x", "velocity_y")
    directory = write_dataset(splits, features=features, name="periodic", box=(6.0, 6.0), edges="bonds.npy")
    np.save(directory / "bonds.npy", np.array([[0, 1, 1], [2, 3, 2]]))
    return directory


@pytest.mark.slow
def test_periodic_data_with_bonds_and_velocities_train_a_model_that_takes_them(call, periodic_data, tmp_path):
    network = {"model.head": "verlet", "model.interaction": "pairwise", "model.softening": 0.5, "model.substeps": 2}
    code, out, error = call(data=periodic_data, epochs=1, **network)
    assert code == 0, error
    assert "--model.cutoff is 3 instead of 20" in out
    model = load(tmp_path / "saved" / "small")
    settings = model.card["model"]
    assert (settings["periodic"], settings["num_edge_types"], settings["observed_velocities"]) == (True, 2, True)
    assert settings["cutoff"] == pytest.approx(3.0)
    forecast = model.rollout(periodic_data / "test/00000.npy", 2)
    assert np.isfinite(forecast.mean).all() and forecast.mean.shape == (2, 4, 2)


@pytest.mark.parametrize(
    ("changes", "bonds", "message"),
    [
        ({"model.side_lengths": 7.0}, [[0, 1, 1]], "--model.side-lengths"),
        ({"model.head": "verlet", "model.interaction": "pairwise", "model.cutoff": 3.5}, [[0, 1, 1]], "--model.cutoff"),
        (
            {"preset": "forces", "force_cutoff": 3.5},
            [[0, 1, 1]],
            "`force_cutoff` must be at most half the smallest height",
        ),
        (
            {"preset": "forces", "terms": "field", "rotations": 0},
            [[0, 1, 1]],
            "`terms` must be without a field in a periodic box",
        ),
        ({}, [[0, 4, 1]], "bonds.npy: row 0: expected particles from 0 to 3, found [0, 4, 1]"),
    ],
)
def test_what_does_not_fit_the_box_or_the_particles_is_refused(call, periodic_data, tmp_path, changes, bonds, message):
    np.save(periodic_data / "bonds.npy", np.array(bonds))
    code, _, error = call(data=periodic_data, **changes)
    assert code == 2 and message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists() and not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("factor", "side", "message"),
    [
        (1000, None, "train/00000.npy: columns velocity_x, velocity_y: expected velocities in 1 per unit of"),
        (1, 4.0, "train/00000.npy: frame 25, particle 3, column 0 (x): expected positions that are not wrapped"),
    ],
    ids=["velocities", "jumps"],
)
def test_velocities_in_another_unit_and_jumps_are_refused(call, write_dataset, tmp_path, factor, side, message):
    velocities = np.ones((60, 4, 2))
    positions = np.arange(4)[:, None] * 0.1 + 0.15 * np.arange(60)[:, None, None] * velocities
    right = np.concatenate([positions, 1.5 * velocities], axis=-1).astype(np.float32)
    positions = positions if side is None else positions % side
    wrong = np.concatenate([positions, factor * 1.5 * velocities], axis=-1).astype(np.float32)
    splits = {"train": [wrong], "validation": [right], "test": [right]}
    code, _, error = call(data=write_dataset(splits, features=("velocity_x", "velocity_y"), name="fast"))
    assert code == 2 and message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()
