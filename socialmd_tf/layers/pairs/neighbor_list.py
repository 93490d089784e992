"""The pairs of particles within a distance, found without looking at all pairs when there are many particles."""

import itertools

from keras import ops

from socialmd_tf.layers.boxes import lattice, nearest_displacements, of_particles
from socialmd_tf.layers.pairs.few_or_many import few_or_many


def neighbor_list(positions, mask, cutoff, box=None):
    """Pairs of different real particles of the same system, at most `cutoff` apart.

    If there are many particles, they are first sorted into boxes of side `cutoff` (a cell list), and only pairs in
    adjacent boxes are looked at: at a fixed density, the cost grows with N and not with N^2.

    Args:
        positions: `[B, N, D]`, in units of length; in a periodic box wrapped or not.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.
        cutoff: Largest distance, in units of length; in a periodic box at most half its smallest height.
        box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None. Distances are those of nearest images.

    Returns:
        Indices (i, j) into the flattened `[B * N]`, `[M, 2]`: i sees j. Each pair occurs twice, as (i, j) and (j, i).
    """
    num_particles = ops.shape(positions)[1]
    if mask is None:
        mask = ops.ones_like(positions[..., 0])
    cells = None if box is None else of_particles(box, num_particles)

    def dense():
        return _all_pairs(positions, mask, cutoff, cells)

    def boxes():
        return _pairs_by_boxes(positions, mask, cutoff, cells)

    return few_or_many(num_particles, dense, boxes)


def in_range(displacements, cutoff, axis=-1):
    """Whether displacements are at most `cutoff` long, `[..., D]` -> `[...]`; their components are along `axis`."""
    return ops.sum(ops.square(displacements), axis=axis) <= cutoff**2


def listed_displacements(positions, pairs, box=None):
    """Displacements r_j - r_i `[M, D]` of the pairs of `neighbor_list`, between nearest images in a periodic box."""
    num_particles, num_dimensions = ops.shape(positions)[1:]
    flat = ops.reshape(positions, (-1, num_dimensions))
    displacements = ops.take(flat, pairs[:, 1], axis=0) - ops.take(flat, pairs[:, 0], axis=0)
    if box is None:
        return displacements
    return nearest_displacements(displacements, ops.take(lattice(box), pairs[:, 0] // num_particles, axis=0))


def _all_pairs(positions, mask, cutoff, cells):
    num_particles = ops.shape(positions)[1]
    displacements = positions[:, None, :, :] - positions[:, :, None, :]
    if cells is not None:
        displacements = nearest_displacements(displacements, cells[:, :, None])
    near = in_range(displacements, cutoff)
    real = ops.cast(mask, "bool")
    near = ops.logical_and(near, ops.logical_and(real[:, :, None], real[:, None, :]))
    index = ops.arange(num_particles)
    near = ops.logical_and(near, index[:, None] != index[None, :])
    entry = ops.nonzero(ops.reshape(near, (-1,)))[0]
    seen_by = entry // num_particles
    return ops.stack([seen_by, seen_by // num_particles * num_particles + entry % num_particles], axis=1)


def _pairs_by_boxes(positions, mask, cutoff, cells):
    """Pairs by a cell list; in a periodic box, of the particles and of their images near its faces."""
    batch_size, num_particles, num_dimensions = ops.shape(positions)
    flat, real = ops.reshape(positions, (-1, num_dimensions)), ops.cast(ops.reshape(mask, (-1,)), "bool")
    owner, size = ops.arange(batch_size * num_particles, dtype="int64"), ops.cast(num_particles, "int64")
    if cells is None:
        return _pairs_of(flat, real, real, owner // size, owner, cutoff)
    home, images, image_of = _with_images(flat, real, ops.reshape(cells, (-1, cells.shape[-1])), cutoff)
    owner = ops.concatenate([owner, ops.cast(image_of, "int64")])
    seen = ops.concatenate([real, ops.ones_like(image_of, dtype="bool")])
    sees = ops.concatenate([real, ops.zeros_like(image_of, dtype="bool")])
    return _pairs_of(ops.concatenate([home, images]), sees, seen, owner // size, owner, cutoff)


def _with_images(flat, real, cells, cutoff):
    """Particles wrapped into their box, and those of their images that are within the cutoff of it.

    Args:
        flat: `[M, D]`.
        real: Booleans `[M]`; padding has no images.
        cells: `[M, 2 D D]`, see `lattice`.
        cutoff: In units of length.

    Returns:
        Wrapped positions `[M, D]`, positions of images `[I, D]`, and the number of the particle of each image `[I]`.
    """
    size = flat.shape[-1]
    vectors, inverse = (ops.reshape(half, (-1, size, size)) for half in ops.split(cells, 2, axis=-1))
    fractions = ops.sum(flat[:, :, None] * inverse, axis=1)
    turns = ops.floor(fractions)
    fractions, home = fractions - turns, flat - ops.sum(turns[:, :, None] * vectors, axis=1)
    reach = cutoff * ops.sqrt(ops.sum(ops.square(inverse), axis=1))  # in multiples of the height of the box
    is_closed = reach > 0
    images, image_of = [], []
    for steps in itertools.product((-1, 0, 1), repeat=size):
        if any(steps):
            step = ops.convert_to_tensor(steps, dtype=flat.dtype)
            place = fractions + step
            near = ops.logical_and(place >= -reach, place <= 1 + reach)
            near = ops.logical_and(near, ops.logical_or(is_closed, step == 0))
            chosen = ops.nonzero(ops.logical_and(ops.all(near, axis=-1), real))[0]
            shift = ops.sum(step[:, None] * ops.take(vectors, chosen, axis=0), axis=1)
            images.append(ops.take(home, chosen, axis=0) + shift)
            image_of.append(chosen)
    return home, ops.concatenate(images), ops.concatenate(image_of)


def _pairs_of(flat, sees, seen, system, owner, cutoff):
    """Pairs of different owners, at most `cutoff` apart.

    Args:
        flat: Positions `[M, D]`.
        sees: Whether a position is the first of pairs, `[M]`.
        seen: Whether it is the second, `[M]`.
        system: Number of its system, `[M]`.
        owner: Number of its particle, `[M]`.
        cutoff: In units of length.

    Returns:
        Owners `[P, 2]`.
    """
    keys, strides = _box_keys(flat, seen, system, cutoff)
    order = ops.argsort(keys)
    sorted_keys = ops.take(keys, order)
    pairs = []
    # Boxes adjacent along the last axis have consecutive keys, so one range of particles covers three boxes.
    for offset in itertools.product((-1, 0, 1), repeat=flat.shape[-1] - 1):
        center = keys + sum(step * stride for step, stride in zip(offset, strides[:-1], strict=True))
        first = ops.searchsorted(sorted_keys, center - 1, side="left")
        last = ops.searchsorted(sorted_keys, center + 1, side="right")
        pairs.append(_expand(ops.where(sees, first, 0), ops.where(sees, last, 0), order))
    pairs = ops.concatenate(pairs, axis=0)
    displacements = ops.take(flat, pairs[:, 1], axis=0) - ops.take(flat, pairs[:, 0], axis=0)
    owners = ops.cast(ops.take(owner, pairs), pairs.dtype)
    keep = ops.logical_and(in_range(displacements, cutoff), owners[:, 0] != owners[:, 1])
    return ops.take(owners, ops.nonzero(keep)[0], axis=0)


def _box_keys(flat, seen, system, cutoff):
    """Number of the box of each position, different for each system, and the stride of the numbers along each axis.

    A margin of one empty box keeps the numbers of boxes at opposite ends apart. What is not seen gets -2, no box.
    """
    num_dimensions = flat.shape[-1]
    boxes = ops.cast(ops.floor(flat / cutoff), "int64")
    boxes = ops.where(seen[:, None], boxes, 0)
    boxes = boxes - ops.min(boxes, axis=0) + 1
    sides = ops.max(boxes, axis=0) + 2
    keys, strides = system, [1] * num_dimensions
    for axis in range(num_dimensions):
        keys = keys * sides[axis] + boxes[:, axis]
        strides[:axis] = [stride * sides[axis] for stride in strides[:axis]]
    return ops.where(seen, keys, -2), strides


def _expand(first, last, order):
    """Pairs (i, order[k]) for first[i] <= k < last[i]: `[M, 2]`."""
    counts = ops.cast(last - first, "int32")
    ends = ops.cumsum(counts)
    seen_by = ops.repeat(ops.arange(ops.shape(counts)[0], dtype="int32"), counts)
    place = ops.arange(ops.shape(seen_by)[0], dtype="int32") - ops.take(ends - counts, seen_by)
    seen = ops.take(order, place + ops.take(ops.cast(first, "int32"), seen_by))
    return ops.stack([seen_by, ops.cast(seen, "int32")], axis=1)
