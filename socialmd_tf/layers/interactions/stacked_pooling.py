"""Stacked state pooling read by a CNN: the thesis's interaction."""

import itertools
import math

import keras
from keras import ops

from socialmd_tf.layers.pooling.max_pool import max_pool
from socialmd_tf.layers.pooling.pooled_convolution import PooledConvolution
from socialmd_tf.layers.static_shapes import has_static_shapes


@keras.saving.register_keras_serializable(package="socialmd_tf")
class StackedPoolingInteraction(keras.layers.Layer):
    """Neighbours through stacked pooling grids and a CNN (thesis section 4.4).

    beta_j = W_beta h_j;  H_i = stacked pooling of beta;  gamma_i = relu(W_gamma CNN(H_i))

    The convolutions have biases and zero padding; each is followed by ReLU and 2 x 2 (x 2) max pooling. W_beta and
    W_gamma have no biases.

    Args:
        bins: Number of bins along each axis of a grid.
        side_lengths: Side length of each grid, in units of length.
        filters: Number of filters of each convolution.
        kernel_size: Side length of the convolution kernels, in bins.
        state_embedding: C, width of beta.
        embedding: E, width of gamma.
    """

    keeps_steps = True
    """Whether compiled training keeps the results of all frames, since computing convolutions twice takes longer."""

    def __init__(self, bins, side_lengths, filters, kernel_size, state_embedding, embedding, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.filters = tuple(filters)
        self.kernel_size = kernel_size
        self.pooled_convolution = PooledConvolution(
            bins, side_lengths, filters[0], kernel_size, pool_size=2, dtype=self.dtype_policy, name="convolution_0"
        )
        self.state_embedding = keras.layers.Dense(
            state_embedding, use_bias=False, dtype=self.dtype_policy, name="state_embedding"
        )
        self.embedding = keras.layers.Dense(
            embedding, use_bias=False, activation="relu", dtype=self.dtype_policy, name="embedding"
        )
        self.convolutions = []

    def build(self, positions_shape, velocities_shape, features_shape, hidden_state_shape, mask_shape=None):
        """Create the weights."""
        num_dimensions = positions_shape[-1]
        convolution = {2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[num_dimensions]
        self.state_embedding.build(hidden_state_shape)
        states_shape = self.state_embedding.compute_output_shape(hidden_state_shape)
        self.pooled_convolution.build(positions_shape, states_shape)
        shape = (None, *self.pooled_convolution.compute_output_shape(positions_shape, states_shape)[2:])
        for i, filters in enumerate(self.filters[1:], start=1):
            layer = convolution(
                filters,
                self.kernel_size,
                padding="same",
                dtype=self.dtype_policy,
                name=f"convolution_{i}",
            )
            layer.build(shape)
            self.convolutions.append(layer)
            shape = (None, *(size // 2 for size in shape[1:-1]), filters)
        self.embedding.build((None, math.prod(shape[1:])))

    def call(self, positions, velocities, features, hidden_state, mask, box=None):
        """Pool and read the neighbours' states.

        Args:
            positions: `[B, N, D]`, in units of length.
            velocities: `[B, N, D]`, unused here.
            features: `[B, N, F]`, unused here.
            hidden_state: `[B, N, H]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
            box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.

        Returns:
            gamma `[B, N, E]`.
        """
        grids = self.pooled_convolution(positions, self.state_embedding(hidden_state), mask, box)
        batch_size, num_particles = ops.shape(hidden_state)[:2]
        grids = ops.reshape(grids, (-1, *grids.shape[2:]))
        for convolution in self.convolutions:
            # Max pooling and ReLU commute: pooling first leaves a quarter of the work.
            if has_static_shapes():
                grids = _convolve_and_pool(convolution, ops.relu(grids))
            else:
                grids = max_pool(convolution(ops.relu(grids)))
        # ReLU comes after changes of shape: its output is also the next layer's input, and training keeps it only once.
        hidden = self.embedding(ops.relu(ops.reshape(grids, (-1, math.prod(grids.shape[1:])))))
        return ops.reshape(hidden, (batch_size, num_particles, self.embedding.units))

    def set_precision(self, policy):
        """Compute states, convolutions and gamma in another precision from now on; bins and weights stay float32.

        Args:
            policy: A Keras dtype policy or its name, such as "mixed_bfloat16".
        """
        parts = self.state_embedding, self.pooled_convolution, *self.convolutions, self.embedding
        for layer in (self, *parts):
            layer.dtype_policy = policy

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, E]`."""
        return (*positions_shape[:2], self.embedding.units)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "bins": self.pooled_convolution.bins,
            "side_lengths": self.pooled_convolution.side_lengths,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "state_embedding": self.state_embedding.units,
            "embedding": self.embedding.units,
        }


def _convolve_and_pool(convolution, grids):
    """max_pool(convolution(grids)) as one convolution of stride 2, with filters for each member of a pooling window.

    A GPU does more arithmetic this way, and moves less memory.
    """
    num_dimensions, half = len(grids.shape) - 2, grids.shape[1] // 2
    kernel = ops.cast(convolution.kernel, grids.dtype)
    size, filters = kernel.shape[0], kernel.shape[-1]
    members = itertools.product((0, 1), repeat=num_dimensions)
    kernels = [ops.pad(kernel, [*((step, 1 - step) for step in member), (0, 0), (0, 0)]) for member in members]
    before = (size - 1) // 2  # zero padding of "same"
    grids = ops.pad(grids, [(0, 0), *[(before, size - 1 - before)] * num_dimensions, (0, 0)])
    found = ops.conv(grids, ops.concatenate(kernels, axis=-1), strides=2, padding="valid")
    largest = max_pool(ops.reshape(found, (-1, *[2] * num_dimensions, filters)))
    largest = ops.reshape(largest, (-1, *[half] * num_dimensions, filters))
    return largest + ops.cast(convolution.bias, largest.dtype)
