"""Compare the latency of a rollout on a server with the same rollout in process.

    python benchmarks/serving.py [--preset thesis] [--particles 25] [--horizon 30] [--rounds 200]

The server is `socialmd-tf serve`, not TensorFlow Serving: the same SavedModel in the same runtime behind the same
protocols, with a front end written in Python. The model has new weights, which does not change the time. In
process, gRPC and REST alternate in random order, so that other load affects all three alike.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NUM_FRAMES = 5  # observed, as in training


def export_to(directory, preset):
    """Export a model with new weights, and load it."""
    from socialmd_tf.export.saved_model import ExportedModel
    from socialmd_tf.export.write import export
    from socialmd_tf.model import build_model

    return ExportedModel(export(build_model(preset), directory, {}))


def measure(ways, rounds):
    """Milliseconds of every round of every way; a way is a function without arguments."""
    times = {name: [] for name in ways}
    for round_ in range(rounds + 3):
        for name in random.sample(list(ways), len(ways)):
            started = time.perf_counter()
            ways[name]()
            if round_ >= 3:  # the first ones compile and connect
                times[name].append(1e3 * (time.perf_counter() - started))
    return times


def report(times):
    """Print one line per way."""
    reference = np.median(times["in process"])
    print("way           p50 ms   p99 ms   overhead ms   p50 / in process")
    for name, values in times.items():
        middle, late = np.percentile(values, [50, 99])
        print(f"{name:12s} {middle:7.2f} {late:8.2f} {middle - reference:13.2f} {middle / reference:18.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="thesis")
    parser.add_argument("--particles", type=int, default=25)
    parser.add_argument("--horizon", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(Path(__file__).parents[1]))  # tests are not installed
    from socialmd_tf.config import preset
    from socialmd_tf.serving import Client
    from tests.socialmd_tf.serving.running import serving

    config = preset(arguments.preset)
    generator = np.random.default_rng(0)
    shape = (1, NUM_FRAMES, arguments.particles, config.num_dimensions)
    positions = generator.uniform(-3.5, 3.5, shape).astype(np.float32)
    features = np.ones((1, arguments.particles, config.num_features), np.float32)
    asked = (positions, features, arguments.horizon)
    with tempfile.TemporaryDirectory() as directory:
        model = export_to(Path(directory) / "timed", arguments.preset)
        with (
            serving(Path(directory) / "timed") as server,
            Client(server.address("grpc"), "timed") as over_grpc,
            Client(server.address("rest"), "timed", protocol="rest") as over_rest,
        ):
            ways = {
                "in process": lambda: model.moments(*asked),
                "gRPC": lambda: over_grpc.rollout(*asked),
                "REST": lambda: over_rest.rollout(*asked),
            }
            print(
                f"{arguments.preset}: {arguments.horizon} frames after {NUM_FRAMES}, {arguments.particles} particles, "
                f"{arguments.rounds} rounds, loopback. The server is `socialmd-tf serve`, NOT TensorFlow "
                "Serving: its front end is Python, its runtime TensorFlow's."
            )
            report(measure(ways, arguments.rounds))


if __name__ == "__main__":
    main()
