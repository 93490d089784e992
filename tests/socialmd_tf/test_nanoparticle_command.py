import subprocess
import sys

import pytest

from socialmd_tf import nanoparticle
from socialmd_tf.commands import run


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command in this process: exit status, stdout, stderr."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["nanoparticle", *map(str, flags)])
        try:
            run(nanoparticle.main)
            status = 0
        except SystemExit as stop:
            status = stop.code
        return (status, *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "0"], "`workers` must be at least 1. Received: 0"),
        (["--frame", "3"], "`frame` must be given with `--restart-from`, and only then. Received: 3"),
        (["--restart-from", "x"], "`frame` must be given with `--restart-from`, and only then. Received: None"),
        (["--restart-from", "x", "--frame", "3"], "`restart_from` must be simulations that `nanoparticle` made"),
        (["--restart-from", "x", "--frame", "3", "--num-reruns", "0"], "`num_reruns` must be at least 1. Received: 0"),
        (
            ["--restart-from", "x", "--frame", "3", "--num-strands", "5"],
            "`num_strands` must be left out beside `--restart-from`, which knows it. Received: 5",
        ),
    ],
)
def test_mistakes_are_one_line(command, tmp_path, flags, message):
    status, _, error = command("--output", tmp_path / "out", *flags)
    assert status == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_simulates_and_runs_again(tmp_path):
    """In processes of their own."""
    pytest.importorskip("openmm")
    words = [sys.executable, "-m", "socialmd_tf.nanoparticle", "--workers", "2", "--output"]
    sizes = ["--num-strands", "4", "--num-frames", "6", "--steps-per-frame", "2", "--relaxation-steps", "10"]
    result = subprocess.run(
        [*words, str(tmp_path / "a"), "--num-simulations", "2", *sizes], capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    restart = ["--restart-from", str(tmp_path / "a/simulations/00001"), "--frame", "4", "--num-reruns", "2"]
    result = subprocess.run([*words, str(tmp_path / "b"), *restart], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "2 re-runs of 1 simulation from frame 4 on" in result.stdout
    assert sorted(path.name for path in (tmp_path / "b/simulations").iterdir()) == ["00001_004_00", "00001_004_01"]
