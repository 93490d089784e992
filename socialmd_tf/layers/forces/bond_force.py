"""Forces along bonds, by their type."""

import keras
from keras import ops

from socialmd_tf.layers.boxes import lattice, nearest_image
from socialmd_tf.layers.forces.splines import RadialSplines, switch
from socialmd_tf.layers.static_shapes import has_static_shapes


@keras.saving.register_keras_serializable(package="socialmd_tf")
class BondForce(keras.layers.Layer):
    """Accelerations by bonds, along the line between two bonded particles.

        a_i = sum over bonds (i, j) of type e of S(r) g_e(log r) d / max(r, core)^3,   d = r_j - r_i,   r = |d|

    with the `RadialSplines` g_e. On equal masses momentum is kept.

    Args:
        num_types: Types of bonds; they are numbered from 1.
        num_knots: Splines of a type.
        nearest: Start of the range of the splines, in units of length.
        farthest: End of the range.
        core: Distance below which the force falls linearly to 0.
        cutoff: Distance at which bonds end, as in `BasisForce`; None for none.
        acceleration_scale: Multiplies all, in units of length per squared frame interval.
    """

    def __init__(self, num_types, num_knots, nearest, farthest, core, cutoff=None, acceleration_scale=1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.cutoff = cutoff
        self.acceleration_scale = acceleration_scale
        self.splines = RadialSplines(num_types, num_knots, nearest, farthest, core, name="splines")

    def build(self, positions_shape=None, edges_shape=None, box_shape=None):
        """Create the weights."""
        self.splines.build()

    def call(self, positions, edges, box=None):
        """Accelerations `[B, N, D]`, in units of length per squared frame interval.

        Args:
            positions: `[B, N, D]`, in units of length.
            edges: Rows of i, j and the type of a bond, each bond once, `[B, E, 3]`; type 0 is padding.
            box: Edge lengths `[B, D]`, lattice vectors `[B, D, D]`, or None.
        """
        batch_size, num_particles = ops.shape(positions)[:2]
        edges = ops.cast(edges, "int32")
        rows = num_particles * ops.arange(batch_size, dtype="int32")[:, None]
        i, j, kind = (
            ops.reshape(value, (-1,)) for value in (edges[..., 0] + rows, edges[..., 1] + rows, edges[..., 2])
        )
        flat = ops.reshape(positions, (-1, positions.shape[-1]))
        displacement = ops.transpose(ops.take(flat, j, axis=0) - ops.take(flat, i, axis=0))
        if box is not None:
            cells = ops.repeat(lattice(box), ops.shape(edges)[1], axis=0)
            displacement = nearest_image(displacement, ops.transpose(cells))
        pull = ops.transpose(self._strength(displacement, kind) * displacement)
        count = batch_size * num_particles
        total = ops.segment_sum(pull, i, count) - ops.segment_sum(pull, j, count)
        return self.acceleration_scale * ops.reshape(total, ops.shape(positions))

    def _strength(self, displacement, kind):
        """g_e / max(r, core)^3 of bonds with displacements `[D, M]` and types `[M]`."""
        squared = ops.sum(ops.square(displacement), axis=0)
        distance = ops.sqrt(ops.where(squared > 0, squared, 1.0))
        chosen = ops.one_hot(kind - 1, self.splines.num_functions, axis=0, dtype=distance.dtype)
        counts = ops.cast(squared > 0, distance.dtype) * switch(distance, self.cutoff)
        return ops.sum(self.splines(distance) * chosen, axis=0) * counts

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, D]`."""
        return positions_shape

    def get_config(self):
        """Arguments of the layer."""
        splines = self.splines.get_config()
        return {
            **super().get_config(),
            "num_types": self.splines.num_functions,
            **{name: splines[name] for name in ("num_knots", "nearest", "farthest", "core")},
            "cutoff": self.cutoff,
            "acceleration_scale": self.acceleration_scale,
        }


def bond_rows(edges):
    """Rows of i, j and the type of a bond, each bond once.

    Args:
        edges: Types of the bonds between two particles `[B, N, N]`, symmetric, 0 for none.

    Returns:
        `[B, E, 3]`, with E of the system with the most bonds; rows of zeros fill up the others. Within `static_shapes`
        there is a row for every i and j, with type 0 if they have no bond or j is not larger than i.
    """
    batch_size, num_particles = ops.shape(edges)[:2]
    if has_static_shapes():
        kinds = ops.reshape(ops.triu(edges, k=1), (batch_size, -1))
        place = ops.broadcast_to(ops.arange(num_particles**2, dtype=kinds.dtype), ops.shape(kinds))
        return ops.stack([place // num_particles, place % num_particles, kinds], axis=-1)
    system, i, j = ops.nonzero(ops.triu(edges, k=1))
    kinds = ops.cast(ops.reshape(edges, (-1,)), system.dtype)
    rows = ops.stack([i, j, ops.take(kinds, (system * num_particles + i) * num_particles + j)], axis=-1)
    counts = ops.segment_sum(ops.ones_like(system), system, batch_size)
    place = ops.arange(ops.shape(system)[0], dtype=system.dtype) - ops.take(ops.cumsum(counts) - counts, system)
    return ops.scatter(ops.stack([system, place], axis=-1), rows, (batch_size, ops.max(counts), 3))
