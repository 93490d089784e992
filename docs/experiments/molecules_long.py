"""Displacement and radius of docs/experiments/molecules.md far beyond the frames of training.

    python docs/experiments/molecules_long.py --model saved_models/nanoparticle --data data/nanoparticle-long

Draws 16 paths of 1 000 frames after 25 frames of every test file. Prints for each kind of molecule the mean squared
displacement (nm^2) and the mean distance from the centre (nm), of the paths and of the simulations, averaged over the
last 100 frames. ± is the standard error over simulations.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

import socialmd_tf as smd
from pipelines.manifest import Manifest

OBSERVED, PREDICTED, LAST, SAMPLES = 25, 1000, 100, 16


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="saved_models/nanoparticle")
    parser.add_argument("--data", default="data/nanoparticle-long")
    arguments = parser.parse_args()
    model, found = smd.load(arguments.model), defaultdict(list)
    for number, file in enumerate(Manifest.load(Path(arguments.data)).splits["test"]):
        frames = smd.read(Path(arguments.data) / file)
        drawn = model.sample(frames[:OBSERVED], num_steps=PREDICTED, num_samples=SAMPLES, seed=number).positions
        true = frames.positions[None, OBSERVED : OBSERVED + PREDICTED]
        for kind in dict.fromkeys(frames.types):
            chosen = np.array([each == kind for each in frames.types])
            start = frames.positions[OBSERVED - 1, chosen]
            found[kind].append([measure(paths[:, -LAST:, chosen], start) for paths in (drawn, true)])
    for kind, rows in found.items():
        (displacement, radius), (true_displacement, true_radius) = np.moveaxis(rows, 0, 2)
        ratio, apart = displacement / true_displacement, radius - true_radius
        print(
            f"{kind}, {len(rows)} simulations: "
            f"displacement {displacement.mean():.2f}, MD {true_displacement.mean():.2f}, "
            f"ratio {ratio.mean():.2f} ± {error(ratio):.2f}; "
            f"radius {radius.mean():.3f}, MD {true_radius.mean():.3f}, {apart.mean():+.3f} ± {error(apart):.3f}"
        )


def measure(paths, start):
    """Mean squared displacement and mean distance from the centre of paths `[S, K, n, D]`."""
    return np.square(paths - start).sum(axis=-1).mean(), np.linalg.norm(paths, axis=-1).mean()


def error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


if __name__ == "__main__":
    main()
