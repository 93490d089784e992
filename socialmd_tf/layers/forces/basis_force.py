"""Pair forces on a radial basis: splines of the distance, weighed by products of features."""

import keras
from keras import ops

from socialmd_tf.layers.boxes import of_particles
from socialmd_tf.layers.forces.factors import factor_values
from socialmd_tf.layers.forces.splines import RadialSplines, switch
from socialmd_tf.layers.pairs.on_pairs import FAR, displacements, on_pairs


@keras.saving.register_keras_serializable(package="socialmd_tf")
class BasisForce(keras.layers.Layer):
    """Accelerations by forces between pairs, along the line between them.

        a_i = sum_j sum_c u_c(f_i) w_c(f_j) S(r) g_c(log r) d / max(r, core)^3,   d = r_j - r_i,   r = |d|

    u and w are products of powers of features (`factor_values`), g_c the `RadialSplines`, S the switch from 1 at 0.9
    of the cutoff to 0 at the cutoff. Positive g attracts. New weights give no force. Accelerations move and turn with
    the system; in a box they do not depend on which image of a particle is given.

    Args:
        channels: One dictionary per channel, `own` and `other`: the factors u and w.
        num_knots: Splines of a channel.
        nearest: Start of the range of the splines, in units of length.
        farthest: End of the range.
        core: Distance below which the force falls linearly to 0.
        cutoff: Largest distance of a force, in units of length; None for none. In a box at most half its smallest
            height.
        acceleration_scale: Multiplies all, in units of length per squared frame interval.
    """

    def __init__(self, channels, num_knots, nearest, farthest, core, cutoff=None, acceleration_scale=1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.channels = channels
        self.cutoff = cutoff
        self.acceleration_scale = acceleration_scale
        self.splines = RadialSplines(len(channels), num_knots, nearest, farthest, core, name="splines")

    def build(self, positions_shape=None, features_shape=None, mask_shape=None, box_shape=None):
        """Create the weights."""
        self.splines.build()

    def factors(self, features, mask=None):
        """The factors u and w of particles with features `[B, N, F]`, each `[B, N, C]`."""
        return tuple(
            factor_values([channel[end] for channel in self.channels], features, mask) for end in ("own", "other")
        )

    def call(self, positions, features, mask=None, box=None):
        """Accelerations `[B, N, D]`, in units of length per squared frame interval.

        Args:
            positions: `[B, N, D]`, in units of length; wrapped or not.
            features: `[B, N, F]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
            box: Edge lengths `[B, D]`, lattice vectors in rows `[B, D, D]`, or None.
        """
        cells = None if box is None else of_particles(box, ops.shape(positions)[1])
        factors = self.factors(features, mask)
        cutoff = FAR if self.cutoff is None else self.cutoff
        return on_pairs(lambda pairs: self.on(pairs, positions, factors, cells), positions, mask, cutoff, box)

    def on(self, pairs, positions, factors, cells=None):
        """The same on the pairs of `on_pairs`, with the results of `factors` and of `of_particles(box, N)`."""
        values = [positions, *factors, *([] if cells is None else [cells])]
        return self.acceleration_scale * pairs.sum_both(self._forces, *values)

    def _forces(self, own, other, near):
        """Sums for n particles and for m others, as `AllPairs.sum_both` wants them."""
        displacement = displacements(own[0], other[0], *own[3:])
        squared = ops.sum(ops.square(displacement), axis=0)
        # A particle itself, and whatever does not count, is put at distance 1, where gradients are finite.
        counts = ops.logical_and(near > 0, squared > 0)
        distance = ops.sqrt(ops.where(counts, squared, 1.0))
        strength = self.splines(distance) * ops.where(counts, near, 0.0) * switch(distance, self.cutoff)
        to_own = ops.sum(strength * own[1][..., None] * other[2][..., None, :], axis=0)
        to_other = ops.sum(strength * own[2][..., None] * other[1][..., None, :], axis=0)
        sums = ops.sum(to_own * displacement, axis=3), -ops.sum(to_other * displacement, axis=2)
        return tuple(ops.moveaxis(values, 0, -1) for values in sums)

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, D]`."""
        return positions_shape

    def get_config(self):
        """Arguments of the layer."""
        splines = self.splines.get_config()
        return {
            **super().get_config(),
            "channels": self.channels,
            **{name: splines[name] for name in ("num_knots", "nearest", "farthest", "core")},
            "cutoff": self.cutoff,
            "acceleration_scale": self.acceleration_scale,
        }
