import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("keras_tuner", reason="needs the extra `tuning`")
pytest.importorskip("optuna", reason="needs the extra `tuning`")

from pipelines.output_directory import DirectoryLock
from socialmd_tf import commands, tune
from socialmd_tf.config import TrainConfig, load_json
from socialmd_tf.train import parse
from socialmd_tf.tuning.hyperparameters import value_in
from tests.tensorflow_log import without_progress, without_tensorflow_log

QUICK = Path(__file__).parent / "tuning" / "quick_search.py"
ROOT = Path(__file__).parents[2]
WAIT = 120


@pytest.fixture
def data(write_dataset, random_trajectory):
    trajectories = [random_trajectory(num_particles=3, seed=seed) for seed in range(3)]
    return write_dataset({"train": trajectories[:1], "validation": trajectories[1:2], "test": trajectories[2:]})


@pytest.fixture
def start(tmp_path, data):
    """Start the command with a formula instead of training; ended by its process id when the test ends."""
    with contextlib.ExitStack() as stack:

        def start(*flags, **environment):
            command = [sys.executable, str(QUICK), "--data", str(data), "--output", str(tmp_path / "search")]
            command += ["--preset", "pairwise", "--subsample", "1"]
            command += ["--only", "learning_rate", "model.units", *flags]
            given = os.environ | {"RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
            process = subprocess.Popen(
                command, env=given | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def runs(tmp_path):
    """Who ran which learning rate: one entry a run of a trial."""

    def runs():
        path = tmp_path / "runs"
        return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []

    return runs


def wait_until(condition, *processes):
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        assert all(process.poll() is None for process in processes), processes[0].communicate()
        time.sleep(0.05)


def cluster():
    """Environments of a chief and two workers on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    return [{**shared, "KERASTUNER_TUNER_ID": name} for name in ("chief", "worker0", "worker1")]


def saved_trials(search):
    return [load_json(path) for path in sorted((search / "trials").glob("trial_*/trial.json"))]


@pytest.mark.slow
def test_a_killed_worker_does_not_hang_the_chief(start, runs, tmp_path):
    """Its trial is run by the other worker; no other trial is run twice, and the chief and that worker end."""
    flags = ["--max-trials", "6", "--worker-timeout", "4"]
    environments = cluster()
    environments[2]["STUCK"] = "worker1"
    chief, worker, dying = (start(*flags, **environment, SECONDS="0.5") for environment in environments)
    wait_until(lambda: "worker1" in dict(runs()), chief, worker, dying)
    dying.send_signal(signal.SIGKILL)
    out, error = chief.communicate(timeout=WAIT)
    assert (chief.returncode, error) == (0, "")
    assert "worker1 was silent for 4 s" in out and "the search ended: all trials are done" in out
    assert worker.wait(timeout=WAIT) == 0
    (lost,) = [rate for who, rate in runs() if who == "worker1"]
    assert sorted(who for who, rate in runs() if rate == lost) == ["worker0", "worker1"]
    rates = [rate for _, rate in runs()]
    assert len(rates) == 7 and len(set(rates)) == 6
    assert [trial["status"] for trial in saved_trials(tmp_path / "search")] == ["COMPLETED"] * 6


@pytest.mark.slow
def test_a_chief_and_two_workers_run_no_trial_twice(start, runs, tmp_path):
    processes = [start("--max-trials", "12", **environment, SECONDS="0.3") for environment in cluster()]
    results = [process.communicate(timeout=WAIT) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], results
    rates = [rate for _, rate in runs()]
    assert len(rates) == len(set(rates)) == 12
    assert {who for who, _ in runs()} == {"worker0", "worker1"}
    assert [trial["status"] for trial in saved_trials(tmp_path / "search")] == ["COMPLETED"] * 12
    assert (tmp_path / "search" / "best.json").exists()


@pytest.mark.slow
def test_a_killed_search_goes_on_as_if_never_killed(start, runs, tmp_path):
    """With the same values in the same order; the trial that was running is run again, no other is."""
    killed = start("--max-trials", "14", SECONDS="0.2")
    wait_until(lambda: len(runs()) == 12, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    resumed = start("--max-trials", "14")
    out, error = resumed.communicate(timeout=WAIT)
    assert (resumed.returncode, error) == (0, "")
    assert "resuming the search: 11 of at most 14 trials are done" in out
    rates = [rate for _, rate in runs()]
    assert rates[11] == rates[12] and len(set(rates)) == 14 and len(rates) == 15
    found = [trial["hyperparameters"]["values"] for trial in saved_trials(tmp_path / "search")]

    unbroken = start("--max-trials", "14", "--output", str(tmp_path / "unbroken"))
    assert unbroken.wait(timeout=WAIT) == 0
    assert found == [trial["hyperparameters"]["values"] for trial in saved_trials(tmp_path / "unbroken")]


@pytest.mark.slow
def test_ctrl_c_stops_cleanly(start, runs):
    process = start(SECONDS="60")
    wait_until(runs, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=WAIT)
    assert (process.returncode, error) == (130, "interrupted; what was saved is kept: run the same command again\n")


@pytest.fixture
def train_for_real(tmp_path, data):
    """Run the command as users do, with tiny models and windows."""
    windows = {"subsample": 2, "subsample_phases": 1, "warm_up_steps": 2, "rollout_steps": 3, "rotations": 1}
    model = {"head": "kinematic", "interaction": "pairwise", "units": 4, "pair_units": 4, "pair_channels": 2}
    (tmp_path / "settings.json").write_text(json.dumps({"windows": windows, "model": model, "preset": "pairwise"}))

    def run(*flags, module="tune"):
        command = [sys.executable, "-m", f"socialmd_tf.{module}", "--data", str(data), *flags]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        result.stderr = without_tensorflow_log(result.stderr)
        return result

    return run


@pytest.mark.slow
def test_a_trial_that_time_cuts_off_is_run_again(train_for_real, tmp_path):
    flags = ["--config", str(tmp_path / "settings.json"), "--output", str(tmp_path / "search"), "--tuner", "random"]
    flags += ["--epochs", "2", "--max-trials", "1"]
    short = train_for_real(*flags, "--minutes", "0.01")
    assert (short.returncode, short.stderr) == (1, "")
    assert "trial 0, epoch 1 of 2" in short.stdout and "trial 0, epoch 2 of 2" not in short.stdout
    assert "the search ended: the time is up" in short.stdout and "no trial was completed" in short.stdout
    again = train_for_real(*flags)
    assert (again.returncode, again.stderr) == (0, "")
    assert "resuming the search: 0 of at most 1 trials are done" in again.stdout
    assert "trial 0, epoch 1 of 2" in again.stdout and "trial 0 ended: val_loss" in again.stdout
    line = next(line for line in short.stdout.splitlines() if "trial 0, epoch 1 of 2" in line)
    assert line in again.stdout  # the same values, weights and batches


@pytest.mark.slow
def test_hyperband_goes_on_from_weights_and_the_best_is_trained(train_for_real, tmp_path):
    search, settings = tmp_path / "search", str(tmp_path / "settings.json")
    ranges = ["--ranges", "model.units=4,8", "learning_rate=1e-3:1e-1:log", "clip_norm=1"]
    flags = ["--config", settings, "--output", str(search), "--tuner", "hyperband", "--only", "clip_norm", *ranges]
    whole = train_for_real(*flags, "--epochs", "3", "--max-trials", "7")
    assert (whole.returncode, whole.stderr) == (0, "")
    trials = {trial["trial_id"]: trial for trial in saved_trials(search)}
    assert len(trials) == 7 and {trial["status"] for trial in trials.values()} == {"COMPLETED"}
    promoted = [trial for trial in trials.values() if "tuner/trial_id" in trial["hyperparameters"]["values"]]
    assert promoted
    for trial in promoted:
        values = trial["hyperparameters"]["values"]
        assert (values["tuner/initial_epoch"], values["tuner/epochs"]) == (1, 3)
        assert trial["score"] < trials[values["tuner/trial_id"]]["score"]  # it did not begin anew
        assert f"trial {trial['trial_id']}, epoch 2 of 3" in whole.stdout
        assert f"trial {trial['trial_id']}, epoch 1 of 3" not in whole.stdout

    best = ["--config", str(search / "best.json"), "--epochs", "1", "--run-directory", str(tmp_path / "run")]
    trained = train_for_real(*best, "--export-directory", str(tmp_path / "saved"), module="train")
    assert (trained.returncode, without_progress(trained.stderr)) == (0, "")


@pytest.mark.slow
def test_what_a_search_leaves_and_a_diverged_trial(start, tmp_path):
    process = start("--max-trials", "8", DIVERGES_ABOVE="0.002")
    out, error = process.communicate(timeout=WAIT)
    assert (process.returncode, error) == (0, "")
    trials = saved_trials(tmp_path / "search")
    values = [trial["hyperparameters"]["values"] for trial in trials]
    failed = [trial["status"] == "FAILED" for trial in trials]
    assert failed == [value["learning_rate"] > 0.002 for value in values] and 0 < sum(failed) < 8
    assert f"{8 - sum(failed)} of at most 8 trials completed, {sum(failed)} failed" in out

    best = min((trial for trial in trials if trial["score"] is not None), key=lambda trial: trial["score"])
    path = tmp_path / "search" / "best.json"
    config = parse(["--config", str(path)])
    for name, value in best["hyperparameters"]["values"].items():
        assert value_in(config, name) == value
    assert config.epochs == TrainConfig.epochs and config.preset == "pairwise"
    assert config.model.rollout_steps == config.windows.rollout_steps
    for name in ("losses", "surfaces", "importance"):
        assert (tmp_path / "search" / f"{name}.png").stat().st_size > 1000


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, data):
    """Run the command here: flags -> exit status, stdout, stderr."""

    def call(*flags):
        given = ["--data", str(data), "--subsample", "1", "--output", str(tmp_path / "search"), *map(str, flags)]
        monkeypatch.setattr(sys, "argv", ["tune", *given])
        with pytest.raises(SystemExit) as stop:
            commands.run(tune.main)
        return stop.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--max-trials", "0"], "`max_trials` must be at least 1. Received: 0"),
        (["--minutes", "0"], "`minutes` must be positive. Received: 0.0"),
        (["--worker-timeout", "-1"], "`worker_timeout` must be positive"),
        (["--ranges", "model.wings=1:2"], "--ranges or --space: expected a hyperparameter, one of learning_rate, clip"),
        (["--ranges", "nope="], "--ranges or --space: expected a hyperparameter, one of learning_rate, clip"),
        (["--only", "wings"], "--only: expected a hyperparameter, one of learning_rate, clip"),
        (["--ranges", "learning_rate"], "`ranges` must be NAME=RANGE. Received: 'learning_rate'"),
        (["--ranges", "learning_rate=2:1"], "with LOW below HIGH. Received: '2:1'"),
        (["--space", "missing.json"], "no such file: missing.json"),
        (["--tuner", "guess"], "invalid choice"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_refusals(call, flags, words):
    code, out, error = call(*flags)
    assert (code, out) == (2, "")
    assert error.startswith("error: ") and error.count("\n") == 1
    assert words in error


def test_missing_packages_are_named(call, monkeypatch):
    monkeypatch.setattr(tune, "_DISTRIBUTIONS", {"no_such_module": "some-package"})
    code, _, error = call()
    assert code == 2
    assert error.startswith("error: tune needs some-package, which is not installed: pip install 'keras-tuner==")


def test_half_an_environment_is_refused(call, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    code, _, error = call()
    assert code == 2 and "KERASTUNER_ORACLE_PORT" in error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--ranges", "model.units=8,16"], "`space.model.units.values`"),
        (["--tuner", "grid"], "`tuner`"),
        (["--epochs", "3"], "`epochs`"),
        (["--rotations", "3"], "`windows.rotations`"),
    ],
)
def test_a_directory_of_another_search_is_refused(call, tmp_path, data, flags, words):
    from socialmd_tf.tuning.search_directory import open_search
    from socialmd_tf.tuning.search_space import search_space

    config = tune.TuneConfig(data=str(data), output=str(tmp_path / "search"))
    open_search(tmp_path / "search", config, search_space(config.base(), {}))
    code, _, error = call(*flags)
    assert code == 2 and error.count("\n") == 1
    assert words in error and "--output" in error


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("search.json", '{"bat'),
        ("search.json", "[]"),
        ("trials/oracle.json", '{"ongo'),
        ("trials/oracle.json", '{"start_order": ["0"]}'),  # whose trial is gone
        ("trials/trial_0/trial.json", "{}"),  # whose oracle.json is gone
    ],
)
def test_a_damaged_search_is_refused(call, tmp_path, data, file, content):
    from socialmd_tf.tuning.search_directory import open_search
    from socialmd_tf.tuning.search_space import search_space

    config = tune.TuneConfig(data=str(data), output=str(tmp_path / "search"))
    open_search(tmp_path / "search", config, search_space(config.base(), {}))
    path = tmp_path / "search" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    code, _, error = call()
    assert code == 2 and error.count("\n") == 1 and str(tmp_path / "search") in error
    assert path.read_text() == content


def test_a_search_that_is_running_is_left_alone(call, tmp_path):
    with DirectoryLock(tmp_path / "search"):
        code, _, error = call()
    assert code == 2 and error.count("\n") == 1 and str(os.getpid()) in error
    assert not (tmp_path / "search").exists()


def test_a_file_where_the_search_belongs_is_refused(call, tmp_path):
    (tmp_path / "search").write_text("keep me")
    code, _, error = call()
    assert code == 2 and error.count("\n") == 1 and str(tmp_path / "search") in error
    assert (tmp_path / "search").read_text() == "keep me"


def test_a_directory_of_something_else_is_refused(call, tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "thesis.txt").write_text("keep me")
    code, _, error = call()
    assert code == 2 and "`output`" in error and str(tmp_path / "search") in error


def test_another_data_set_is_refused(call, tmp_path, data):
    from socialmd_tf.tuning.search_directory import open_search
    from socialmd_tf.tuning.search_space import search_space

    config = tune.TuneConfig(data=str(data), output=str(tmp_path / "search"))
    open_search(tmp_path / "search", config, search_space(config.base(), {}))
    manifest = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps({**manifest, "name": "other"}))
    code, _, error = call()
    assert code == 2 and "`manifest.name` is 'tiny' there and 'other' here" in error


def test_windows_that_no_file_has_are_refused_before_the_search(call, tmp_path):
    code, _, err = call("--preset", "pairwise", "--rollout-steps", "100")
    assert code == 2 and err.count("\n") == 1 and "expected at least" in err and "--rollout-steps" in err
    assert not (tmp_path / "search").exists() or not any((tmp_path / "search").iterdir())


def test_a_range_that_is_none_names_its_flag(call):
    code, _, err = call("--preset", "pairwise", "--ranges", "learning_rate=3:1")
    assert code == 2 and err.startswith("error: --ranges or --space: `learning_rate` must be a range")
    assert "--learning-rate" not in err
