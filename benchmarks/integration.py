"""Required step length of the Verlet head: its motion under the true forces, compared with the simulation.

    python -m socialmd_tf.simulate --output data/nbody
    python benchmarks/integration.py --data data/nbody

The head observes 5 frames of every window of the validation split (one phase of subsampling) and predicts 30, with the
true forces instead of learned ones. All errors then come from its integration steps and its velocity estimate. Prints
the mean absolute error per coordinate in the data's length unit, the median, and the steps per frame of a system, mean
and largest over the windows. "fixed" means a step fraction too large to have an effect.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines import dataset
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.nbody.known_forces import known_nbody_forces
from socialmd_tf.layers import VerletHead
from socialmd_tf.layers.pairs.on_pairs import difference

FIXED = 1e9
VARIANTS = [(8, FIXED), (16, FIXED), (32, FIXED), (64, FIXED), (8, 0.3), (8, 0.2), (8, 0.1), (8, 0.05)]


class TrueForce:
    """Stand-in for a force of the head: accelerations of the N-body system, in units of length per squared frame."""

    def __init__(self, forces, interval, features, softening):
        masses, charges = features[..., forces.mass], features[..., forces.charge]
        coulomb = forces.coulomb_constant * charges[:, :, None] * charges[:, None] / masses[:, :, None]
        gravity = forces.gravitational_constant * masses[:, None]
        self.weights = tf.constant(interval**2 * (gravity - coulomb), tf.float32)
        self.softening, self.cutoff = softening, 1e3

    def prepare(self, inputs):
        """Data of each system: the weights of its pairs, and its index."""
        return {"weights": self.weights, "numbers": tf.range(len(self.weights))}

    def on(self, pairs, positions, known):
        """Accelerations `[A, N, D]` of the A systems still integrated, whose indices go to `numbers`."""
        weights, self.numbers = known["weights"], known["numbers"]

        def forces(own, other, near):
            displacement = difference(own[0], other[0])
            squared = tf.reduce_sum(displacement**2, axis=0) + self.softening**2
            sums = tf.reduce_sum(weights * near * tf.math.rsqrt(squared) ** 3 * displacement, axis=3)
            return tf.transpose(sums, (1, 2, 0))

        return pairs.sum(forces, positions)


class CountingHead(VerletHead):
    """A Verlet head that counts the steps of every system; works eagerly only."""

    def _step(self, pairs, known, number, left, *others):
        self.steps[self.force.numbers.numpy()] += left.numpy() > 0
        return super()._step(pairs, known, number, left, *others)


def rollout(head, inputs, num_frames):
    """Positions `[B, num_frames, N, D]` after the observed ones."""
    frames = tf.unstack(inputs["positions"], axis=1)
    state = head.get_initial_state(frames[0])
    for frame in frames:
        velocities = head.observe(state, frame)[-1]
        positions, velocities = head.integrate({"positions": frame, "mask": None}, velocities)
        state = (*state[:3], positions, velocities)
    predicted = [positions]
    head.steps[:] = 0
    for _ in range(num_frames - 1):
        positions, velocities = head.integrate({"positions": positions, "mask": None}, velocities)
        predicted.append(positions)
    return np.stack(predicted, axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/nbody"))
    directory = parser.parse_args().data
    config = DataConfig(rotations=0, subsample_phases=1)
    manifest = Manifest.load(directory)
    interval = manifest.time_between_frames * config.subsample
    batches = dataset.batches(directory, "validation", config, batch_size=1000, seed=0, shuffle=False)
    inputs, targets = next(iter(batches))
    print(f"{len(targets)} windows of {config.warm_up_steps} + {config.rollout_steps} frames")
    print(" minimum steps  fraction     MAE  median AE  steps per frame  largest")
    for substeps, fraction in VARIANTS:
        force = TrueForce(known_nbody_forces(manifest), interval, inputs["features"].numpy(), softening=0.001)
        head = CountingHead(manifest.num_dimensions, 1, 1e-6, 1.0, force, substeps, fraction, is_corrected=False)
        head.steps = np.zeros(len(targets), int)
        errors = np.abs(rollout(head, inputs, config.rollout_steps) - targets)
        counts = head.steps / (config.rollout_steps - 1)
        shown = "fixed" if fraction == FIXED else f"{fraction:g}"
        print(
            f"{substeps:14d} {shown:>9s} {errors.mean():7.4f} {np.median(errors):10.6f} "
            f"{counts.mean():16.1f} {counts.max():8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
