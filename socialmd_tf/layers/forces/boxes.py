"""Displacements to the nearest periodic image."""

from keras import ops


def lattice(box):
    """Lattice vectors in rows and their inverse, `[B, 2 D D]`, of a box.

    Args:
        box: Edge lengths `[B, D]` of an orthorhombic box, or lattice vectors in rows `[B, D, D]`.
    """
    if len(box.shape) == 2:
        box = box[..., None] * ops.eye(box.shape[-1], dtype=box.dtype)
    both = ops.stack([box, ops.inv(box)], axis=1)
    return ops.reshape(both, (-1, 2 * box.shape[-1] ** 2))


def nearest_image(displacement, lattice):
    """Displacements `[D, ...]` to the nearest image, for `lattice` `[2 D D, ...]`.

    Exact up to half the smallest height of the box, whatever its shape.
    """
    size = displacement.shape[0]
    vectors, inverse = lattice[: size**2], lattice[size**2 :]
    moved = list(displacement)
    for b in range(size):
        images = ops.round(sum(displacement[a] * inverse[a * size + b] for a in range(size)))
        moved = [moved[d] - images * vectors[b * size + d] for d in range(size)]
    return ops.stack(moved)
