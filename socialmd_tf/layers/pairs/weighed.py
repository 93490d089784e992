"""Pairs whose sums are weighed by a function of the distance."""

from keras import ops

from socialmd_tf.layers.boxes import of_particles
from socialmd_tf.layers.pairs.on_pairs import displacements


class WeighedPairs:
    """Pairs as `on_pairs` gives them, with weights instead of ones for neighbours in `sum_both`.

    Args:
        pairs: The pairs.
        weight: Function of squared distances `[R, n, m]`, in units of length squared, `[R, n, m]`.
        box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.
        num_particles: N.
    """

    def __init__(self, pairs, weight, box, num_particles):
        self._pairs = pairs
        self._weight = weight
        self._cells = [] if box is None else [of_particles(box, num_particles)]
        self.minimum = pairs.minimum

    def sum_both(self, function, positions, *values):
        """As `AllPairs.sum_both`, with the positions `[B, N, D]` as the first value."""
        given = 1 + len(values)

        def weighed(own, other, near):
            apart = displacements(own[0], other[0], *own[given:])
            near = near * self._weight(ops.sum(ops.square(apart), axis=0))
            return function(own[:given], other[:given], near)

        return self._pairs.sum_both(weighed, positions, *values, *self._cells)
