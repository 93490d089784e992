import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf import commands
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.evaluate import PROG, EvaluateCommand, main
from socialmd_tf.export.saved_model import export, model_card
from socialmd_tf.model import build_model, for_data
from socialmd_tf.training.run import RunState

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=3, rollout_steps=3, window_shift=2, rotations=0)
SMALL = ModelConfig(
    units=8,
    input_embedding=4,
    state_embedding=4,
    interaction_embedding=4,
    bins=8,
    filters=(2,),
    kernel_size=2,
    side_lengths=(4.0,),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Directory of an untrained model for two dimensions and one feature."""
    manifest = Manifest("tiny", 2, ("mass",), "1", 0.1, {}, {})
    config = TrainConfig(data="d", windows=WINDOWS, model=SMALL)
    keras.utils.set_random_seed(0)
    built = build_model(for_data(SMALL, manifest, WINDOWS, (1.0, 1.0)))
    card = model_card(config, built, manifest, RunState([{"epoch": 1, "val_loss": 1.0}]))
    return export(built, tmp_path_factory.mktemp("saved") / "small", card).parent


@pytest.fixture
def data(write_dataset, random_trajectory):
    return write_dataset({"train": [random_trajectory()], "test": [random_trajectory(seed=1)]})


@pytest.fixture
def call(monkeypatch, capsys, model, data, tmp_path):
    """Run the command here: flags that replace the usual ones -> exit status, stdout, stderr."""

    def call(**flags):
        usual = {"model": model, "data": data, "output": tmp_path / "out"}
        given = [f"--{name}={value}" for name, value in {**usual, **flags}.items()]
        monkeypatch.setattr(sys, "argv", ["evaluate", *given])
        with pytest.raises(SystemExit) as stop:
            commands.run(main)
        return stop.value.code, *capsys.readouterr()

    return call


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
    assert (result.returncode, result.stderr) == (0, "")
    output = tmp_path / "new" / "out"
    assert sorted(path.name for path in output.iterdir()) == ["metrics.json", "paths.png", "report.html", "report.md"]
    assert result.stdout == (output / "report.md").read_text()
    written = json.loads((output / "metrics.json").read_text())
    # 20 frames read: windows of 6 start at 0, 2, ..., 14.
    assert (written["model"], written["split"], written["num_windows"]) == ("small", "test", 8)
    assert list(written["predictors"]) == ["small", "constant_position", "constant_velocity", "constant_acceleration"]


@pytest.mark.parametrize("flags", [["--model", "a", "--model", "b"], ["--model", "a", "b"]])
def test_several_models_in_both_ways(flags):
    command = commands.parse(EvaluateCommand, prog=PROG, args=[*flags, "--data", "d", "--output", "o"])
    assert [str(path) for paths in command.model for path in paths] == ["a", "b"]


def test_no_model_is_refused(monkeypatch, capsys, data):
    monkeypatch.setattr(sys, "argv", ["evaluate", "--data", str(data), "--output", "o"])
    with pytest.raises(SystemExit) as stop:
        commands.run(main)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: `--model` must name at least one SavedModel. Received none\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": "nowhere"}, "`model` must be a SavedModel or a directory of its versions. Found none in "),
        ({"data": "nowhere"}, "nowhere: no such directory; expected the directory of a dataset"),
        ({"split": "holiday"}, "`split` must be one of train, test. Received: 'holiday'"),
        ({"outptu": "x"}, "--outptu"),
    ],
)
def test_what_the_user_can_mend_is_one_line(call, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(**flags)
    (line,) = error.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_output_is_refused(call, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert call(output=tmp_path / "file")[::2] == (
        2,
        f"error: `output` must be a directory. Received: {tmp_path / 'file'}\n",
    )
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frames: frames[:10], "expected at least 11 frames for one window, found 10"),
        (
            lambda frames: frames * np.where(np.arange(40)[:, None, None] == 7, np.float32(np.inf), np.float32(1)),
            "frame 7, particle 0, column 0 (x): expected a finite number, found",
        ),
        (
            lambda frames: frames + (np.arange(40)[:, None, None] == 9) * np.float32(1),
            "frame 9, particle 0, column 2 (mass): expected",
        ),
    ],
)
def test_faulty_data_are_refused(call, data, spoil, message):
    frames = spoil(np.load(data / "test/00000.npy"))
    np.save(data / "test/00000.npy", frames.astype(np.float32))
    code, _, error = call()
    assert code == 2 and message in error
    assert error.startswith(f"error: {data / 'test/00000.npy'}: ")


def test_data_that_do_not_fit_the_model_are_refused(call, data):
    dataclasses.replace(Manifest.load(data), features=("charge",)).save(data)
    code, _, error = call()
    assert code == 2
    assert error == "error: `features` of the data must be those of the model, ['mass']. Received: ['charge']\n"


def test_help_says_what_every_flag_is_without_tensorflow():
    script = (
        "import sys; from socialmd_tf.evaluate import PROG, EvaluateCommand, main\n"
        "sys.argv = ['evaluate', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for flag in ("--model", "--data", "--split", "--output"):
        assert flag in result.stdout
