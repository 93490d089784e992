"""Small trajectories with everything in them: features, bonds, padding, a box."""

import numpy as np

from socialmd_tf.fitting.trajectories import Trajectories

CELL = {2: np.array([[3.0, 0.0], [0.9, 2.5]]), 3: np.array([[3.0, 0.0, 0.0], [0.9, 2.5, 0.0], [-0.4, 0.7, 2.8]])}


def trajectories(num_dimensions, *, is_periodic=False, num_frames=6, num_particles=5, seed=0):
    """Two random walks with masses and charges, each in its own box; the last particle of the second is padding."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(scale=0.1, size=(2, num_frames, num_particles, num_dimensions))
    moves[:, 0] *= 10
    bonds = np.triu(rng.integers(0, 3, (2, num_particles, num_particles)), 1)
    mask = np.ones((2, num_particles), bool)
    mask[1, -1] = False
    features = np.stack([rng.uniform(1, 3, (2, num_particles)), rng.normal(size=(2, num_particles))], axis=-1)
    return Trajectories.of(
        moves.cumsum(axis=1),
        features,
        ("mass", "charge"),
        bonds + bonds.swapaxes(1, 2),
        mask,
        np.stack([CELL[num_dimensions], 1.2 * CELL[num_dimensions]]) if is_periodic else None,
    )
