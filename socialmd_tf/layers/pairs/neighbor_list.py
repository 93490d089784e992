"""The pairs of particles within a distance, found without looking at all pairs when there are many particles."""

import itertools

from keras import ops

DENSE_LIMIT = 256
"""Largest number of particles for which all pairs are looked at, which is faster for few."""


def neighbor_list(positions, mask, cutoff):
    """Pairs of different real particles of the same system, at most `cutoff` apart.

    If there are many particles, they are first sorted into boxes of side `cutoff` (a cell list), and only pairs in
    adjacent boxes are looked at: at a fixed density, the cost grows with N and not with N^2.

    Args:
        positions: `[B, N, D]`, in units of length.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.
        cutoff: Largest distance, in units of length.

    Returns:
        Indices (i, j) into the flattened `[B * N]`, `[M, 2]`: i sees j. Each pair occurs twice, as (i, j) and (j, i).
    """
    num_particles = ops.shape(positions)[1]
    if mask is None:
        mask = ops.ones_like(positions[..., 0])

    def dense():
        return _all_pairs(positions, mask, cutoff)

    def boxes():
        return _pairs_by_boxes(positions, mask, cutoff)

    if isinstance(num_particles, int):
        return dense() if num_particles <= DENSE_LIMIT else boxes()
    return ops.cond(num_particles <= DENSE_LIMIT, dense, boxes)


def in_range(displacements, cutoff, axis=-1):
    """Whether displacements are at most `cutoff` long, `[..., D]` -> `[...]`; their components are along `axis`."""
    return ops.sum(ops.square(displacements), axis=axis) <= cutoff**2


def _all_pairs(positions, mask, cutoff):
    num_particles = ops.shape(positions)[1]
    near = in_range(positions[:, None, :, :] - positions[:, :, None, :], cutoff)
    real = ops.cast(mask, "bool")
    near = ops.logical_and(near, ops.logical_and(real[:, :, None], real[:, None, :]))
    index = ops.arange(num_particles)
    near = ops.logical_and(near, index[:, None] != index[None, :])
    entry = ops.nonzero(ops.reshape(near, (-1,)))[0]
    seen_by = entry // num_particles
    return ops.stack([seen_by, seen_by // num_particles * num_particles + entry % num_particles], axis=1)


def _pairs_by_boxes(positions, mask, cutoff):
    num_dimensions = positions.shape[-1]
    real = ops.cast(ops.reshape(mask, (-1,)), "bool")
    keys, strides = _box_keys(positions, real, cutoff)
    order = ops.argsort(keys)
    sorted_keys = ops.take(keys, order)
    pairs = []
    # Boxes adjacent along the last axis have consecutive keys, so one range of particles covers three boxes.
    for offset in itertools.product((-1, 0, 1), repeat=num_dimensions - 1):
        center = keys + sum(step * stride for step, stride in zip(offset, strides[:-1], strict=True))
        first = ops.searchsorted(sorted_keys, center - 1, side="left")
        last = ops.searchsorted(sorted_keys, center + 1, side="right")
        pairs.append(_expand(ops.where(real, first, 0), ops.where(real, last, 0), order))
    pairs = ops.concatenate(pairs, axis=0)
    flat = ops.reshape(positions, (-1, num_dimensions))
    displacements = ops.take(flat, pairs[:, 1], axis=0) - ops.take(flat, pairs[:, 0], axis=0)
    keep = ops.logical_and(in_range(displacements, cutoff), pairs[:, 0] != pairs[:, 1])
    return ops.take(pairs, ops.nonzero(keep)[0], axis=0)


def _box_keys(positions, real, cutoff):
    """Number of the box of each particle, different for each system, and the stride of the numbers along each axis.

    A margin of one empty box keeps the numbers of boxes at opposite ends apart. Padded particles get -2, no box.
    """
    batch_size, num_particles, num_dimensions = ops.shape(positions)
    boxes = ops.cast(ops.floor(ops.reshape(positions, (-1, num_dimensions)) / cutoff), "int64")
    boxes = ops.where(real[:, None], boxes, 0)
    boxes = boxes - ops.min(boxes, axis=0) + 1
    sides = ops.max(boxes, axis=0) + 2
    system = ops.repeat(ops.arange(batch_size, dtype="int64"), num_particles)
    keys, strides = system, [1] * num_dimensions
    for axis in range(num_dimensions):
        keys = keys * sides[axis] + boxes[:, axis]
        strides[:axis] = [stride * sides[axis] for stride in strides[:axis]]
    return ops.where(real, keys, -2), strides


def _expand(first, last, order):
    """Pairs (i, order[k]) for first[i] <= k < last[i]: `[M, 2]`."""
    counts = ops.cast(last - first, "int32")
    ends = ops.cumsum(counts)
    seen_by = ops.repeat(ops.arange(ops.shape(counts)[0], dtype="int32"), counts)
    place = ops.arange(ops.shape(seen_by)[0], dtype="int32") - ops.take(ends - counts, seen_by)
    seen = ops.take(order, place + ops.take(ops.cast(first, "int32"), seen_by))
    return ops.stack([seen_by, ops.cast(seen, "int32")], axis=1)
