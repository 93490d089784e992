r"""Long free rollouts of a Lennard-Jones liquid: energy and radial distribution function, beside the true law's.

    python -m socialmd_tf.simulate --law lennard-jones --output data/liquid --num-train 4 --num-validation 4
    python -m socialmd_tf.train --preset forces --data data/liquid --subsample 1 --run-directory runs/liquid \
        --export-directory saved_models/liquid
    python -m socialmd_tf.simulate --law lennard-jones --output data/long --num-train 1 --num-validation 1 \
        --num-test 4 --num-frames 300 --seed 5
    python benchmarks/liquid.py --run runs/liquid --model saved_models/liquid --data data/long

Prints a markdown table. The fitted law (float64), the model (the same law in float32) and the true law see the first
frames of the test split and predict all others.
"""

import argparse
from pathlib import Path

import numpy as np
from laws import true_law

import socialmd_tf as smd
from pipelines.boxes import nearest_image, unwrap
from pipelines.laws.config import LennardJonesConfig
from pipelines.laws.lennard_jones import potential_energy
from pipelines.laws.systems import one_system
from pipelines.manifest import Manifest
from socialmd_tf.fitting.basis import Basis, Channel
from socialmd_tf.fitting.integrator import continue_windows
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.splines import Knots
from socialmd_tf.fitting.trajectories import Trajectories
from socialmd_tf.training.law import load_law

SIXTH_ORDER = np.array([-1, 9, -45, 0, 45, -9, 1]) / 60
"""Central difference: velocities per frame."""
NUM_OBSERVED = 5
BIN = 0.05
NUM_FRAMES_COMPARED = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="directory of a training run, for the fitted law")
    parser.add_argument("--model", help="exported model")
    parser.add_argument("--data", type=Path, required=True, help="dataset of `simulate --law lennard-jones`")
    arguments = parser.parse_args()
    manifest = Manifest.load(arguments.data)
    config = LennardJonesConfig(**manifest.provenance["config"])
    files = [arguments.data / file for file in manifest.splits["test"]]
    box = np.diag(manifest.box)
    simulated = np.stack([unwrap(np.load(file).astype(np.float64), box) for file in files])
    start, horizon = Trajectories.of(simulated[:, :NUM_OBSERVED], box=box), simulated.shape[1] - NUM_OBSERVED
    rows = {
        "simulation": simulated[:, NUM_OBSERVED:],
        "true law": continue_windows(true_law(config), start, horizon),
    }
    if arguments.run is not None:
        rows["fitted law"] = continue_windows(pair_law(load_law(arguments.run), box), start, horizon)
    if arguments.model is not None:
        model = smd.load(arguments.model)
        forecasts = [model.rollout(smd.read(file), num_steps=horizon) for file in files]
        rows["model"] = np.stack([forecast.mean for forecast in forecasts]).astype(np.float64)
    expected = radial_distribution(rows["simulation"], box, config.cutoff)
    print(f"{len(files)} simulations, {horizon} free frames after {NUM_OBSERVED} observed ones\n")
    print("| | energy drift per particle | r.m.s. fluctuation | mean difference of g(r) | height of the first peak |")
    print("|---|--:|--:|--:|--:|")
    for name, positions in rows.items():
        values = energies(positions, config)
        ends = values[:, -NUM_FRAMES_COMPARED:].mean(axis=1) - values[:, :NUM_FRAMES_COMPARED].mean(axis=1)
        found = radial_distribution(positions, box, config.cutoff)
        drift = f"{ends.mean():.1e} ± {ends.std(ddof=1) / np.sqrt(len(ends)):.0e}"
        difference = np.abs(found - expected).mean()
        print(f"| {name} | {drift} | {values.std(axis=1).mean():.1e} | {difference:.3f} | {found.max():.3f} |")


def pair_law(found, box):
    """A `ModelLaw` of one pair force as a `Law`."""
    terms, size = found.terms, len(box)
    knots = Knots(terms.nearest, terms.farthest, terms.num_knots)
    basis = Basis(knots, (Channel(),), (), (), size * (0.0,), 1.0, terms.core, terms.cutoff, terms.limit or np.inf)
    return Law(basis, found.arrays["pairs"][0])


def energies(positions, config):
    """Energy per particle of the frames but the outer three at both ends `[S, T - 6]`, positions `[S, T, N, D]`."""
    interval, count = config.time_step * config.save_every, positions.shape[1] - 6
    moves = sum(weight * positions[:, k : k + count] for k, weight in enumerate(SIXTH_ORDER))
    kinetic = np.mean(np.sum((moves / interval) ** 2, axis=-1), axis=-1) / 2
    frames = positions[:, 3:-3].reshape(-1, *positions.shape[2:])
    systems = one_system(frames, np.zeros_like(frames))
    return kinetic + potential_energy(config, systems).reshape(kinetic.shape) / positions.shape[2]


def radial_distribution(positions, box, farthest):
    """g(r) in bins of 0.05, of all frames of positions `[S, T, N, D]`."""
    edges, num_particles = np.arange(0.0, farthest + BIN, BIN), positions.shape[2]
    i, j = np.triu_indices(num_particles, 1)
    counts = np.zeros(len(edges) - 1)
    for frame in positions.reshape(-1, *positions.shape[2:]):
        counts += np.histogram(np.linalg.norm(nearest_image(frame[j] - frame[i], box), axis=-1), edges)[0]
    size = positions.shape[-1]
    shells = (np.pi if size == 2 else 4 / 3 * np.pi) * np.diff(edges**size)
    num_frames = positions.shape[0] * positions.shape[1]
    return counts / (num_frames * len(i) * shells / np.linalg.det(box))


if __name__ == "__main__":
    main()
