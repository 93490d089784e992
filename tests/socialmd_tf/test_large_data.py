"""Memory does not grow with the data: 8 GB of frames, and many particles or simulations, within 2 GiB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.manifest import Manifest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LIMIT = 2 * 2**30
NUM_PARTICLES, NUM_FRAMES, STRIDE = 1000, 100_000, 1000
"""One frame in a thousand has content, and only those are read as frames of the model; the others are holes."""


def in_process(code, *arguments):
    """Run a program in a process of its own: the lines of its output, and the largest resident memory in bytes.

    The memory is that of the kernel's `VmHWM`: `ru_maxrss` is at least that of the process that started this one.
    """
    report = "print(1024 * int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", f"{code}\n{report}", *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    return run.stdout.splitlines()[:-1], int(run.stdout.splitlines()[-1])


def sparse_file(path, num_frames, seed):
    """A random walk of the frames 0, 1000, 2000, ...; all others are zero, without room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(num_frames, NUM_PARTICLES, 2))
    generator = np.random.default_rng(seed)
    frame = generator.uniform(-5, 5, (NUM_PARTICLES, 2))
    for number in range(0, num_frames, STRIDE):
        frame = frame + 0.02 * generator.normal(size=frame.shape)
        stored[number] = frame
    stored.flush()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Ten files of 800 MB for training, and two short ones."""
    directory = tmp_path_factory.mktemp("large")
    splits = {"train": 10, "validation": 1, "test": 1}
    files = {split: tuple(f"{split}/{number}.npy" for number in range(count)) for split, count in splits.items()}
    for split, names in files.items():
        for seed, name in enumerate(names):
            sparse_file(directory / name, NUM_FRAMES if split == "train" else 8 * STRIDE, seed)
    Manifest("large", 2, (), "1", 1.0, files, {}).save(directory)
    content = sum((directory / name).stat().st_size for name in files["train"])
    assert content > 7.9e9
    assert sum((directory / name).stat().st_blocks * 512 for name in files["train"]) < 0.1 * content
    return directory


TRAINING = """
import runpy, sys
sys.argv = ["train", "--data", sys.argv[1], "--run-directory", sys.argv[2], "--export-directory", sys.argv[3],
    "--preset", "pairwise", "--subsample", "1000", "--subsample-phases", "1", "--warm-up-steps", "2", "--rollout-steps",
    "3", "--window-shift", "5", "--rotations", "1", "--epochs", "2", "--calibration-epochs", "1", "--batch-size", "2",
    "--model.interaction", "none", "--model.units", "8"]
try:
    runpy.run_module("socialmd_tf.train", run_name="__main__")
except SystemExit as status:
    assert not status.code
"""


def test_eight_gigabytes_are_trained_on_calibrated_and_evaluated_within_two(directory, tmp_path):
    run, exported = tmp_path / "run", tmp_path / "model"
    _, peak = in_process(TRAINING, directory, run, exported)
    history = (run / "history.csv").read_text().splitlines()
    assert len(history) == 3
    assert json.loads((run / "metrics.json").read_text())["num_windows"] == 1
    assert peak < LIMIT, f"{peak / 2**30:.2f} GiB"


BASELINES = """
import dataclasses, sys
from pathlib import Path
from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf.evaluation import paired_bootstrap, predictors
from socialmd_tf.evaluation.scored_windows import ScoredWindows
directory, config = Path(sys.argv[1]), DataConfig(subsample=1, warm_up_steps=3, rollout_steps=4, window_shift=7)
windows = CommonWindows([config])
scored = ScoredWindows(windows, directory, "test")
training = predictors.training_batches(windows, directory)
setting = predictors.Setting(Manifest.load(directory), config, len(scored.index), scored.num_particles, training)
made, _ = predictors.make_all(setting)
tallies, results = scored.score(made)
totals = {name: tally.totals(scored.simulations) for name, tally in tallies.items()}
print(paired_bootstrap.compare(totals, list(totals))[0]["mae_interval"])
print(results["constant_velocity"]["mae"])
"""


@pytest.mark.parametrize(("num_files", "num_particles"), [(2, 100_000), (10_000, 5)])
def test_many_particles_and_many_simulations_are_judged_within_two_gibibytes(tmp_path, num_files, num_particles):
    generator = np.random.default_rng(0)
    files = {split: tuple(f"{split}/{number}.npy" for number in range(num_files)) for split in ("train", "test")}
    for names in files.values():
        (tmp_path / names[0]).parent.mkdir()
        for name in names:
            starts = generator.uniform(0, 100, (1, num_particles, 2))
            steps = 0.1 * generator.normal(size=(8, num_particles, 2))
            np.save(tmp_path / name, (starts + steps.cumsum(axis=0)).astype(np.float32))
    Manifest("many", 2, (), "1", 1.0, files, {}).save(tmp_path)
    (_, mae), peak = in_process(BASELINES, tmp_path)
    assert 0.1 < float(mae) < 0.5
    assert peak < LIMIT, f"{peak / 2**30:.2f} GiB"
