"""Multiscale pooling, read bin by bin."""

import keras
import numpy as np
from keras import ops

from socialmd_tf.layers.pooling.multiscale_pooling import MultiscalePooling


@keras.saving.register_keras_serializable(package="socialmd_tf")
class MultiscalePoolingInteraction(keras.layers.Layer):
    """Neighbours through pooling grids of several sizes, read bin by bin.

    A neighbour contributes s_j = [1, f_j, W_beta h_j]: its presence, its features and its embedded hidden state. With
    H_i = `MultiscalePooling` of s,

        gamma_i = u(f_i) * W [(side_0 / side_s)^2 H_i[s]]

    W has a weight for every grid, bin and channel; unlike a CNN with max pooling, it keeps the position of each bin.
    Each of the E numbers of W H is a sum over neighbours of a function of the displacement that W tabulates, most
    finely at short distances. A grid of half the side length counts four times as much, so that equal weights give a
    force that decays with the square of the distance. u is the response of a particle, an MLP of its features with one
    hidden layer.

    Args:
        bins: Number of bins along each axis of a grid.
        side_lengths: Side length of each grid, in units of length.
        state_embedding: Width of W_beta h.
        embedding: E, width of gamma.
        units: Units of the hidden layer of u.
    """

    def __init__(self, bins, side_lengths, state_embedding, embedding, units=32, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.embedding = embedding
        self.pooling = MultiscalePooling(bins, side_lengths, dtype="float32", name="pooling")
        self.state_embedding = keras.layers.Dense(
            state_embedding, use_bias=False, dtype="float32", name="state_embedding"
        )
        self.response = [
            keras.layers.Dense(units, "silu", dtype="float32", name="response_hidden"),
            keras.layers.Dense(embedding, bias_initializer="ones", dtype="float32", name="response"),
        ]

    def build(self, positions_shape, velocities_shape, features_shape, hidden_state_shape, mask_shape=None):
        """Create the weights."""
        num_bins = len(self.pooling.side_lengths) * self.pooling.bins ** positions_shape[-1]
        width = 1 + features_shape[-1] + self.state_embedding.units
        self.state_embedding.build(hidden_state_shape)
        # Small: otherwise close neighbours, which count most, would dominate before anything is learned.
        initializer = keras.initializers.RandomNormal(stddev=1e-3)
        self.readout = self.add_weight(
            (num_bins, width, self.embedding), initializer=initializer, dtype="float32", name="readout"
        )
        self.response[0].build((*features_shape[:-1], max(features_shape[-1], 1)))
        self.response[1].build((None, self.response[0].units))

    def call(self, positions, velocities, features, hidden_state, mask, box=None):
        """Pool and read the neighbours.

        Args:
            positions: `[B, N, D]`, in units of length.
            velocities: Last moves `[B, N, D]`, in units of length; unused.
            features: `[B, N, F]`.
            hidden_state: `[B, N, H]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
            box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.

        Returns:
            gamma `[B, N, E]`.
        """
        beta = ops.cast(self.state_embedding(hidden_state), "float32")
        states = ops.concatenate([ops.ones_like(positions[..., :1]), features, beta], axis=-1)
        gamma = self._read(self.pooling(positions, states, mask, box))
        # Without features, a number that all particles have: optimizers cannot update a kernel of no rows.
        described = features if features.shape[-1] else ops.ones_like(positions[..., :1])
        return gamma * self.response[1](self.response[0](described))

    def _read(self, pooled):
        """W [(side_0 / side_s)^2 H]: pooled states `[B, N, S, bins, (bins,)... C]` -> `[B, N, E]`."""
        num_bins, num_channels, _ = self.readout.shape
        pooled = ops.reshape(pooled, (*ops.shape(pooled)[:2], num_bins, num_channels))
        sides = np.array(self.pooling.side_lengths)
        factors = np.repeat((sides[0] / sides) ** 2, num_bins // len(sides))
        readout = self.readout * ops.convert_to_tensor(factors[:, None, None], dtype="float32")
        return ops.tensordot(pooled, readout, axes=2)

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, E]`."""
        return (*positions_shape[:2], self.embedding)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "bins": self.pooling.bins,
            "side_lengths": self.pooling.side_lengths,
            "state_embedding": self.state_embedding.units,
            "embedding": self.embedding,
            "units": self.response[0].units,
        }
