"""The LSTM of Keras, with one product per step."""

import keras
from keras import ops

from socialmd_tf.layers.product_of_rows import product_of_rows


@keras.saving.register_keras_serializable(package="socialmd_tf")
class LSTMCell(keras.layers.LSTMCell):
    """`keras.layers.LSTMCell` with a bias and without dropout, which multiplies inputs and hidden states together.

    i, f, g, o = [x, h] W + b;  c = sigmoid(f) c + sigmoid(i) tanh(g);  h = sigmoid(o) tanh(c)
    """

    def call(self, inputs, states, training=False):
        """Hidden states `[R, H]` after a step, and both states: `inputs` `[R, C]`, `states` two of `[R, H]`."""
        hidden, cell = states
        kernel = ops.concatenate([self.kernel, self.recurrent_kernel], axis=0)
        gates = product_of_rows(ops.concatenate([inputs, hidden], axis=-1), kernel) + self.bias
        write, keep, new, read = ops.split(gates, 4, axis=-1)
        cell = self.recurrent_activation(keep) * cell + self.recurrent_activation(write) * self.activation(new)
        hidden = self.recurrent_activation(read) * self.activation(cell)
        return hidden, [hidden, cell]
