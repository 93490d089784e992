import signal
import subprocess
import sys
import time

import pytest

from pipelines.laws.config import TrapConfig
from pipelines.manifest import Manifest
from socialmd_tf.commands import run
from socialmd_tf.simulate import command_line, main

TINY = "--num-train 2 --num-validation 1 --num-test 0 --num-frames 3 --save-every 2".split()


def command(*flags):
    return [sys.executable, "-m", "socialmd_tf.simulate", *map(str, flags)]


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


@pytest.mark.parametrize(
    ("law", "flags", "features"),
    [
        ("springs", ["--num-dimensions", 2], ()),
        ("trap", ["--num-dimensions", 3, "--friction", 0.5, "--temperature", 0.2], ()),
        ("lennard-jones", ["--num-particles", 40, "--equilibration-steps", 3], ()),
        ("coulomb", ["--velocities"], ("velocity_x", "velocity_y", "velocity_z", "charge")),
    ],
)
def test_a_process_makes_a_dataset_of_each_law(tmp_path, law, flags, features):
    output = tmp_path / "data"
    result = subprocess.run(
        command("--output", output, "--law", law, *TINY, *flags), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    manifest = Manifest.load(output)
    assert manifest.name == law and manifest.features == features
    assert {split: len(files) for split, files in manifest.splits.items()} == {"train": 2, "validation": 1, "test": 0}
    assert (manifest.box is not None) == (law == "lennard-jones")
    assert ("periodic box" in result.stdout) == (law == "lennard-jones")
    assert (manifest.edges is not None) == (law == "springs")
    written = str(manifest.provenance["command"])
    assert f"--law {law} " in written and "--num-frames 3 " in written and str(output) not in written
    assert ("--velocities" in flags) == (" --velocities" in written) == ("--no-velocities" not in written)


def test_a_killed_process_resumes_to_the_same_bytes(tmp_path, simulate):
    flags = "--law trap --num-train 42 --num-validation 0 --num-test 0 --num-frames 40".split()
    process = subprocess.Popen(command("--output", tmp_path / "cut", *flags))
    while len(list(tmp_path.glob("cut/train/*.npy"))) < 20 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "cut/dataset.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cut/train/[0-9]*.npy")}
    for name in ("cut", "whole"):
        assert simulate("--output", tmp_path / name, *flags)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for path in (tmp_path / "whole").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "cut" / path.relative_to(tmp_path / "whole")).read_bytes()


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ("--law pendulum", ["--law", "pendulum", "springs"]),
        ("--law", ["--law"]),
        ("--law springs --edge-probability 2", ["`edge_probability`", "2", "Change --edge-probability."]),
        ("--law trap --friction 0 --temperature 1", ["`temperature`", "1.0", "Change --temperature."]),
        ("--law trap --time-step 1", ["`time_step`", "1.0", "Change --time-step."]),
        ("--law lennard-jones --num-particles 9", ["`cutoff`", "`num_particles`", "2.3", "Change --cutoff."]),
        ("--law lennard-jones --density -1", ["`density`", "-1.0", "Change --density."]),
        ("--law springs --speed inf", ["`speed`", "inf", "Change --speed."]),
        ("--law coulomb --num-dimensions 4", ["`num_dimensions`", "4", "Change --num-dimensions."]),
        ("--law coulomb --num-steps 5", ["--num-steps"]),
        ("--law=springs --gravitational-constant 1", ["--gravitational-constant"]),
        ("--stiffness 1", ["--stiffness"]),
    ],
)
def test_wrong_values_are_one_line(tmp_path, simulate, flags, parts):
    output = tmp_path / "new"
    status, printed, (line,) = simulate("--output", output, *flags.split())
    assert (status, printed) == (2, "")
    assert line.startswith("error: ") and all(part in line for part in parts)
    assert not output.exists()


def test_another_law_does_not_overwrite_a_dataset(tmp_path, simulate, monkeypatch):
    monkeypatch.setattr("socialmd_tf.simulate.load_tensorflow", lambda: None)
    assert simulate("--output", tmp_path, "--law", "springs", *TINY)[0] == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for flags in (["--law", "trap"], [], ["--law", "springs", "--seed", 1]):
        status, _, (line,) = simulate("--output", tmp_path, *TINY[:-4], *flags)
        assert status == 2 and str(tmp_path) in line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_help_shows_the_flags_of_the_law_only(simulate):
    for law, flag in (("trap", "--trap-constant"), ("lennard-jones", "--density"), ("nbody", "--num-steps")):
        status, page, errors = simulate("--law", law, "--help")
        assert (status, errors) == (0, [])
        shown = {name for name in ("--trap-constant", "--density", "--num-steps") if name in page}
        assert shown == {flag}


def test_the_recorded_command_makes_the_same_dataset(tmp_path, simulate):
    config = TrapConfig(num_train=1, num_validation=0, num_test=0, num_frames=2, temperature=0.5)
    flags = command_line(config, "trap").split()[3:]
    assert simulate("--output", tmp_path, *flags)[0] == 0
    assert Manifest.load(tmp_path).provenance["command"] == command_line(config, "trap")
