import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from socialmd_tf.commands import run
from socialmd_tf.simulate import command_line, main

SMALL = (
    "--num-train 2 --num-validation 1 --num-test 0 --num-particles 3 --num-steps 20 --save-every 10 --seed 5".split()
)


@pytest.fixture
def simulate(monkeypatch, capfd):
    """The command in this process: flags -> exit status, output, lines on stderr."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["simulate", *map(str, flags)])
        with pytest.raises(SystemExit) as stop:
            run(main)
        output, errors = capfd.readouterr()
        return stop.value.code, output, errors.splitlines()

    return call


def test_help_explains_every_flag_without_tensorflow():
    script = (
        "import sys; from socialmd_tf.simulate import main\n"
        "sys.argv = ['simulate', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'tensorflow' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for flag in ("--output", "--num-train", "--num-steps", "--time-step", "--save-every", "--seed"):
        assert flag in result.stdout
    assert "--config" not in result.stdout


def test_simulates_what_the_flags_say_and_says_so_again(tmp_path, simulate):
    output = tmp_path / "nbody"
    command = [sys.executable, "-m", "socialmd_tf.simulate", "--output", output, *SMALL]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{output}: 3 simulations accepted")
    manifest = Manifest.load(output)
    assert {split: len(files) for split, files in manifest.splits.items()} == {"train": 2, "validation": 1, "test": 0}
    written = json.loads((output / "dataset.json").read_text())["provenance"]
    assert written["config"]["seed"] == 5
    assert "--num-particles 3 " in written["command"] and str(output) not in written["command"]

    status, printed, errors = simulate("--output", output, *SMALL)
    assert (status, errors) == (0, [])
    assert printed.startswith("The dataset was complete already")


@pytest.mark.slow_cases("flags4-parts4")
@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--num-dimensions", 4], ["`num_dimensions` must be 2 or 3. Received: 4. Change --num-dimensions."]),
        (
            ["--save-every", 3, "--num-steps", 10],
            ["`save_every` must be a divisor of `num_steps` = 10", "--save-every"],
        ),
        (["--speed", 0], ["`speed` must be positive and `num_particles` at least 2", "Change --speed."]),
        (["--radius", 0.1], ["`radius` must leave room for 25 particles", "Change --radius."]),
        (
            ["--time-step", 1, "--num-steps", 1, "--save-every", 1, "--num-train", 1],
            ["`time_step` must be small enough", "--time-step"],
        ),
        (["--no-such-flag"], ["--no-such-flag"]),
    ],
)
def test_what_the_user_can_correct_is_one_line(tmp_path, simulate, flags, parts):
    output = tmp_path / "new"
    status, printed, (line,) = simulate("--output", output, *flags)
    assert (status, printed) == (2, "")
    assert line.startswith("error: ") and all(part in line for part in parts)
    assert not output.exists()


def test_refuses_a_directory_that_holds_something_else(tmp_path, simulate):
    (tmp_path / "notes.txt").write_text("mine")
    status, _, (line,) = simulate("--output", tmp_path, *SMALL)
    assert status == 2
    assert line.startswith(f"error: {tmp_path}: not empty and not an N-body dataset")
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_the_same_command_resumes(small_disk, tmp_path, simulate):
    output = small_disk("size=300k") / "nbody"
    # A trajectory of 150 frames is 10 kB, and there are 40.
    flags = (*SMALL, "--num-train", 40, "--num-steps", 150, "--save-every", 1)
    status, _, (line,) = simulate("--output", output, *flags)
    assert status == 2
    assert line.startswith(f"error: {output / 'train'}/") and line.endswith(": No space left on device")
    saved = {path: path.read_bytes() for path in output.rglob("*.npy")}
    assert 5 < len(saved) < 40 and not list(output.rglob(".*"))

    small_disk("size=3m")
    for directory in (output, tmp_path / "whole"):
        assert simulate("--output", directory, *flags)[0] == 0
    assert all(path.read_bytes() == content for path, content in saved.items())
    for path in (tmp_path / "whole").rglob("*.npy"):
        assert path.read_bytes() == (output / path.relative_to(tmp_path / "whole")).read_bytes()


def test_a_read_only_disk_is_one_line(small_disk, simulate):
    output = small_disk("ro") / "nbody"
    expected = (2, "", [f"error: {output}: cannot hold a dataset: Read-only file system"])
    assert simulate("--output", output, *SMALL) == expected


def test_a_complete_dataset_on_a_read_only_disk_is_accepted(small_disk, simulate):
    output = small_disk("rw") / "nbody"
    assert simulate("--output", output, *SMALL)[0] == 0
    small_disk("ro")
    assert simulate("--output", output, *SMALL)[0] == 0


def test_a_file_where_a_directory_belongs_is_one_line(tmp_path, simulate):
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "nbody"):
        status, _, (line,) = simulate("--output", output, *SMALL)
        assert status == 2 and line.startswith(f"error: {output}: cannot hold a dataset: ")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_ctrl_c_stops_cleanly(tmp_path):
    command = [sys.executable, "-m", "socialmd_tf.simulate", "--output", str(tmp_path / "nbody")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "nbody" / "simulation.json").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate()[1]
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in errors
    assert not (tmp_path / "nbody" / ".lock").exists()


def test_command_line_spells_out_every_flag():
    line = command_line(SimulationConfig(seed=3))
    assert line.startswith("python -m socialmd_tf.simulate --num-train 100 ")
    assert "--seed 3 --coulomb-constant 300.0 " in line
