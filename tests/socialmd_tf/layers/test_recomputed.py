"""Functions that the backward pass computes again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.recomputed import recomputed


@pytest.fixture
def layer():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(3, activation="tanh")
    layer.build((None, 3))
    return layer


def gradients(layer, evaluate, steps):
    """Result and gradients of steps x <- evaluate(x, s) in a loop of a graph."""

    def step(k, x, s):
        return k + 1, evaluate(lambda x, s: layer(x) * s, x, s)

    @tf.function(autograph=False)
    def compute(start, s):
        with tf.GradientTape() as tape:
            tape.watch([start, s])
            x = tf.while_loop(lambda k, _: k < steps, lambda k, x: step(k, x, s), (0, start))[1]
            loss = tf.reduce_sum(x**2)
        return x, tape.gradient(loss, [start, s, *(weight.value for weight in layer.trainable_variables)])

    return compute(tf.constant([[0.1, -0.4, 0.7], [1.0, 0.2, -0.3]]), tf.constant(1.5))


def test_values_and_gradients_are_those_of_the_function_also_in_a_loop(layer):
    expected, slopes = gradients(layer, lambda function, *values: function(*values), 3)
    found, again = gradients(layer, lambda function, *values: recomputed(function, layer.variables, *values), 3)
    np.testing.assert_array_equal(found, expected)
    for slope, reference in zip(again, slopes, strict=True):
        assert np.abs(reference).max() > 0
        np.testing.assert_allclose(slope, reference, rtol=1e-5)


def test_the_gradient_computes_the_function_again(layer):
    """So that nothing in it needs to be kept."""
    calls = []

    def function(x):
        calls.append(x)
        return layer(x)

    x = tf.ones((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = recomputed(function, layer.variables, x)
    assert len(calls) == 1
    tape.gradient(result, [x, *layer.variables])
    assert len(calls) == 2


def test_values_on_which_the_result_does_not_depend_have_a_gradient_of_zero(layer):
    x = tf.ones((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = recomputed(lambda _: tf.constant(2.0), layer.variables, x)
    np.testing.assert_array_equal(tape.gradient(result, x), np.zeros((2, 3)))
