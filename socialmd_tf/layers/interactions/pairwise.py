"""The pairwise interaction: sums over neighbours of a learned function of the pair."""

import keras
from keras import ops

from socialmd_tf.layers.boxes import of_particles
from socialmd_tf.layers.full_precision import FullPrecisionDense, product
from socialmd_tf.layers.pairs.on_pairs import difference, displacements, on_pairs
from socialmd_tf.layers.recomputed import recomputed
from socialmd_tf.layers.static_shapes import has_static_shapes

_MANY = 128
"""Number of particles above which the hidden units of all pairs and frames of a batch would fill the memory."""


@keras.saving.register_keras_serializable(package="socialmd_tf")
class PairwiseInteraction(keras.layers.Layer):
    """A learned function of each pair at its exact positions; its vectors rotate with the system.

    With the displacement d = r_j - r_i, r^2 = |d|^2 + softening^2, and the scalars
    s_ij = (log r, f_i, f_j, f_i x f_j, radial and squared relative velocity), an MLP gives K + K numbers
    phi, psi = MLP(s_ij), and

        gamma_i = [sum_j phi_ij d / r^3,  sum_j psi_ij / r^2]

    over the neighbours j within the cutoff: K vectors and K scalars. An inverse-square force is phi = const f_i x f_j.

    Args:
        cutoff: Largest distance of two particles that see each other, in units of length.
        softening: Length below which the pair functions flatten, in units of length.
        units: Units of each of the two hidden layers of the MLP.
        channels: K.
        move_scale: Typical move per frame, in units of length; velocities are divided by it.
    """

    def __init__(self, cutoff, softening, units, channels, move_scale, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.cutoff = cutoff
        self.softening = softening
        self.channels = channels
        self.move_scale = move_scale
        self.hidden = [FullPrecisionDense(units, "silu", name=f"hidden_{i}") for i in range(2)]
        self.output_layer = FullPrecisionDense(2 * channels, name="output")

    def build(self, positions_shape, velocities_shape, features_shape, hidden_state_shape, mask_shape=None):
        """Create the weights."""
        num_features = features_shape[-1]
        width = 3 + 2 * num_features + num_features**2
        for layer in (*self.hidden, self.output_layer):
            layer.build((None, width))
            width = layer.units

    def call(self, positions, velocities, features, hidden_state, mask, box=None):
        """Sum over the neighbours.

        Args:
            positions: `[B, N, D]`, in units of length.
            velocities: Last moves `[B, N, D]`, in units of length.
            features: `[B, N, F]`.
            hidden_state: `[B, N, H]`, unused here.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
            box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.

        Returns:
            gamma `[B, N, (D + 1) K]`.
        """
        values = [positions, velocities / self.move_scale, features]
        if box is not None:
            values.append(of_particles(box, ops.shape(positions)[1]))

        def sums(*values):
            return on_pairs(lambda pairs: pairs.sum(self._sums, *values), values[0], mask, self.cutoff, box)

        if _is_recomputed(ops.shape(positions)[1]):
            return recomputed(sums, self.trainable_variables, *values)
        return sums(*values)

    def _sums(self, own, other, near):
        """Sums `[R, n, (D + 1) K]` over some of the others, for `AllPairs.sum`."""
        displacement = displacements(own[0], other[0], *own[3:])
        squared = ops.sum(ops.square(displacement), axis=0) + self.softening**2
        inverse = ops.rsqrt(squared)
        hidden = self._hidden(self._scalars(own, other, displacement, squared, inverse), ops.shape(squared))
        falls = near * ops.square(inverse)
        falls = ops.moveaxis(ops.concatenate([falls * inverse * displacement, falls[None]], axis=0), 0, 2)
        return self._read(falls, hidden)

    def _scalars(self, own, other, displacement, squared, inverse):
        """Inputs of the MLP for each pair, and a 1 for its bias: `[width, R, n, m]`."""
        velocity = difference(own[1], other[1])
        radial = ops.sum(velocity * displacement, axis=0) * inverse
        speed = ops.sqrt(ops.sum(ops.square(velocity), axis=0) + 1e-6)
        shape = ops.shape(squared)
        mine, others = own[2][..., None], other[2][..., None, :]
        features = [ops.broadcast_to(ends, (ends.shape[0], *shape)) for ends in (mine, others)]
        products = ops.reshape(mine[:, None] * others[None], (-1, *shape))
        geometry = ops.stack([0.5 * ops.log(squared), radial, speed])
        return ops.concatenate([geometry, *features, products, ops.ones_like(geometry[:1])], axis=0)

    def _hidden(self, scalars, shape):
        """Hidden units of each pair: scalars `[width, R, n, m]` -> `[R, n, m, units]`."""
        first, second = self.hidden
        kernel = ops.concatenate([first.kernel, first.bias[None]], axis=0)
        scalars = ops.reshape(scalars, (kernel.shape[0], -1))
        hidden = second(ops.silu(product(ops.transpose(scalars), kernel)))
        return ops.reshape(hidden, (*shape, second.units))

    def _read(self, falls, hidden):
        """Sums over j, from the factors d / r^3 and 1 / r^2 `[R, n, D + 1, m]` and the hidden units.

        The last layer is linear: where there is more than one j, it is applied once, to the sums of the hidden units.
        """
        if falls.shape[-1] == 1:
            output = falls * self.output_layer(hidden)
        else:
            output = product(product(falls, hidden), self.output_layer.kernel)
            output = output + ops.sum(falls, axis=-1, keepdims=True) * self.output_layer.bias
        vectors = ops.swapaxes(output[..., :-1, : self.channels], 2, 3)
        shape = (*ops.shape(output)[:2], self.channels * (falls.shape[2] - 1))
        return ops.concatenate([ops.reshape(vectors, shape), output[..., -1, self.channels :]], axis=-1)

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, (D + 1) K]`."""
        return (*positions_shape[:2], self.channels * (positions_shape[-1] + 1))

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "cutoff": self.cutoff,
            "softening": self.softening,
            "units": self.hidden[0].units,
            "channels": self.channels,
            "move_scale": self.move_scale,
        }


def _is_recomputed(num_particles):
    """Whether the backward pass computes pairs again: it takes 1.4 times as long. Within `static_shapes`, scans do."""
    return isinstance(num_particles, int) and num_particles > _MANY and not has_static_shapes()
