"""Time the data pipeline at thesis size, and the time a training step waits for it.

    python benchmarks/pipeline.py [--data data/nbody] [--batch-size 8] [--steps 20]

Prints rotated windows per second (median and quartiles over epochs), if the windows stay in memory and if every batch
is read from memory-mapped files, and the fraction of the training time of preset
`thesis` that is spent waiting for the next batch.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from pipelines import dataset, windows
from pipelines.config import DataConfig
from socialmd_tf import commands


def windows_per_second(directory, batch_size, num_epochs, kept_bytes):
    """Windows per epoch, and one rate per epoch after the first.

    If the windows have more than `kept_bytes`, every batch is read from memory-mapped files.
    """
    windows._KEPT_BYTES = kept_bytes
    config = DataConfig()
    batches = dataset.batches(
        directory, "train", config, batch_size=batch_size, seed=0, shuffle=True, num_epochs=num_epochs
    )
    steps = len(batches) // num_epochs
    num_samples = dataset.num_windows(directory, "train", config) * config.rotations
    rates, started = [], None
    for i, _ in enumerate(batches):
        if i % steps == 0 and started is not None:
            rates.append(num_samples / (time.perf_counter() - started))
        if i % steps == 0:
            started = time.perf_counter()
    return num_samples, rates[1:]


def waiting_share(directory, batch_size, num_steps):
    """Seconds of waiting for each batch, and seconds of each whole step."""
    from socialmd_tf.model import build_model
    from socialmd_tf.training import loop

    model = build_model("thesis")
    loop.compile_for_training(model, 1e-3)
    batches = loop.with_sample_weights(
        dataset.batches(directory, "train", DataConfig(), batch_size=batch_size, seed=0, shuffle=True)
    )
    iterator = iter(batches)
    waits, totals = [], []
    for step in range(num_steps + 2):
        started = time.perf_counter()
        inputs, targets, weights = next(iterator)
        waited = time.perf_counter() - started
        model.train_on_batch(inputs, targets, sample_weight=weights)
        if step >= 2:  # the first steps build the graph
            waits.append(waited)
            totals.append(time.perf_counter() - started)
    return waits, totals


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/nbody"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    for name, kept_bytes in (("in memory", windows._KEPT_BYTES), ("on disk", 0)):
        num_samples, rates = windows_per_second(arguments.data, arguments.batch_size, arguments.epochs, kept_bytes)
        low, median, high = np.percentile(rates, (25, 50, 75))
        print(f"{num_samples} windows {name}: {median:.0f} rotated per second (quartiles {low:.0f}-{high:.0f})")
    waits, totals = waiting_share(arguments.data, arguments.batch_size, arguments.steps)
    print(
        f"training step {np.median(totals):.3f} s, of which waiting for data {100 * sum(waits) / sum(totals):.3f} % "
        f"(batch {arguments.batch_size}, {arguments.steps} steps)"
    )


if __name__ == "__main__":
    commands.load_tensorflow()
    commands.run(main)
