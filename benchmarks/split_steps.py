"""Compare a frame of a Verlet head with steps of one length and with `split_distance`.

    python benchmarks/split_steps.py saved_models/nbody/2 [--particles 400 1000] [--batch-sizes 1 1] [--cpu-time]

The Keras model of an export predicts frames of N-body systems of the density of the training data. Prints milliseconds
per frame, the ratio to steps of one length, and the mean difference of positions after all frames. On a busy machine,
use CPU time on one thread (--cpu-time with TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1).
"""

import argparse
import time

import numpy as np
import tensorflow as tf
from rollout import INTERVAL, systems

from socialmd_tf.export.saved_model import load_keras_model
from socialmd_tf.model import rollout_layer

SETTINGS = ((1, 0.0), (1, 0.8), (1, 1.2), (2, 1.2))
"""Substeps and split distances."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="an exported version")
    parser.add_argument("--particles", type=int, nargs="+", default=[400, 1000])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 1], help="one for each number of particles")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--cpu-time", action="store_true", help="CPU time of all threads instead of wall-clock time")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    head = rollout_layer(load_keras_model(arguments.model)).head
    print(f"{'N':>5s} {'B':>3s} {'n':>2s} {'split':>5s} {'ms':>8s} {'ratio':>6s} {'difference':>10s}")
    for num_particles, batch_size in zip(arguments.particles, arguments.batch_sizes, strict=True):
        first = None
        for substeps, split in SETTINGS:
            head.substeps, head.split_distance = substeps, split
            seconds, end = frames(head, num_particles, batch_size, arguments.frames, clock)
            first = (seconds, end) if first is None else first
            difference = np.abs(end - first[1]).mean()
            line = f"{num_particles:5d} {batch_size:3d} {substeps:2d} {split:5.2f} {1e3 * seconds:8.1f}"
            print(f"{line} {first[0] / seconds:6.2f} {difference:10.1e}", flush=True)


def frames(head, num_particles, batch_size, count, clock):
    """Median seconds of a frame, and the positions `[B, N, 2]` after `count` of them."""
    positions, velocities, masses, charges = systems(num_particles, batch_size)
    x, v = (tf.constant(values.astype("float32")) for values in (positions, INTERVAL * velocities))
    fixed = {"features": tf.constant(np.stack([masses, charges], -1).astype("float32"))}
    fixed["mask"] = tf.ones((batch_size, num_particles))
    step = tf.function(head.integrate)
    seconds = []
    for _ in range(count):
        started = clock()
        x, v = step({**fixed, "positions": x}, v)
        x.numpy()
        seconds.append(clock() - started)
    return np.median(seconds[1:]), x.numpy()


if __name__ == "__main__":
    main()
