"""Compare the rate of predicted frames with that of integrated ones, for growing systems and batches.

    python benchmarks/rollout.py [--presets thesis pairwise verlet] [--particles 25 100 400 1000] [--batch-sizes 1 8 64]
                                 [--exports saved_models/nbody] [--cpu-time]

Two frames of the N-body data are 20 000 steps of velocity Verlet apart. Models are exported and their SavedModels
timed, in rounds that alternate with the integrator of `simulate`, which is timed for fewer steps and scaled up. Presets
have new weights; those of absolute heads are set so that particles stay where they are instead of meeting at the
origin. Prints scene-frames per second: systems x frames / seconds. On a busy machine, use CPU time on one thread
(--cpu-time with TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1).
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.nbody.config import SimulationConfig

VERLET_STEPS = DataConfig.subsample * SimulationConfig.save_every
INTERVAL = VERLET_STEPS * SimulationConfig.time_step
TARGET_SECONDS = 2.0
clock = time.perf_counter


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="*", default=["thesis", "pairwise", "verlet"])
    parser.add_argument("--particles", type=int, nargs="+", default=[25, 100, 400, 1000])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--exports", nargs="+", default=[], help="exported models, newest version each")
    parser.add_argument("--cpu-time", action="store_true", help="CPU time of all threads instead of wall-clock time")
    arguments = parser.parse_args()
    if arguments.cpu_time:
        global clock
        clock = time.process_time
    with tempfile.TemporaryDirectory() as directory:
        rollouts = {name: exported(name, f"{directory}/{name}") for name in arguments.presets}
        rollouts |= {Path(path).name: loaded(max(Path(path).iterdir())) for path in arguments.exports}
        titles = "".join(f" {name:>12s} {'/ Verlet':>10s}" for name in rollouts)
        print(f"scene-frames/s\n{'N':>5s} {'B':>3s} {'Verlet':>10s}{titles}")
        for num_particles in arguments.particles:
            for batch_size in arguments.batch_sizes:
                report(rollouts, num_particles, batch_size, arguments.rounds)


def exported(preset, directory):
    """The rollout of a new model, from its SavedModel."""
    from socialmd_tf.config import PRESETS
    from socialmd_tf.export.write import export
    from socialmd_tf.model import build_model, rollout_layer

    model = build_model(preset)
    if PRESETS[preset].head == "absolute":
        stay(rollout_layer(model))
    return loaded(export(model, directory, {}))


def loaded(directory):
    """The rollout of a SavedModel."""
    model = tf.saved_model.load(str(directory))
    # Holding only the signature would release the variables.
    return lambda **inputs: model.signatures["rollout"](**inputs)


def stay(rollout):
    """Set weights such that the predicted mean is the last position read."""
    embedding, head = rollout.cell.input_embedding.kernel, rollout.head.dense.kernel
    num_dimensions = rollout.head.layout.num_dimensions
    weights = [embedding.numpy(), head.numpy()]
    weights[0][:, :num_dimensions] = np.eye(len(weights[0]), num_dimensions)
    weights[1][:, :num_dimensions] = 0.0
    weights[1][rollout.cell.lstm.units :, :num_dimensions] = np.eye(weights[0].shape[1], num_dimensions)
    for variable, value in zip((embedding, head), weights, strict=True):
        variable.assign(value)


def report(rollouts, num_particles, batch_size, rounds):
    """Time all rollouts for systems of one size; print a line."""
    positions, velocities, masses, charges = systems(num_particles, batch_size)
    tasks = {"Verlet": (VERLET_STEPS, integration(positions, velocities, masses, charges))}
    moves = INTERVAL * velocities[:, None]
    frames = (positions[:, None] + moves * np.arange(-1, 1)[:, None, None]).astype("float32")
    features = np.stack([masses, charges], axis=-1).astype("float32")
    for name, rollout in rollouts.items():
        tasks[name] = (1, prediction(rollout, frames, features))
    counts = {name: fitting_count(run) for name, (_, run) in tasks.items()}
    seconds = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, (_, run) in tasks.items():
            seconds[name].append(run(counts[name]) / counts[name])
    rate = {name: batch_size / (np.median(seconds[name]) * unit) for name, (unit, _) in tasks.items()}
    line = "".join(f" {rate[name]:12.1f} {rate[name] / rate['Verlet']:10.1f}" for name in rollouts)
    print(f"{num_particles:5d} {batch_size:3d} {rate['Verlet']:10.3f}{line}", flush=True)


def fitting_count(run):
    """Number of units of work, 1 to 30, that takes about `TARGET_SECONDS`."""
    run(1)  # compiles
    return int(np.clip(TARGET_SECONDS / run(1), 1, 30))


def prediction(rollout, frames, features):
    """A function: number of frames to predict -> seconds, without the warm-up."""
    inputs = {"positions": tf.constant(frames), "features": tf.constant(features)}

    def seconds(num_frames):
        started = clock()
        rollout(**inputs, horizon=tf.constant(num_frames))
        return (clock() - started) * num_frames / (num_frames + frames.shape[1] - 1)

    return seconds


def integration(positions, velocities, masses, charges):
    """A function: number of steps to integrate -> seconds."""
    from pipelines.nbody.forces import couplings
    from pipelines.nbody.verlet import advance

    last = [np.moveaxis(x, 0, -1) for x in (np.swapaxes(positions, 1, 2), np.swapaxes(velocities, 1, 2), masses)]
    constants = SimulationConfig.coulomb_constant, SimulationConfig.gravitational_constant
    pairs = np.stack([couplings(m, q, *constants) for m, q in zip(masses, charges, strict=True)], axis=-1)

    def seconds(num_steps):
        started = clock()
        advance(*last, pairs, SimulationConfig.time_step, num_steps)
        return clock() - started

    return seconds


def systems(num_particles, batch_size):
    """Positions and velocities `[B, N, 2]`, masses and charges `[B, N]`: initial states of the N-body data.

    The disc grows with the number of particles; the density is constant.
    """
    from pipelines.nbody.initial_conditions import draw, generator

    radius = SimulationConfig.radius * np.sqrt(num_particles / SimulationConfig.num_particles)
    config = SimulationConfig(num_particles=num_particles, radius=float(radius))
    return map(np.stack, zip(*(draw(generator(0, "test", i, 0), config) for i in range(batch_size)), strict=True))


if __name__ == "__main__":
    main()
