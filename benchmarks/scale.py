"""Measure time and memory of one rollout step at fixed density for growing numbers of particles.

    python benchmarks/scale.py [--dimensions 2] [--particles 1000 10000 40000] [--rounds 3]

The model has new weights and the thesis's sizes (in 3D smaller grids, see `config`). It is exported, and the SavedModel
is timed in a separate process for every N. The cost of a step is the time to predict one frame after two, minus that
after one (new weights would predict all particles at the origin, so the frames are given). The cost per particle should
not depend on N, except through the number of neighbours, which is smaller near the walls of a small box.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import scipy.spatial

DENSITY = {2: 25 / (np.pi * 3.5**2), 3: 25 / (4 / 3 * np.pi * 3.5**3)}  # that of the N-body system


def config(num_dimensions):
    """The thesis's model; in 3D with 8 x 8 x 8 bins, since 32 per axis would be 32 times as many as in 2D."""
    from socialmd_tf.config import PRESETS

    model_config = dataclasses.replace(PRESETS["thesis"], num_dimensions=num_dimensions)
    return model_config if num_dimensions == 2 else dataclasses.replace(model_config, bins=8, kernel_size=3)


def export_to(directory, num_dimensions):
    """Export a model with new weights."""
    from socialmd_tf.export.write import export
    from socialmd_tf.model import build_model

    return export(build_model(config(num_dimensions)), directory, {})


def work(path, num_dimensions, num_particles, rounds):
    """Time one N; print JSON."""
    import tensorflow as tf

    rollout = tf.saved_model.load(path).signatures["rollout"]
    side = (num_particles / DENSITY[num_dimensions]) ** (1 / num_dimensions)
    positions = np.random.default_rng(0).uniform(0, side, (1, 1, num_particles, num_dimensions)).astype("float32")
    features = np.ones((1, num_particles, 2), "float32")
    times = {1: [], 2: []}
    for round_ in range(rounds + 1):
        for num_frames in times:
            frames = tf.constant(np.repeat(positions, num_frames, axis=1))
            started = time.perf_counter()
            rollout(positions=frames, features=tf.constant(features), horizon=tf.constant(1))
            if round_:
                times[num_frames].append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    cutoff = max(config(num_dimensions).side_lengths) / 2
    num_pairs = scipy.spatial.cKDTree(positions[0, 0]).count_neighbors(scipy.spatial.cKDTree(positions[0, 0]), cutoff)
    print(
        json.dumps(
            {
                "one": times[1],
                "two": times[2],
                "peak_gib": peak,
                "neighbors": num_pairs / num_particles - 1,
            }
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--particles", type=int, nargs="+", default=[1000, 10000, 40000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        path, num_dimensions, num_particles = arguments.work
        work(path, int(num_dimensions), int(num_particles), arguments.rounds)
        return
    print(" D       N  neighbours  us per particle and step  / smallest N  peak GiB")
    for num_dimensions in arguments.dimensions:
        with tempfile.TemporaryDirectory() as directory:
            path = export_to(directory, num_dimensions)
            reference = None
            for num_particles in arguments.particles:
                command = [
                    sys.executable,
                    __file__,
                    "--rounds",
                    str(arguments.rounds),
                    "--work",
                    str(path),
                    str(num_dimensions),
                    str(num_particles),
                ]
                environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
                run = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
                result = json.loads(run.stdout.splitlines()[-1])
                cost = 1e6 * (np.median(result["two"]) - np.median(result["one"])) / num_particles
                reference = reference or cost
                print(
                    f"{num_dimensions:2d} {num_particles:7d} {result['neighbors']:11.1f} {cost:25.1f} "
                    f"{cost / reference:13.2f} {result['peak_gib']:9.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
