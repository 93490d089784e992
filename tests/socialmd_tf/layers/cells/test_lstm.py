"""The LSTM is that of Keras."""

import keras
import numpy as np
import tensorflow as tf

from socialmd_tf.layers.cells.lstm import LSTMCell


def value_and_gradients(kind, inputs, states, weights):
    cell = kind(4)
    cell.build(inputs.shape)
    cell.set_weights(weights)
    with tf.GradientTape() as tape:
        tape.watch([inputs, states])
        output, after = cell(inputs, states)
        total = tf.reduce_sum(output * after[1])
    gradients = tape.gradient(total, [inputs, states, [weight.value for weight in cell.trainable_variables]])
    return tf.nest.flatten([output, after, gradients])


def test_values_and_gradients_are_those_of_keras():
    generator = np.random.default_rng(0)
    inputs, *states = (tf.constant(generator.normal(size=(5, size)), tf.float32) for size in (3, 4, 4))
    weights = [generator.normal(size=size) for size in ((3, 16), (4, 16), (16,))]
    found, expected = (value_and_gradients(kind, inputs, states, weights) for kind in (LSTMCell, keras.layers.LSTMCell))
    assert len(found) == len(expected) == 9
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)
