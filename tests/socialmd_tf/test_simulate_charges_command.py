import json
import subprocess
import sys

import pytest

from pipelines.manifest import Manifest
from socialmd_tf.commands import run
from socialmd_tf.simulate_charges import main

FLAGS = "--num-train 2 --num-validation 1 --num-test 0 --num-frames 3 --save-every 2 --seed 5".split()


def simulate_charges(*flags):
    command = [sys.executable, "-m", "socialmd_tf.simulate_charges", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_simulates_what_the_flags_say_and_says_so_again(tmp_path):
    output = tmp_path / "charges"
    result = simulate_charges("--output", output, *FLAGS)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{output}: simulations: 2 for train, 1 for validation, 0 for test\n"
    manifest = Manifest.load(output)
    assert len(manifest.splits["train"]) == 2 and manifest.splits["test"] == ()
    written = json.loads((output / "dataset.json").read_text())["provenance"]
    assert "--num-frames 3 " in written["command"] and str(output) not in written["command"]


def test_a_wrong_value_is_one_line(tmp_path):
    result = simulate_charges("--output", tmp_path / "charges", "--num-train", "0")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "`num_train` must be at least 1" in result.stderr


def test_a_full_disk_is_one_line_and_leaves_no_temporary_file(small_disk, monkeypatch, capfd):
    output = small_disk("size=300k") / "charges"
    monkeypatch.setattr(
        sys, "argv", f"simulate_charges --output {output} --num-train 200 {' '.join(FLAGS[2:])}".split()
    )
    with pytest.raises(SystemExit) as stop:
        run(main)
    (line,) = capfd.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert line.startswith(f"error: {output}/") and line.endswith(": No space left on device")
    assert not list(output.rglob(".*"))
