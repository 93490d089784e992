"""Products in full precision, on a GPU that is made up: one that rounds the factors of matrix products to TF32."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.ops import math_ops

from socialmd_tf.config import preset
from socialmd_tf.layers import full_precision
from socialmd_tf.layers.full_precision import FullPrecisionDense, on_any_device, product
from socialmd_tf.layers.heads.kinematic import KinematicHead
from socialmd_tf.layers.interactions.pairwise import PairwiseInteraction
from socialmd_tf.layers.static_shapes import compiled_by_xla
from socialmd_tf.model import build_model, rollout_layer
from tests.socialmd_tf.layers.heads.verlet_systems import WIDTH, draw, make, system

SHAPES = {"matrices": ((7, 5), (5, 3)), "rows": ((2, 3, 7, 5), (5, 3)), "batches": ((4, 2, 7, 30), (4, 2, 30, 3))}


def to_tf32(values):
    bits = np.asarray(values, np.float32).view(np.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(np.float32)


@pytest.fixture
def gpu(monkeypatch):
    """Round the factors of products as a GPU does, and say so."""
    matmul = tf.matmul

    def round_one(values):
        values = tf.convert_to_tensor(values)
        kept = tf.ensure_shape(tf.numpy_function(to_tf32, [values], tf.float32), values.shape)
        return values + tf.stop_gradient(kept - values)

    def rounded(a, b, *args, **kwargs):
        return matmul(round_one(a), round_one(b), *args, **kwargs)

    for module in (tf, tf.linalg, math_ops):  # the last for `tf.tensordot`
        monkeypatch.setattr(module, "matmul", rounded)
    monkeypatch.setattr(full_precision, "is_rounded", lambda: True)


def factors(shapes, scale=1.0):
    generator = np.random.default_rng(0)
    return [(scale * generator.normal(size=shape)).astype("float32") for shape in shapes]


def error(found, a, b):
    """Largest error of a product, relative to the sum of the sizes of what is added."""
    exact, size = a.astype("float64") @ b.astype("float64"), np.abs(a) @ np.abs(b)
    return np.max(np.abs(found - exact) / size)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_products_are_not_rounded(shapes, scale, gpu):
    a, b = factors(shapes, scale)
    assert error(keras.ops.matmul(a, b), a, b) > 1e-4
    assert error(product(a, b), a, b) < 2e-6


def test_gradients_are_those_of_a_plain_product(gpu):
    a, b = map(tf.constant, factors(SHAPES["rows"]))
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        result = tf.reduce_sum(tf.sin(product(a, b)))
    outer = np.cos(a.numpy() @ b.numpy())
    expected = outer @ b.numpy().T, np.einsum("abik,abim->km", a, outer)
    for found, wanted in zip(tape.gradient(result, [a, b]), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_xla_is_told_to_use_all_bits(shapes):
    a, b = map(tf.constant, factors(shapes))

    @tf.function(jit_compile=True, autograph=False)
    def compute(a, b):
        with compiled_by_xla(), tf.GradientTape() as tape:
            tape.watch([a, b])
            result = product(a, b)
            total = tf.reduce_sum(tf.sin(result))
        return result, *tape.gradient(total, [a, b])

    text = compute.experimental_get_compiler_ir(a, b)(stage="hlo")
    assert text.count("operand_precision={highest,highest}") == 1  # gradients may be rounded
    found, *gradients = compute(a, b)
    assert error(found, a.numpy(), b.numpy()) < 2e-6
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        total = tf.reduce_sum(tf.sin(tf.matmul(a, b)))
    for gradient, wanted in zip(gradients, tape.gradient(total, [a, b]), strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-4)


def test_a_dense_layer_is_that_of_keras_without_rounding(gpu):
    layer, plain = (kind(4, "tanh", name="layer") for kind in (FullPrecisionDense, keras.layers.Dense))
    values, kernel = factors(SHAPES["matrices"])
    layer.build(values.shape)
    plain.build(values.shape)
    layer.kernel.assign(np.hstack([kernel, kernel[:, :1]]))
    plain.set_weights(layer.get_weights())
    exact = np.tanh(values @ layer.kernel.numpy())
    np.testing.assert_allclose(layer(values), exact, atol=2e-6)
    assert np.abs(plain(values) - exact).max() > 1e-5


def head_example(kind):
    inputs, velocities = system()
    if kind == "verlet":
        head = make(step_fraction=0.3)
        state = (*head.get_initial_state(inputs["positions"])[:4], velocities)
        return lambda: head(draw(2, 5, WIDTH), inputs, state)
    head = KinematicHead(2, 3, 1e-3, 0.2)
    head.build((None, None, WIDTH))
    head.set_weights([draw(*weight.shape, seed=3) for weight in head.weights])
    state = head.get_initial_state(inputs["positions"])
    return lambda: head(draw(2, 5, WIDTH), {**inputs, "velocities": velocities}, state)


def interaction_example():
    inputs, velocities = system()
    layer = PairwiseInteraction(5.0, 0.5, units=8, channels=3, move_scale=1.0)
    hidden_state = draw(2, 5, 4)
    arguments = inputs["positions"], velocities, inputs["features"], hidden_state, inputs["mask"]
    layer.build(*(argument.shape for argument in arguments))
    layer.set_weights([draw(*weight.shape, seed=3) for weight in layer.weights])
    return lambda: layer(*arguments)


EXAMPLES = {
    "verlet head": lambda: head_example("verlet"),
    "kinematic head": lambda: head_example("kinematic"),
    "pairwise interaction": interaction_example,
}


@pytest.mark.slow_cases("verlet head")
@pytest.mark.parametrize("name", EXAMPLES)
def test_what_moves_particles_is_not_rounded(name, request):
    compute = EXAMPLES[name]()
    expected = [np.asarray(values) for values in tf.nest.flatten(compute())]
    request.getfixturevalue("gpu")
    for found, wanted in zip(tf.nest.flatten(compute()), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["thesis", "lstm", "kinematic"])
def test_positions_are_read_without_rounding(name, request):
    cell = rollout_layer(build_model(preset(name))).cell
    own = 10 * draw(2, 5, 2 + preset(name).num_features)
    layer = cell.input_embedding if hasattr(cell, "input_embedding") else cell.input_layers[0]
    expected = np.asarray(layer(own))
    request.getfixturevalue("gpu")
    np.testing.assert_allclose(layer(own), expected, rtol=1e-5, atol=1e-5)


def test_a_graph_for_any_device_decides_where_it_runs(gpu, monkeypatch):
    a, b = factors(SHAPES["matrices"])

    @tf.function
    def function(a, b):
        with on_any_device():
            return product(a, b)

    graph = function.get_concrete_function(a, b).graph
    assert "DeviceIndex" in {operation.type for operation in graph.get_operations()}
    monkeypatch.undo()  # the processor multiplies as it is
    with on_any_device():
        np.testing.assert_array_equal(product(a, b), tf.matmul(a, b))
        monkeypatch.setattr(tf.raw_ops, "DeviceIndex", lambda device_names: tf.constant(device_names.index("GPU")))
        taken = []
        monkeypatch.setattr(full_precision, "_product_of_parts", lambda a, b: taken.append(1) or tf.matmul(a, b))
        product(a, b)
        assert taken


def test_products_are_plain_where_nothing_rounds(monkeypatch):
    assert not full_precision.is_rounded()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert full_precision.is_rounded()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        assert not full_precision.is_rounded()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)
