import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from pipelines.laws import dataset as laws
from pipelines.laws.config import SpringsConfig
from socialmd_tf import check, commands
from socialmd_tf.train import main as train
from socialmd_tf.train import parse

# HDF5 files are written by Keras through an old NumPy interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture
def call(monkeypatch, capsys):
    """Arguments -> exit status, stdout, stderr; training is not timed."""
    monkeypatch.setattr(check, "_time", lambda description, advice: "about 3 minutes")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["check.py", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            commands.run(check.main)
        return stop.value.code, *capsys.readouterr()

    return call


def suggested(text):
    """Flags of the command that a page suggests."""
    command = re.search(r"^    python -m socialmd_tf\.train (.*)\Z", text.replace("\\\n", " "), re.M | re.S)
    return shlex.split(command[1])


def straight(num_frames=60, seed=0):
    generator = np.random.default_rng(seed)
    start, velocities = generator.uniform(0, 10, (2, 1, 3, 2))
    path = start + 0.03 * velocities * np.arange(num_frames)[:, None, None]
    return np.concatenate([path, np.ones((num_frames, 3, 1))], axis=-1).astype(np.float32)


def test_one_screen_of_facts_and_advice(call, write_dataset):
    data = write_dataset({"train": [straight(seed=k) for k in range(3)], "validation": [straight(seed=3)]})
    code, out, error = call(data)
    assert (code, error) == (0, "")
    for part in (
        "train: 3 files of 60 frames each, 180 in all",
        "3 per file, in 2 dimensions",
        "mass 1 to 1",
        "none, and no jumps",
        "0.1 between stored frames; time unit not stated",
        "none in 4 files",
        "ballistic and smooth",
        "preset        forces: ",
        "up to 2 epochs, the first of which is the fit; batches of 8 windows\n",
        "time          about 3 minutes\n",
    ):
        assert part in out
    assert len(out.splitlines()) <= 45
    assert max(len(line) for line in out.splitlines() if "--" not in line) <= 100


def test_random_walks_are_told_from_straight_motion(call, write_dataset, random_trajectory):
    walks = [random_trajectory(num_frames=60, seed=k) for k in range(3)]
    _, out, _ = call(write_dataset({"train": walks[:2], "validation": walks[2:]}))
    assert "diffusive" in out and "ballistic" not in out
    assert "1 stored frame per step of the model\n" in out


@pytest.mark.parametrize("name", ["plain", "with space's"])
def test_train_takes_the_suggested_flags(call, write_dataset, random_trajectory, name):
    for frames in (straight(120), straight(20), random_trajectory(num_frames=40)):
        data = write_dataset({"train": [frames], "validation": [frames]}, name=name)
        _, out, _ = call(data)
        config = parse(suggested(out))
        assert config.data == str(data) and config.run_directory == f"runs/{name}-{config.preset}"
        assert config.windows.min_frames <= len(frames)
        counts = re.search(r"train: (\d+) windows, validation: (\d+) windows", out)
        lengths = [len(range(start, len(frames), config.windows.subsample)) for start in starts(config.windows)]
        expected = sum((length - config.windows.window_steps) // config.windows.window_shift + 1 for length in lengths)
        assert [int(number) for number in counts.groups()] == [expected, expected]


def starts(windows):
    return [phase * windows.subsample // windows.num_phases for phase in range(windows.num_phases)]


def test_every_fault_is_a_line(call, write_dataset):
    wrapped = straight()
    # Particle 1 moves by 0.5 along y in a box from 0 to 8: it enters anew at frames 16, 32 and 48.
    wrapped[:, 0] = wrapped[:, 2] = 1.0
    wrapped[:, 1, 1] = 0.5 * np.arange(60) % 8
    broken = straight()
    broken[5, 2, 0] = np.nan
    data = write_dataset({"train": [straight(), wrapped], "validation": [broken], "test": []})
    code, out, error = call(data)
    first, second = error.splitlines()
    assert (code, out) == (2, "")
    assert first.startswith(f"error: {data}/train/00001.npy: frame 16, particle 1, column 1 (y): ")
    assert "not wrapped into a box" in first
    assert second.startswith(f"error: {data}/validation/00000.npy: frame 5, particle 2, column 0 (x): ")


def test_warnings_and_what_prevents_training(call, write_dataset):
    far = straight() + np.float32([1e6, 0, 0])
    code, out, _ = call(write_dataset({"train": [far], "test": [far]}))
    assert code == 0
    assert "warning       x reaches 1e+06" in out
    assert "impossible    training needs files in the splits train and validation; there is no validation" in out


@pytest.mark.parametrize(("words", "message"), [([], "missing DATA"), (["nowhere"], "nowhere: no such directory")])
def test_wrong_arguments(call, words, message):
    code, out, error = call(*words)
    assert (code, out) == (2, "") and error.startswith(f"error: {message}") and error.count("\n") == 1


def test_help_names_the_argument(call):
    code, out, _ = call("--help")
    assert code == 0 and out.startswith("usage: python -m socialmd_tf.check DATA\n")
    assert "Arguments:\n  DATA " in out and "[flags]" not in out


def test_the_facts_do_not_wait_for_tensorflow(write_dataset):
    data = write_dataset({"train": [straight()], "validation": [straight()]})
    code = (
        "import sys; from socialmd_tf import check\n"
        f"sys.argv = ['check.py', {str(data)!r}]\n"
        "check._time = lambda *_: str({'tensorflow', 'keras'} & set(sys.modules))\n"
        "check.main()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.index("preset ") < run.stdout.index("time          set()\n")


@pytest.mark.slow
def test_the_time_of_training_is_measured(monkeypatch, capsys, write_dataset, random_trajectory):
    walks = [random_trajectory(num_frames=40, seed=k) for k in range(2)]
    data = write_dataset({"train": walks[:1], "validation": walks[1:]})
    monkeypatch.setattr(sys, "argv", ["check.py", str(data)])
    check.main()
    out, error = capsys.readouterr()
    line = r"^  time +(less than a minute|about a minute|about \d+ minutes) at most, by the speed of [1-5] batch"
    assert re.search(line, out, re.M)
    assert error == "timing some steps of this training on this machine\n"


@pytest.mark.parametrize(("num_frames", "message"), [(40, "no particle moves"), (2, "at least 3 frames; the shortest")])
def test_data_of_which_nothing_can_be_learned_are_refused(call, write_dataset, num_frames, message):
    still = np.repeat(straight(1), num_frames, axis=0)
    code, out, error = call(write_dataset({"train": [still], "validation": [still]}))
    assert code == 2 and error.startswith("error: ") and message in error and error.count("\n") == 1
    assert "per file, in 2 dimensions" in out and "preset" not in out


@pytest.mark.slow
def test_the_suggested_command_trains(call, tmp_path, monkeypatch, random_trajectory, write_dataset):
    springs = tmp_path / "springs"
    laws.write_dataset(SpringsConfig(num_train=4, num_validation=2, num_test=1, num_dimensions=2), springs, command="")
    walks = [random_trajectory(num_frames=40, seed=k) for k in range(3)]
    random = write_dataset({"train": walks[:2], "validation": walks[2:]}, name="random")
    monkeypatch.chdir(tmp_path)
    for data, preset in ((springs, "forces"), (random, "langevin")):
        _, out, _ = call(data)
        monkeypatch.setattr(sys, "argv", ["train.py", *suggested(out), "--epochs", "1", "--calibration-epochs", "0"])
        train()
        assert (tmp_path / "saved_models" / f"{data.name}-{preset}" / "1" / "saved_model.pb").exists()


def test_files_that_are_converted_are_noted(call, write_dataset):
    directory = write_dataset({"train": [straight(seed=1), straight(seed=2)]})
    path = directory / "train/00001.npy"
    np.save(path, np.load(path).astype(np.float64))
    status, output, _ = call(directory)
    assert status == 0 and re.search(r"note +train/00001.npy: float64, converted when read \(positions are", output)
