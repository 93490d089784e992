import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf import commands
from socialmd_tf.evaluate import PROG, EvaluateCommand, evaluate, main
from tests.socialmd_tf.evaluation.small_model import built_model, exported_model
from tests.tensorflow_log import without_progress

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=3, rollout_steps=3, window_shift=2, rotations=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Directory of an untrained model for two dimensions and one feature."""
    return exported_model(tmp_path_factory.mktemp("saved") / "small", WINDOWS).path.parent


@pytest.fixture
def data(write_dataset, random_trajectory):
    return write_dataset({"train": [random_trajectory()], "test": [random_trajectory(seed=1)]})


@pytest.fixture
def call(monkeypatch, capsys, model, data, tmp_path):
    """Run the command in this process, with some flags replaced -> exit status, stdout, stderr."""

    def call(**flags):
        usual = {"model": model, "data": data, "output": tmp_path / "out"}
        given = [f"--{name}={value}" for name, value in {**usual, **flags}.items()]
        monkeypatch.setattr(sys, "argv", ["evaluate", *given])
        with pytest.raises(SystemExit) as stop:
            commands.run(main)
        return stop.value.code, *capsys.readouterr()

    return call


@pytest.mark.slow
def test_a_real_process_writes_numbers_report_and_picture(model, data, tmp_path):
    command = [
        sys.executable,
        "-m",
        "socialmd_tf.evaluate",
        "--model",
        str(model / "1"),
        "--data",
        str(data),
        "--output",
        str(tmp_path / "new" / "out"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, without_progress(result.stderr)) == (0, "")
    output = tmp_path / "new" / "out"
    assert sorted(path.name for path in output.iterdir()) == ["metrics.json", "paths.png", "report.html", "report.md"]
    report, verdict = result.stdout.split("\nverdict: ")
    assert report == (output / "report.md").read_text()
    assert verdict.startswith("small is worse than the best baseline")
    written = json.loads((output / "metrics.json").read_text())
    # 20 frames read: windows of 6 start at 0, 2, ..., 14.
    assert (written["model"], written["split"], written["num_windows"]) == ("small", "test", 8)
    assert list(written["predictors"]) == ["small", "constant_position", "constant_velocity", "constant_acceleration"]


@pytest.mark.parametrize("flags", [["--model", "a", "--model", "b"], ["--model", "a", "b"]])
def test_several_models_can_be_given_in_both_ways(flags):
    command = commands.parse(EvaluateCommand, prog=PROG, args=[*flags, "--data", "d", "--output", "o"])
    assert [str(path) for paths in command.model for path in paths] == ["a", "b"]


def test_no_model_is_refused(monkeypatch, capsys, data):
    monkeypatch.setattr(sys, "argv", ["evaluate", "--data", str(data), "--output", "o"])
    with pytest.raises(SystemExit) as stop:
        commands.run(main)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "--model" in line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"model": "nowhere"}, ["`model`", "nowhere"]),
        ({"data": "nowhere"}, ["nowhere: no such directory"]),
        ({"split": "holiday"}, ["`split`", "train, test", "'holiday'"]),
        ({"outptu": "x"}, ["--outptu"]),
    ],
)
def test_mistakes_are_one_line(call, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(**flags)
    (line,) = error.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("error: ") and all(word in line for word in words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file", "file/sub"])
def test_an_output_path_at_or_inside_a_file_is_refused_before_the_work(call, monkeypatch, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(commands, "load_tensorflow", lambda: pytest.fail("the work has begun"))
    code, _, error = call(output=tmp_path / place)
    assert code == 2 and "`output`" in error and str(tmp_path / "file") in error
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow_cases(all_but=["<lambda>-words0"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frames: frames[:10], ["11 frames", "found 10"]),
        (
            lambda frames: frames * np.where(np.arange(40)[:, None, None] == 7, np.float32(np.inf), np.float32(1)),
            ["frame 7, particle 0, column 0 (x)"],
        ),
        (
            lambda frames: frames + (np.arange(40)[:, None, None] == 9) * np.float32(1),
            ["frame 9, particle 0, column 2 (mass)"],
        ),
    ],
)
def test_faulty_data_are_refused(call, data, spoil, words):
    frames = spoil(np.load(data / "test/00000.npy"))
    np.save(data / "test/00000.npy", frames.astype(np.float32))
    code, _, error = call()
    assert code == 2 and all(word in error for word in words)
    assert error.startswith(f"error: {data / 'test/00000.npy'}: ")


@pytest.mark.slow_cases("features-*", "time_between_frames-*")
@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("features", ("charge",), "['mass']"),
        ("length_unit", "cm", "'1'"),
        ("time_between_frames", 0.05, "0.1"),
    ],
)
def test_data_of_another_kind_are_refused(call, data, field, value, expected):
    dataclasses.replace(Manifest.load(data), **{field: value}).save(data)
    code, _, error = call()
    assert code == 2 and len(error.splitlines()) == 1
    assert f"`{field}`" in error and expected in error and "--data" in error


@pytest.mark.slow
def test_rounded_intervals_are_equal(call, data):
    dataclasses.replace(Manifest.load(data), time_between_frames=float(np.float32(0.1))).save(data)
    assert call()[0] == 0


@pytest.mark.slow
def test_names_with_any_characters_are_reported(call, data, tmp_path):
    name = "run $a_{1$ x_{ \\frac{ a|b <i>"
    dataclasses.replace(Manifest.load(data), name=name).save(data)
    code, out, error = call()
    assert (code, error) == (0, "")
    assert f"split of {name}: " in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "metrics.json",
        "paths.png",
        "report.html",
        "report.md",
    ]


@pytest.mark.slow
def test_paths_loaded_models_and_models_in_memory_are_evaluated_from_python(model, data):
    from socialmd_tf.export.saved_model import load

    found = evaluate(str(model), data, "test")
    by_object = evaluate(load(model), data, "test")
    in_memory = evaluate([built_model(WINDOWS)], data, windows=WINDOWS)
    assert found.results["small"] == by_object.results["small"]
    (name,) = in_memory.models
    assert in_memory.results[name]["mae"] == pytest.approx(found.results["small"]["mae"], rel=1e-4)


def test_no_model_is_refused_from_python(data):
    with pytest.raises(UserError, match="`models` must be one model or several"):
        evaluate([], data, "test")


def test_ensembles_are_scored_and_drawn(call, tmp_path):
    code, out, error = call(**{"num-samples": 4, "horizon": 12, "statistics": "move"})
    assert (code, error) == (0, "")
    assert "## Ensembles" in out and (tmp_path / "out" / "fans.png").exists()
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())["ensembles"]
    assert (written["num_samples"], written["num_steps"], written["frames"]) == (4, 6, {"test/00000.npy": [4]})
    assert {"small", "constant_position", "random_walk"} <= set(written["predictors"])
    assert written["predictors"]["small"]["statistics"]["move_all"]["crps"] > 0
    assert written["predictors"]["small"]["statistics"]["move_all"]["ratio"] is None  # no re-runs


@pytest.mark.slow_cases("flags5-words5", "flags6-words6")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"num-samples": 1}, ["`num_samples` must be at least 2", "--num-samples"]),
        ({"num-samples": -3}, ["`num_samples` must be at least 2", "--num-samples"]),
        ({"horizon": 3}, ["`horizon` must be left out without --num-samples", "--horizon"]),
        ({"statistics": "move"}, ["`statistics` must be left out without --num-samples", "--statistics"]),
        ({"num-samples": 4, "horizon": 36}, ["`horizon` must be at most 35 stored frames, as far as test/00000.npy"]),
        ({"num-samples": 4, "horizon": 1}, ["`horizon` must be at least 2 stored frames"]),
        ({"num-samples": 4, "statistics": "radius"}, ["`statistics` must be ones", "'radius'", "--statistics"]),
    ],
)
def test_ensembles_that_cannot_be_drawn_are_refused_in_one_line(call, tmp_path, flags, words):
    code, out, error = call(**flags)
    (line,) = error.splitlines()
    assert (code, out) == (2, "") and all(word in line for word in words)
    assert not (tmp_path / "out").exists()


def test_help_lists_the_flags_without_tensorflow():
    script = (
        "import sys; from socialmd_tf.evaluate import main\n"
        "sys.argv = ['evaluate', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for flag in ("--model", "--data", "--split", "--output"):
        assert flag in result.stdout


@pytest.mark.slow
def test_workers_give_the_same_numbers(model, write_dataset, random_trajectory, tmp_path):
    files = [random_trajectory(num_frames=1600, seed=seed) for seed in range(3)]
    data = write_dataset({"train": files[:1], "test": files[1:]})
    words = ["--model", str(model), "--data", str(data), "--num-samples", "3", "--horizon", "6"]
    for workers in ("1", "2"):
        command = [sys.executable, "-m", "socialmd_tf.evaluate", *words, "--workers", workers]
        result = subprocess.run([*command, "--output", str(tmp_path / workers)], capture_output=True, check=False)
        assert result.returncode == 0, result.stderr
    one, two = (json.loads((tmp_path / workers / "metrics.json").read_text()) for workers in ("1", "2"))
    assert one["num_windows"] > 512  # several units of work
    different = {name for name in one if one[name] != two[name]}
    assert different <= {"command", "date"}
