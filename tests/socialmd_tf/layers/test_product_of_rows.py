"""Products of many rows with a matrix."""

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.product_of_rows import product_of_rows
from socialmd_tf.layers.static_shapes import compiled_by_xla


def value_and_gradients(rows, matrix):
    with tf.GradientTape() as tape:
        tape.watch([rows, matrix])
        product = product_of_rows(rows, matrix)
        total = tf.reduce_sum(tf.sin(product))
    return product, *tape.gradient(total, [rows, matrix])


@pytest.mark.parametrize("num_rows", [1, 600, 1021, 2 * 3 * 1024])  # 1021 is prime
def test_values_and_gradients(num_rows):
    generator = np.random.default_rng(0)
    rows, matrix = (tf.constant(generator.normal(size=size), tf.float32) for size in ((num_rows, 3), (3, 2)))

    @tf.function(jit_compile=True)
    def compiled(rows, matrix):
        with compiled_by_xla():
            return value_and_gradients(rows, matrix)

    product = rows.numpy().astype(float) @ matrix.numpy()
    expected = product, np.cos(product) @ matrix.numpy().T, rows.numpy().T @ np.cos(product)
    for function in (compiled, value_and_gradients):
        for found, wanted in zip(function(rows, matrix), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_the_gradient_of_the_matrix_is_a_sum_over_groups_of_rows():
    @tf.function(autograph=False)
    def gradient(rows, matrix):
        with compiled_by_xla():
            return value_and_gradients(rows, matrix)[2]

    graph = gradient.get_concrete_function(tf.zeros((6 * 1024, 3)), tf.zeros((3, 2))).graph
    products = [operation for operation in graph.get_operations() if operation.type.startswith("BatchMatMul")]
    assert [operation.outputs[0].shape for operation in products] == [(24, 3, 2)]
