"""The choice between what is faster for few particles and for many, made when the graph runs if need be."""

from keras import ops

LIMIT = 256
"""Largest number of particles that are few: looking at all pairs is then faster than finding those in range."""


def few_or_many(num_particles, few, many):
    """The result of `few()` for up to 256 particles, else that of `many()`; `num_particles` is a number or a tensor."""
    if isinstance(num_particles, int):
        return few() if num_particles <= LIMIT else many()
    return ops.cond(num_particles <= LIMIT, few, many)
