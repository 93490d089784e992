"""A learned pair force: products of learned charges, along the line between two particles, summed over neighbours."""

import keras
from keras import ops

from socialmd_tf.layers.boxes import of_particles
from socialmd_tf.layers.full_precision import Dense, FullPrecisionDense, product
from socialmd_tf.layers.pairs.on_pairs import displacements, on_pairs
from socialmd_tf.layers.pairs.perceptron import planes
from socialmd_tf.layers.static_shapes import has_static_shapes

_CHARGE_UNITS = 32
_HIDDEN_LAYERS = 2


@keras.saving.register_keras_serializable(package="socialmd_tf")
class PairForce(keras.layers.Layer):
    """Accelerations by central forces between pairs.

    Every particle has K source charges w and K response charges u, learned functions of its features. Their products
    act through K learned functions g of the distance:

        a_i = sum_j sum_k u_k(f_i) w_k(f_j) g_k(log r) d / r^3,   d = r_j - r_i,  r^2 = |d|^2 + softening^2

    u and w are MLPs with two hidden layers, g has one. New weights give u = 0, no force, and g = 1. Coulomb forces and
    gravity are u = (q_i / m_i, 1), w = (-q_j, m_j) and constant g. The forces are invariant under translation and
    rotate with the system.

    Args:
        charges: K.
        softening: Length below which the force flattens, in units of length.
        cutoff: Largest distance of a force, in units of length.
        acceleration_scale: Typical acceleration, in units of length per squared frame interval; a factor of all
            forces.
        units: Units of the hidden layer of g.
    """

    def __init__(self, charges, softening, cutoff, acceleration_scale, units=16, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.softening = softening
        self.cutoff = cutoff
        self.acceleration_scale = acceleration_scale
        self.responses = _charge_layers("response", charges, last="zeros")
        self.sources = _charge_layers("source", charges, last="glorot_uniform")
        self.range_hidden = FullPrecisionDense(units, "silu", name="range_hidden")
        self.range = FullPrecisionDense(charges, kernel_initializer="zeros", bias_initializer="ones", name="range")

    def build(self, positions_shape, features_shape, mask_shape=None):
        """Create the weights."""
        for layers in (self.responses, self.sources):
            width = features_shape[-1] + 1
            for layer in layers:
                layer.build((None, width))
                width = layer.units
        self.range_hidden.build((None, 1))
        self.range.build((None, self.range_hidden.units))

    def charges(self, features):
        """Response and source charges, features `[B, N, F]` -> each `[B, N, K]`."""
        known = ops.concatenate([features, ops.ones((*ops.shape(features)[:-1], 1))], axis=-1)
        return tuple(_chain(layers, known) for layers in (self.responses, self.sources))

    def call(self, positions, features, mask=None, box=None):
        """Accelerations `[B, N, D]`, in units of length per squared frame interval.

        Args:
            positions: `[B, N, D]`, in units of length.
            features: `[B, N, F]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
            box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None. Forces act between nearest images; the
                cutoff is at most half the smallest height of the box.
        """
        inputs = {"positions": positions, "features": features} | ({} if box is None else {"box": box})
        known = self.prepare(inputs)
        return on_pairs(lambda pairs: self.on(pairs, positions, known), positions, mask, self.cutoff, box)

    def prepare(self, inputs):
        """What `on` needs and positions do not change: a dictionary of tensors `[B, ...]`.

        Args:
            inputs: Dictionary of `positions` `[B, N, D]`, `features` `[B, N, F]` and in a periodic box `box`
                `[B, D, D]`.
        """
        known = dict(zip(("responses", "sources"), self.charges(inputs["features"]), strict=True))
        if "box" in inputs:
            known["cells"] = of_particles(inputs["box"], ops.shape(inputs["positions"])[1])
        return known

    def on(self, pairs, positions, known):
        """The same on the pairs of `on_pairs`, with the result of `prepare`."""
        values = (known[name] for name in ("responses", "sources", "cells") if name in known)
        return self.acceleration_scale * pairs.sum_both(self._forces, positions, *values)

    by_pairs = on

    def _forces(self, own, other, near):
        """Sums for n particles and for m others, for `AllPairs.sum_both`."""
        displacement = displacements(own[0], other[0], *own[3:])
        squared = ops.sum(ops.square(displacement), axis=0) + self.softening**2
        strength, falls = self._strength(0.5 * ops.log(squared)), near * ops.rsqrt(squared) ** 3
        (response, source), (other_response, other_source) = own[1:3], other[1:3]
        size = falls * _weighed(strength, response, other_source)
        other_size = falls * _weighed(strength, source, other_response)
        to_own, to_other = ops.sum(size * displacement, axis=3), -ops.sum(other_size * displacement, axis=2)
        return ops.moveaxis(to_own, 0, -1), ops.moveaxis(to_other, 0, -1)

    def _strength(self, log_distance):
        """g_k of log r `[R, n, m]`, `[K, R, n, m]`; within `static_shapes` a list of K."""
        if has_static_shapes():
            hidden, last = self.range_hidden, self.range
            return planes(log_distance, hidden.kernel[0], hidden.bias, last.kernel, last.bias)
        flat = ops.reshape(log_distance, (1, -1))
        # The bias is one more row of the kernel: adding it afterwards would take longer than the product.
        kernel = ops.concatenate([self.range_hidden.kernel, self.range_hidden.bias[None]], axis=0)
        hidden = ops.silu(product(ops.transpose(kernel), ops.concatenate([flat, ops.ones_like(flat)], axis=0)))
        strength = product(ops.transpose(self.range.kernel), hidden) + self.range.bias[:, None]
        return ops.reshape(strength, (self.range.units, *ops.shape(log_distance)))

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, D]`."""
        return positions_shape

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "charges": self.range.units,
            "softening": self.softening,
            "cutoff": self.cutoff,
            "acceleration_scale": self.acceleration_scale,
            "units": self.range_hidden.units,
        }


def _weighed(strength, own, other):
    """The sum over k of g_k u_k w_k, `[R, n, m]`."""
    if isinstance(strength, list):
        return sum(plane * own[k][..., None] * other[k][..., None, :] for k, plane in enumerate(strength))
    return ops.sum(strength * own[..., None] * other[..., None, :], axis=0)


def _charge_layers(name, charges, last):
    """An MLP from features to charges; `last` is the kernel initializer of its last layer."""
    hidden = [Dense(_CHARGE_UNITS, "silu", name=f"{name}_{i}") for i in range(_HIDDEN_LAYERS)]
    return [
        *hidden,
        Dense(charges, kernel_initializer=last, name=f"{name}_{_HIDDEN_LAYERS}"),
    ]


def _chain(layers, values):
    for layer in layers:
        values = layer(values)
    return values
