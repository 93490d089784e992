import json
import signal
import subprocess
import sys
import time

import pytest

from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from socialmd_tf.simulate import command_line

SMALL_FLAGS = [
    "--num-train",
    "2",
    "--num-validation",
    "1",
    "--num-test",
    "0",
    "--num-particles",
    "3",
    "--num-steps",
    "20",
    "--save-every",
    "10",
    "--seed",
    "5",
]


def simulate_command(*flags):
    command = [sys.executable, "-m", "socialmd_tf.simulate", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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


def test_simulates_what_the_flags_say_and_says_so_again(tmp_path):
    output = tmp_path / "nbody"
    result = simulate_command("--output", output, *SMALL_FLAGS)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{output}: 3 simulations accepted")
    manifest = Manifest.load(output)
    assert {split: len(files) for split, files in manifest.splits.items()} == {"train": 2, "validation": 1, "test": 0}
    written = json.loads((output / "dataset.json").read_text())["provenance"]
    assert written["config"]["seed"] == 5
    assert "--num-particles 3 " in written["command"] and str(output) not in written["command"]

    again = simulate_command("--output", output, *SMALL_FLAGS)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("The dataset was complete already; nothing was done.")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num-dimensions", "4"], "`num_dimensions` must be 2 or 3. Received: 4"),
        (["--save-every", "3", "--num-steps", "10"], "`save_every` must be a divisor of `num_steps` = 10"),
        (["--speed", "0"], "`speed` must be positive and `num_particles` at least 2"),
        (["--no-such-flag"], "--no-such-flag"),
    ],
)
def test_what_the_user_can_mend_is_one_line(tmp_path, flags, message):
    result = simulate_command("--output", tmp_path / "new", *flags)
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "new").exists()


def test_refuses_a_directory_that_holds_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = simulate_command("--output", tmp_path, *SMALL_FLAGS)
    assert result.returncode == 2
    assert result.stderr == (f"error: {tmp_path}: not empty and not an N-body dataset; expected a new directory\n")


def test_ctrl_c_stops_cleanly(tmp_path):
    command = [sys.executable, "-m", "socialmd_tf.simulate", "--output", str(tmp_path / "nbody")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "nbody" / "simulation.json").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate()[1]
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped; the same command run again continues"
    assert "Traceback" not in errors


def test_command_line_spells_out_every_flag():
    line = command_line(SimulationConfig(seed=3))
    assert line.startswith("python -m socialmd_tf.simulate --num-train 100 ")
    assert "--seed 3 --coulomb-constant 300.0 " in line
