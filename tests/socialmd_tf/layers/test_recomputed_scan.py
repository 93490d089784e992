"""Loops over steps: one that computes them again in the backward pass, and one that keeps their results."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.recomputed_scan import kept_scan, recomputed_scan

LENGTH = 4


class Pendulum(keras.layers.Layer):
    """A state that is multiplied by a matrix, and a sum of its sines."""

    def build(self, shape):
        self.matrix = self.add_weight((3, 3), "glorot_uniform", name="matrix")
        self.offset = self.add_weight((3,), "ones", trainable=False, name="offset")
        self.dropout = keras.layers.Dropout(0.5, seed=1)

    def step(self, carry, index, training=False):
        state = keras.ops.tanh(carry["state"] @ self.matrix + self.offset * keras.ops.cast(index, "float32"))
        state = self.dropout(state, training=training)
        return {"state": state, "total": carry["total"] + keras.ops.sum(keras.ops.sin(state), axis=-1)}


@pytest.fixture
def layer():
    keras.utils.set_random_seed(0)
    layer = Pendulum()
    layer.build((2, 3))
    return layer


def first():
    return {"state": tf.constant([[0.1, 0.2, 0.3], [1.0, -1.0, 0.5]]), "total": tf.zeros(2)}


def slow(layer, carry, length, **options):
    """The definition."""
    carries = []
    for index in range(length):
        carry = layer.step(carry, index, **options)
        carries.append(carry)
    return tf.nest.map_structure(lambda *steps: tf.stack(steps), *carries)


def values_and_gradients(scan, layer):
    carry = first()
    with tf.GradientTape() as tape:
        tape.watch(carry)
        stacked = scan(carry)
        loss = tf.reduce_sum(stacked["total"] ** 2) + tf.reduce_sum(stacked["state"][1])
    return stacked, tape.gradient(loss, [carry, layer.trainable_variables])


@pytest.mark.slow_cases(all_but=["recomputed-graph"])
@pytest.mark.parametrize("options", [{}, {"jit_compile": True}], ids=["graph", "XLA"])
@pytest.mark.parametrize("is_recomputed", [True, False], ids=["recomputed", "kept"])
def test_equals_a_loop_in_values_and_gradients(layer, is_recomputed, options):
    variables = layer.variables

    def scan(carry):
        return (
            recomputed_scan(layer.step, carry, LENGTH, variables)
            if is_recomputed
            else kept_scan(layer.step, carry, LENGTH)
        )

    expected = values_and_gradients(lambda carry: slow(layer, carry, LENGTH), layer)
    found = tf.function(lambda: values_and_gradients(scan, layer), **options)()
    for value, wanted in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


def test_the_number_of_steps_may_be_a_tensor(layer):
    variables = layer.variables
    scan = tf.function(lambda length: recomputed_scan(layer.step, first(), length, variables))
    for length in (1, 3):
        np.testing.assert_allclose(scan(tf.constant(length))["total"], slow(layer, first(), length)["total"], rtol=1e-5)


@pytest.mark.slow
def test_the_backward_pass_draws_the_random_numbers_of_the_forward_pass(layer):
    """The gradient is that of the function whose values are seen, and the next call draws other numbers."""
    variables, seed = layer.variables, layer.dropout.seed_generator.state
    before = tf.identity(seed.value)
    expected = values_and_gradients(lambda carry: slow(layer, carry, LENGTH, training=True), layer)
    after = tf.identity(seed.value)
    seed.assign(before)

    def scan(carry):
        return recomputed_scan(lambda *step: layer.step(*step, training=True), carry, LENGTH, variables)

    found = tf.function(lambda: values_and_gradients(scan, layer))()
    for value, wanted in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(seed.value, after)
    assert not np.array_equal(after, before)


def test_only_carries_are_kept(layer):
    """No list of intermediate results grows with the number of steps, but those of the carry's two tensors."""
    variables = layer.variables
    graph = (
        tf.function(
            lambda: values_and_gradients(lambda carry: recomputed_scan(layer.step, carry, LENGTH, variables), layer)
        )
        .get_concrete_function()
        .graph
    )
    num_lists = sum(node.type == "TensorListReserve" for node in graph.get_operations())
    num_seeds = 1
    assert num_lists == 2 + num_seeds
