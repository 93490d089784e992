r"""Measure time and memory of rollouts of a Lennard-Jones liquid for growing numbers of particles.

    python -m socialmd_tf.simulate --law lennard-jones --output data/liquid --num-train 4 --num-validation 4
    python -m socialmd_tf.train --preset forces --data data/liquid --subsample 1 --run-directory runs/liquid \
        --export-directory saved_models/liquid
    python benchmarks/liquid_scale.py --model saved_models/liquid --data data/liquid [--tiles 4 8 13] [--rounds 3]

A simulation of the test split is repeated K times along each axis of its periodic box, which gives a liquid of K^D
times as many particles in the same state, in a process of its own. The cost of a frame is the time to
predict two frames minus that to predict one. The repeated liquid must move as the one box does: the median difference
of the predicted positions after two frames is printed beside the mean move of a frame.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def repeated(frames, box, count):
    """Frames `[T, N, D]` of a box `[D, D]` repeated along each axis, `[T, K^D N, D]`, and the larger box."""
    shifts = np.stack(np.meshgrid(*[np.arange(count)] * len(box), indexing="ij"), axis=-1).reshape(-1, len(box)) @ box
    return (frames[:, None] + shifts[None, :, None]).reshape(len(frames), -1, len(box)), count * box


def work(arguments):
    """Time one number of particles; print JSON."""
    import tensorflow as tf

    from pipelines.manifest import Manifest
    from socialmd_tf.export.versions import find_version

    manifest = Manifest.load(arguments.data)
    frames = np.load(arguments.data / manifest.splits["test"][0])[:5]
    box = np.diag(manifest.box) if np.ndim(manifest.box) == 1 else np.asarray(manifest.box)
    rollout = tf.saved_model.load(str(find_version(arguments.model))).signatures["rollout"]

    def predict(count, horizon):
        large, edges = repeated(frames, box, count)
        features = np.ones((1, large.shape[1], len(manifest.particle_features)), "float32")
        values = {
            "positions": large[None].astype("float32"),
            "features": features,
            "box": edges[None].astype("float32"),
        }
        given = {name: tf.constant(value) for name, value in values.items()}
        started = time.perf_counter()
        found = rollout(**given, horizon=tf.constant(horizon))["mean"].numpy()[0]
        return found, time.perf_counter() - started

    one_box = predict(1, 2)[0]
    found = predict(arguments.tile, 2)[0]
    seconds = [predict(arguments.tile, 2)[1] - predict(arguments.tile, 1)[1] for _ in range(arguments.rounds)]
    difference = np.median(np.abs(found - repeated(one_box, box, arguments.tile)[0]))
    move = np.abs(np.diff(frames, axis=0)).mean()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps([found.shape[1], float(np.median(seconds)), peak, float(difference), float(move)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tiles", type=int, nargs="+", default=[4, 8, 13])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tile", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.tile:
        return work(arguments)
    print("| particles | ms / frame | microseconds per particle | peak GiB | difference to one box | mean move |")
    print("|--:|--:|--:|--:|--:|--:|")
    for tile in arguments.tiles:
        output = subprocess.run(
            [sys.executable, *sys.argv, "--tile", str(tile)], stdout=subprocess.PIPE, check=True
        ).stdout
        count, seconds, peak, difference, move = json.loads(output.splitlines()[-1])
        each = 1e6 * seconds / count
        print(
            f"| {count:,} | {1e3 * seconds:.0f} | {each:.1f} | {peak:.2f} | {difference:.1e} | {move:.1e} |", flush=True
        )


if __name__ == "__main__":
    main()
