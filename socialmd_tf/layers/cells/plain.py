"""The recurrent cell of the first experiment: each particle alone, perceptrons before and after LSTMs."""

import itertools

import keras
from keras import ops

from socialmd_tf.layers.cells.lstm import LSTMCell
from socialmd_tf.layers.full_precision import Dense


@keras.saving.register_keras_serializable(package="socialmd_tf")
class PlainLSTMCell(keras.layers.Layer):
    """One step of the first experiment's network (thesis section 3.3, figure 19).

    Each particle alone, all with the same weights:

        a_0 = [x_i, f_i];  a_k = dropout(relu(W_k a_(k-1) + b_k))      perceptron, the same at every step
        h_l, c_l = LSTM_l(h_(l-1), (h_l, c_l)),  h_0 the last a        LSTMs, one on the other
        o_k = dropout(relu(V_k o_(k-1) + d_k)),  o_0 the last h        perceptron, whose linear output is the head

    The thesis does not say how its network reads several particles. Here each particle is alone, because their number
    differs between simulations. The cell follows the protocol of `SocialLSTMCell`; the states of all LSTMs are
    concatenated to one hidden state and one cell state. Positions stay float32 under mixed precision.

    Args:
        input_layers: Units of each hidden layer of the first perceptron; may be empty.
        lstm_layers: Units of each LSTM.
        output_layers: Units of each hidden layer of the second perceptron; may be empty.
        dropout: Dropout rate of the hidden layers.
    """

    def __init__(self, input_layers, lstm_layers, output_layers, dropout, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.input_layers = [Dense(units, "relu", name=f"input_{i}") for i, units in enumerate(input_layers)]
        self.lstms = [LSTMCell(units, dtype=self.dtype_policy, name=f"lstm_{i}") for i, units in enumerate(lstm_layers)]
        self.output_layers = [
            keras.layers.Dense(units, "relu", dtype=self.dtype_policy, name=f"output_{i}")
            for i, units in enumerate(output_layers)
        ]
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    @property
    def state_size(self):
        """Sizes of the hidden state and the cell state of a particle."""
        size = sum(self._lstm_units)
        return [size, size]

    @property
    def _lstm_units(self):
        return [lstm.units for lstm in self.lstms]

    def get_initial_state(self, batch_size, num_particles):
        """Hidden state and cell state of zeros, each `[B, N, H]`; H is the number of units of all LSTMs."""
        return [ops.zeros((batch_size, num_particles, size), self.compute_dtype) for size in self.state_size]

    def build(self, inputs_shape, states_shape=None):
        """Create the weights."""
        width = inputs_shape["positions"][-1] + inputs_shape["features"][-1]
        for layer in (*self.input_layers, *self.lstms, *self.output_layers):
            layer.build((None, width))
            width = layer.units

    def call(self, inputs, states):
        """Advance the states by one frame.

        Args:
            inputs: Dictionary of `positions` `[B, N, D]`, in units of length, and `features` `[B, N, F]`; other
                entries are not read.
            states: Hidden state and cell state, each `[B, N, H]`.

        Returns:
            The output for the head, the last o `[B, N, O]` in float32, and the new states.
        """
        own = ops.concatenate([inputs["positions"], inputs["features"]], axis=-1)
        leading = ops.shape(own)[:-1]
        hidden = self._perceptron(self.input_layers, ops.reshape(own, (-1, own.shape[-1])))
        new_states = [[], []]
        for lstm, *old in zip(self.lstms, *(self._split(state) for state in states), strict=True):
            hidden, new = lstm(ops.cast(hidden, self.compute_dtype), old)
            for kept, state in zip(new_states, new, strict=True):
                kept.append(state)
        outputs = ops.cast(self._perceptron(self.output_layers, hidden), "float32")
        joined = [ops.concatenate(kept, axis=-1) for kept in new_states]
        return _unflatten(outputs, leading), [_unflatten(state, leading) for state in joined]

    def _perceptron(self, layers, values):
        for layer in layers:
            values = self.dropout(layer(values))
        return values

    def _split(self, state):
        """`[B, N, H]` -> `[B N, units]` for each LSTM."""
        flat = ops.reshape(state, (-1, self.state_size[0]))
        edges = [sum(self._lstm_units[:i]) for i in range(len(self.lstms) + 1)]
        return [flat[:, start:stop] for start, stop in itertools.pairwise(edges)]

    def compute_output_shape(self, inputs_shape, states_shape=None):
        """Shapes of the output and the states."""
        leading = tuple(inputs_shape["positions"][:2])
        last = (self.output_layers or self.lstms)[-1]
        return (*leading, last.units), [(*leading, size) for size in self.state_size]

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "input_layers": [layer.units for layer in self.input_layers],
            "lstm_layers": self._lstm_units,
            "output_layers": [layer.units for layer in self.output_layers],
            "dropout": self.dropout.rate,
        }


def _unflatten(values, leading):
    return ops.reshape(values, (*leading, values.shape[-1]))
