"""The measurements of gpu.py, which starts this script.

    python benchmarks/gpu_measurements.py LOCK [--small]

Reads measurements from standard input, a line of JSON each, and prints their figures, a line of JSON each. Only the
process that holds the file LOCK measures.
"""

import argparse
import atexit
import dataclasses
import functools
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import filelock
import numpy as np
import tensorflow as tf
from gpu import Measurement
from rollout import INTERVAL, stay, systems

from pipelines.manifest import Manifest
from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.export.saved_model import load
from socialmd_tf.export.write import export
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training import loop
from socialmd_tf.training.sample_weights import with_sample_weights

SHIPPED = Path(__file__).parents[1] / "saved_models" / "nbody"
OBSERVED, PREDICTED = 5, 30
ENOUGH = 2.0  # seconds of repetition


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lock")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    gpus = tf.config.list_physical_devices("GPU")
    card = tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else None
    machine = {"card": card, "tensorflow": tf.__version__}
    kinds = {"training": training, "rollout": rollout, "precision": precision}
    for line in sys.stdin:
        measured = Measurement(**json.loads(line))
        measured = smaller(measured) if arguments.small else measured
        try:
            figures = kinds[measured.kind](measured, arguments)
        except Exception as error:  # whatever is wrong with one, the others go on
            print(error, file=sys.stderr, flush=True)
            figures = {"error": f"{type(error).__name__}: {reason(error)}"}
        print(json.dumps({**figures, "machine": machine}), flush=True)


def reason(error):
    """The line of an error's text that says most; TensorFlow's begin with the places in the graph."""
    lines = [line.strip() for line in str(error).splitlines()]
    places = ("File ", "[[", "Detected at", "Graph execution error", "Stack trace", "<stack")
    return next((line[:300] for line in reversed(lines) if line and not line.startswith(places)), "")


def smaller(measured):
    sizes = {"num_particles": max(4, measured.num_particles // 100), "batch_size": max(1, measured.batch_size // 64)}
    return dataclasses.replace(measured, **sizes)


def network(preset, is_small):
    """The `ModelConfig` of a preset."""
    small = {"units": 4, "bins": 8, "filters": (4, 4), "state_embedding": 4, "pair_units": 4} if is_small else {}
    return dataclasses.replace(PRESETS[preset], rollout_steps=PREDICTED, **small)


def frames(num_particles, batch_size, num_frames):
    """Positions `[B, num_frames, N, 2]` and features `[B, N, 2]`."""
    positions, velocities, masses, charges = systems(num_particles, batch_size)
    moves = INTERVAL * velocities[:, None] * np.arange(num_frames)[:, None, None]
    return (positions[:, None] + moves).astype("float32"), np.stack([masses, charges], axis=-1).astype("float32")


def training(measured, arguments):
    """Time the training step that `train` runs."""
    strategy, model = trained_model(measured, arguments.small)
    positions, features = frames(measured.num_particles, 3 * measured.batch_size, OBSERVED + PREDICTED)
    mask = np.ones(features.shape[:2], "float32")
    inputs = {"positions": positions[:, :OBSERVED], "features": features, "mask": mask}
    samples = tf.data.Dataset.from_tensor_slices((inputs, positions[:, OBSERVED:])).repeat()
    batches = with_sample_weights(samples.batch(measured.batch_size), 1, rollout_layer(model).training_steps)
    iterator = iter(strategy.experimental_distribute_dataset(batches))
    first, seconds = timed(lambda: float(model.train_function(iterator)["loss"]), arguments.lock)
    median = float(np.median(seconds))
    rates = {"milliseconds": 1e3 * median, "samples_per_second": measured.batch_size / median}
    return {**rates, **summary(first, seconds)}


def trained_model(measured, is_small):
    """A strategy and a model ready to be trained."""
    config = TrainConfig.of_preset(measured.model)
    # With this rate the particles, and so the work, stay where they are.
    settings = {"learning_rate": 1e-9, "batch_size": measured.batch_size}
    settings["compile"] = "on" if measured.is_compiled else "off"
    config = dataclasses.replace(config, model=network(measured.model, is_small), **settings)
    manifest = Manifest("random", 2, ("mass", "charge"), "1", 1e-4, {}, {})
    strategy = tf.distribute.MirroredStrategy(loop.visible_devices())
    model = loop.new_model(config, manifest, (0.02, 0.001), strategy)
    if config.model.head == "absolute":
        stay(rollout_layer(model))
    rollout_layer(model).training_steps = 0 if measured.model == "verlet" else None
    model.make_train_function(force=True)
    return strategy, model


def rollout(measured, arguments):
    """Time the rollout of an exported model, the shipped one or a new one."""
    path = SHIPPED if measured.model == SHIPPED.name else exported(measured.model, arguments.small)
    predict = (compiled if measured.is_compiled else served)(path)
    positions, features = frames(measured.num_particles, measured.batch_size, OBSERVED)
    first, seconds = timed(lambda: predict(positions, features, PREDICTED), arguments.lock)
    rate = measured.batch_size * PREDICTED / float(np.median(seconds))
    return {"scene_frames_per_second": rate, **summary(first, seconds)}


@functools.cache
def compiled(path):
    """A function that predicts means as the package does on a GPU."""
    model = load(path, compile="on")
    return lambda positions, features, horizon: model.moments(positions, features, horizon)[0]


@functools.cache
def served(path, device=None):
    """A function that predicts means as a server does, by the exported graph."""
    with tf.device(device):
        model = tf.saved_model.load(str(max(path.iterdir())))

    def predict(positions, features, horizon):
        with tf.device(device):
            inputs = {"positions": tf.constant(positions), "features": tf.constant(features)}
            return model.signatures["rollout"](**inputs, horizon=tf.constant(horizon))["mean"].numpy()

    return predict


@functools.cache
def exported(preset, is_small):
    """Export a new model; return its directory."""
    model = build_model(dataclasses.replace(network(preset, is_small), num_features=2))
    if model.config.head == "absolute":
        stay(rollout_layer(model))
    card = {"num_dimensions": 2, "features": ["mass", "charge"], "length_unit": "1", "time_between_frames": 2e-3}
    card |= {"warm_up_steps": OBSERVED, "windows": {"subsample": 20, "rollout_steps": PREDICTED}}
    return export(model, temporary_directory() / preset, card).parent


@functools.cache
def temporary_directory():
    directory = Path(tempfile.mkdtemp(prefix="gpu-benchmark-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def precision(measured, arguments):
    """Largest difference of the first predicted frame between CPU and GPU, with TF32 and without, in length units."""
    inputs = *frames(measured.num_particles, measured.batch_size, OBSERVED), 1
    expected, found = served(SHIPPED, "CPU:0")(*inputs), {}
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    for is_allowed in (True, False):
        tf.config.experimental.enable_tensor_float_32_execution(is_allowed)
        compiled.cache_clear()  # what was compiled keeps its precision
        for name, predict in (("served", served(SHIPPED, "GPU:0")), ("compiled", compiled(SHIPPED))):
            difference = float(np.max(np.abs(predict(*inputs) - expected)))
            found[f"{name}_with{'' if is_allowed else 'out'}_tf32"] = difference
    tf.config.experimental.enable_tensor_float_32_execution(before)
    return {"tf32_as_found": before, **found}


def timed(run, lock):
    """Seconds of the first two calls, which compile, and of each of several more, made while holding the lock."""
    started = time.perf_counter()
    run(), run()
    first, seconds = time.perf_counter() - started, []
    with filelock.FileLock(lock):
        forget_peak()
        while len(seconds) < 3 or (sum(seconds) < ENOUGH and len(seconds) < 100):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    return first, seconds


def summary(first, seconds):
    low, median, high = np.percentile(seconds, (25, 50, 75))
    times = {"first_calls_seconds": first, "median_seconds": median, "quartiles": [low, high], "repeats": len(seconds)}
    return {**times, "peak_gib": peak_gib()}


def peak_gib():
    """Largest memory in use on the GPU since `forget_peak`, in GiB."""
    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30


def forget_peak():
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.reset_memory_stats("GPU:0")


if __name__ == "__main__":
    main()
