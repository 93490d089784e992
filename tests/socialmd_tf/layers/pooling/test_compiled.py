"""Interactions with static shapes, compiled by XLA forward and backward, and in lower precision."""

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import MultiscalePoolingInteraction, PairwiseInteraction, StackedPoolingInteraction
from socialmd_tf.layers.static_shapes import static_shapes
from tests.socialmd_tf.layers import periodic

BOXES = {2: periodic.BOXES["sheared"], 3: periodic.BOXES["triclinic"]}
GRIDS = {"bins": 9, "side_lengths": (4.4, 2.0)}

LAYERS = {
    "stacked pooling": lambda dtype: StackedPoolingInteraction(
        **GRIDS, filters=(3, 4), kernel_size=3, state_embedding=2, embedding=5, dtype=dtype
    ),
    "multiscale pooling": lambda dtype: MultiscalePoolingInteraction(4, (2.5, 1.0), 2, 5, units=3, dtype=dtype),
    "pairwise": lambda dtype: PairwiseInteraction(periodic.CUTOFF, 0.3, 4, 2, 0.5, dtype=dtype),
}


def example(name, num_dimensions, dtype):
    """An interaction with random weights, and its arguments for two systems in periodic boxes, the second padded."""
    boxes, positions, mask = periodic.system(BOXES[num_dimensions], num_particles=6)
    generator = np.random.default_rng(0)
    values = [generator.normal(size=(2, 6, size)).astype("float32") for size in (num_dimensions, 1, 3)]
    layer, arguments = LAYERS[name](dtype), [tf.constant(value) for value in (positions, *values, mask, boxes)]
    layer(*arguments)
    layer.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in layer.weights])
    return layer, arguments


def value_and_gradients(layer, arguments):
    """The layer's output, and the gradients of the sum of its squares by all arguments and weights."""
    variables = [*arguments, *(weight.value for weight in layer.trainable_variables)]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = tf.cast(layer(*arguments), "float32")
        total = tf.reduce_sum(value**2)
    return value, *tape.gradient(total, variables, unconnected_gradients="zero")


def assert_near(found, expected, tolerance):
    """Compare results of `value_and_gradients`, each relative to its largest number."""
    assert len(found) == len(expected) and sum(np.abs(value).max() > 0.1 for value in expected) > 2
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=tolerance * max(np.abs(wanted).max(), 1e-3))


@pytest.mark.slow_cases(all_but=["multiscale pooling-2-float32-2e-05"])
@pytest.mark.parametrize(
    ("name", "num_dimensions", "dtype", "tolerance"),
    [
        ("stacked pooling", 2, "float32", 2e-5),
        ("stacked pooling", 3, "float32", 2e-5),
        ("stacked pooling", 2, "mixed_bfloat16", 0.1),
        ("multiscale pooling", 2, "float32", 2e-5),
        ("pairwise", 2, "float32", 2e-5),
    ],
)
def test_compiled(name, num_dimensions, dtype, tolerance):
    layer, arguments = example(name, num_dimensions, dtype)
    expected = value_and_gradients(*example(name, num_dimensions, "float32"))
    with static_shapes():
        found = tf.function(lambda: value_and_gradients(layer, arguments), jit_compile=True)()
    assert_near(found, expected, tolerance)


@pytest.mark.slow_cases(all_but=["pairwise-mixed_float16-0.02-2", "multiscale pooling-mixed_bfloat16-0.1-2"])
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [("mixed_bfloat16", 0.1), ("mixed_float16", 0.02)])
@pytest.mark.parametrize("name", LAYERS)
def test_mixed_precision(name, dtype, tolerance, num_dimensions):
    expected = value_and_gradients(*example(name, num_dimensions, "float32"))
    with static_shapes():
        found = value_and_gradients(*example(name, num_dimensions, dtype))
    assert_near(found, expected, tolerance)
