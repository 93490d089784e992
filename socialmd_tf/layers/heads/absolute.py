"""Heads: from what the cell knows of a particle to the density of its next position.

A head is a layer called on `(outputs, inputs, state)`, with the cell's outputs and inputs, that returns
`(parameters, state)`; its `layout` says what the parameters are, and `mean(parameters)` which positions follow in a
rollout. The state, a tuple of tensors `[B, N, ...]`, carries what a head adds up from frame to frame:
`get_initial_state(positions)` is that of the first frame, and `observe(state, positions)` that of a later one which was
observed, and not fed back. The head here needs none.
"""

import itertools

import keras
from keras import ops

from socialmd_tf.layers.density import DensityLayout

_MAX_CORRELATION = 0.999  # keeps the covariance invertible in float32


@keras.saving.register_keras_serializable(package="socialmd_tf")
class AbsoluteHead(keras.layers.Layer):
    """Density of the next position in absolute coordinates: parameters = activation(W outputs), without bias.

    Means are linear, standard deviations are softplus(z) + scale_floor. A correlated component has partial
    correlations r = 0.999 tanh(z), and the factor of its covariance the rows

        L[i] = s_i (r_i1, r_i2 sqrt(1 - r_i1^2), ..., sqrt(1 - r_i1^2) sqrt(1 - r_i2^2) ...)

    so that in 2D L = [[s_1, 0], [rho s_2, sqrt(1 - rho^2) s_2]] with the correlation rho (thesis section 2.5), and in
    every dimension the standard deviations are s (Lewandowski, Kurowicka and Joe 2009).

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, components of the mixture.
        correlated: Whether components have full covariances.
        scale_floor: Added to every standard deviation, in units of length.
    """

    def __init__(self, num_dimensions, num_components, correlated, scale_floor, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.layout = DensityLayout(num_dimensions, num_components, correlated)
        self.scale_floor = scale_floor
        self.dense = keras.layers.Dense(self.layout.size, use_bias=False, dtype="float32", name="dense")

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        """Create the weights."""
        self.dense.build(outputs_shape)

    def mean(self, parameters):
        """Mean `[B, N, D]` of the density."""
        return self.layout.mean(parameters)

    def get_initial_state(self, positions):
        """The state of the first frame: none."""
        return ()

    def observe(self, state, positions):
        """The state of an observed frame: none."""
        return ()

    def call(self, outputs, inputs=None, state=()):
        """Predict the density of the next positions.

        Args:
            outputs: What the cell gives, `[B, N, H + embedding]`.
            inputs: What the cell read, unused here.
            state: `()`.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the state `()`.
        """
        logits, loc, raw = self.layout.split(self.dense(outputs))
        return self.layout.join(logits, loc, self._scales(raw)), ()

    def _scales(self, raw):
        if self.layout.correlated:
            return factor_entries(raw, self.layout.num_dimensions, self.scale_floor)
        return ops.softplus(raw) + self.scale_floor

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "num_dimensions": self.layout.num_dimensions,
            "num_components": self.layout.num_components,
            "correlated": self.layout.correlated,
            "scale_floor": self.scale_floor,
        }


def factor_entries(raw, num_dimensions, scale_floor):
    """Free numbers -> the factor of a covariance, as `AbsoluteHead` describes it.

    Args:
        raw: D numbers of the standard deviations, then those of the partial correlations, row by row,
            `[..., D (D + 1) / 2]`.
        num_dimensions: D.
        scale_floor: Added to every standard deviation.

    Returns:
        Its lower triangle, row by row, `[..., D (D + 1) / 2]`.
    """
    deviations = ops.softplus(raw[..., :num_dimensions]) + scale_floor
    correlations = iter(ops.unstack(_MAX_CORRELATION * ops.tanh(raw[..., num_dimensions:]), axis=-1))
    entries = []
    for row in range(num_dimensions):
        remaining = deviations[..., row]
        for correlation in itertools.islice(correlations, row):
            entries.append(correlation * remaining)
            remaining = remaining * ops.sqrt(1.0 - ops.square(correlation))
        entries.append(remaining)
    return ops.stack(entries, axis=-1)
