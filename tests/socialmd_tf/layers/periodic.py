"""Periodic systems, and the open systems that hold all of their images."""

import itertools

import numpy as np

BOXES = {
    "square": [[6.0, 0.0], [0.0, 5.0]],
    "slab": [[6.0, 0.0], [0.0, 0.0]],
    "sheared": [[6.0, 0.0], [2.0, 5.0]],
    "cube": [[5.0, 0.0, 0.0], [0.0, 6.0, 0.0], [0.0, 0.0, 5.5]],
    "tilted": [[5.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 5.0]],
    "triclinic": [[6.0, 0.0, 0.0], [1.5, 6.0, 0.0], [-1.0, 2.0, 6.0]],
}
"""Lattice vectors; half the smallest height is at least 2.25."""
CUTOFF = 2.2


def system(box, num_particles=7, seed=0):
    """Two systems in different boxes, the second padded: boxes `[B, D, D]`, positions `[B, N, D]` and a mask."""
    box = np.array(box)
    boxes = np.stack([box, 1.25 * box])
    generator = np.random.default_rng(seed)
    positions = generator.uniform(0, 6, (2, num_particles, len(box)))
    mask = np.ones((2, num_particles))
    mask[1, -2:] = 0
    return [array.astype("float32") for array in (boxes, positions, mask)]


def other_images(positions, boxes, seed=1):
    """The same particles, each at another of its images."""
    turns = np.random.default_rng(seed).integers(-2, 3, positions.shape)
    return (positions + np.einsum("bna,bad->bnd", turns, boxes)).astype("float32")


def turns_of(box):
    """Steps to the images of a box in reach, that of no step first; along open axes there are none."""
    axes = [(0, 1, -1) if vector.any() else (0,) for vector in box]
    return np.array(list(itertools.product(*axes)))


def all_images(boxes, positions, *values):
    """Positions of all images in one open system, home first, and values `[B, N, ...]` repeated as often."""
    count = len(turns_of(boxes[0]))
    shifts = np.stack([turns_of(box) @ box for box in boxes])
    images = (positions[:, None] + shifts[:, :, None]).reshape(len(boxes), -1, positions.shape[-1])
    return [images.astype("float32"), *(np.concatenate([value] * count, axis=1) for value in values)]


def wrapped(positions, boxes):
    """Positions wrapped into the box."""
    turns = np.floor(positions @ np.linalg.pinv(boxes))
    return (positions - turns @ boxes).astype("float32")
