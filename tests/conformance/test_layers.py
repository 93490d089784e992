"""What every public layer holds, one registry for all of them."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf import layers
from tests.conformance.registry import EXAMPLES


@functools.cache
def built(example, dtype=None):
    """The layer of an example, for tests that do not change it."""
    return example.build(dtype=dtype)


QUICK = {
    "AbsoluteHead-2d-3-diagonal",
    "BasisForce-3d",
    "BondForce-3d",
    "DisplacementHead-2d-1",
    "Friction-3d",
    "KinematicHead-2d-1",
    "MemorylessCell-2d",
    "MultiscalePooling-2d-periodic",
    "MultiscalePoolingInteraction-2d",
    "NoInteraction-2d",
    "PairForce-2d",
    "PairwiseInteraction-2d-periodic",
    "PlainLSTMCell-2d",
    "PolynomialField-2d",
    "PooledConvolution-2d-periodic",
    "StackedPoolingInteraction-2d-periodic",
    "StackedStatePooling-2d",
}
"""One example of nearly every layer; together they take a fifth of the time of all."""
COSTLY = {"CombinedInteraction-2d", "LangevinHead-2d", "Rollout-2d", "SocialLSTMCell-2d-periodic", "VerletHead-2d"}
"""Those of the other layers, for properties that are quick to check."""


def every(quick):
    """All examples, of which the others than those named are slow."""
    return pytest.mark.parametrize(
        "example",
        [
            pytest.param(example, id=example.name, marks=[] if example.name in quick else [pytest.mark.slow])
            for example in EXAMPLES
        ],
    )


every_layer, every_layer_at_a_cost = every(QUICK | COSTLY), every(QUICK)


def test_the_quick_examples_exist():
    assert {example.name for example in EXAMPLES} > QUICK | COSTLY


def test_the_registry_has_every_public_layer():
    public = {
        kind
        for package in (layers, layers.forces)
        for kind in vars(package).values()
        if isinstance(kind, type) and issubclass(kind, keras.layers.Layer) and kind.__name__ in package.__all__
    }
    made = [example.make() for example in EXAMPLES]
    heads = [layer for layer in made if isinstance(layer, layers.VerletHead)]
    registered = {
        type(layer) for layer in (*made, *(head.force for head in heads))
    }  # a sum of terms is called by heads
    assert public and public <= registered


def flat(outputs):
    """Arrays of nested outputs."""
    return [np.asarray(keras.ops.cast(value, "float32")) for value in keras.tree.flatten(outputs)]


def assert_same(results, expected, tolerance=1e-6):
    results, expected = flat(results), flat(expected)
    assert len(results) == len(expected) > 0
    for result, wanted in zip(results, expected, strict=True):
        assert result.shape == wanted.shape
        np.testing.assert_allclose(result, wanted, atol=tolerance, rtol=tolerance)


def symbolic(inputs):
    """Keras inputs like the arrays, with any number of systems."""
    return keras.tree.map_structure(lambda array: keras.Input(array.shape[1:], dtype=array.dtype.name), inputs)


@every_layer_at_a_cost
def test_configuration_round_trip(example):
    layer = built(example)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == json.loads(json.dumps(layer.get_config()))
    again(*example.inputs.values())
    again.set_weights(layer.get_weights())
    assert_same(again(*example.inputs.values()), layer(*example.inputs.values()))


@every_layer_at_a_cost
def test_keras_file_round_trip(example, tmp_path):
    inputs = symbolic(example.inputs)
    layer = built(example)
    model = keras.Model(keras.tree.flatten(inputs), keras.tree.flatten(layer(*inputs.values())))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    arrays = keras.tree.flatten(example.inputs)
    assert_same(again(arrays), layer(*example.inputs.values()))
    assert_same(model(arrays), layer(*example.inputs.values()))


@every_layer_at_a_cost
def test_saved_model_round_trip(example, tmp_path):
    module = tf.Module()
    module.layer = built(example)
    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), example.inputs
    )
    module.call = tf.function(lambda inputs: module.layer(*inputs.values()), input_signature=[signature])
    tf.saved_model.save(module, tmp_path)
    again = tf.saved_model.load(tmp_path)
    inputs = keras.tree.map_structure(tf.constant, example.inputs)
    assert_same(again.call(inputs), module.layer(*example.inputs.values()))


@every_layer
def test_symbolic_shape_is_the_real_one(example):
    layer = built(example)
    promised = keras.tree.flatten(layer(*symbolic(example.inputs).values()))
    real = flat(layer(*example.inputs.values()))
    assert len(promised) == len(real) > 0
    for tensor, value in zip(promised, real, strict=True):
        assert tensor.shape == (None, *value.shape[1:])


@every_layer
def test_dtype_is_the_real_one(example):
    layer = built(example)
    promised = keras.tree.flatten(layer(*symbolic(example.inputs).values()))
    real = keras.tree.flatten(layer(*example.inputs.values()))
    assert [tensor.dtype for tensor in promised] == [keras.backend.standardize_dtype(x.dtype) for x in real]


def linear_function(outputs):
    """A fixed random linear function of the outputs, summed in float64."""
    generator = np.random.default_rng(0)
    values = [tf.cast(value, "float64") for value in keras.tree.flatten(outputs)]
    return sum(tf.reduce_sum(value * generator.normal(size=value.shape)) for value in values)


def slopes(function, value, variable, index, step=1e-3):
    """Slopes of `function()` from its `value`, to the left and right of one number of a variable, and across it.

    The last one does not depend on how `value` was rounded.
    """
    start = np.array(variable.numpy())
    around = []
    for sign in (-1, 1):
        changed = start.copy()
        changed[index] += sign * step
        variable.assign(changed)
        around.append(float(function()))
    variable.assign(start)
    return (value - around[0]) / step, (around[1] - value) / step, (around[1] - around[0]) / (2 * step)


def assert_slopes(function, value, variable, gradient, generator):
    """Compare some numbers of a gradient; near a kink (of ReLU or a maximum), one side has the slope."""
    for _ in range(2):
        index = tuple(int(generator.integers(size)) for size in variable.shape)
        found = float(np.asarray(gradient)[index])
        nearest = min(slopes(function, value, variable, index), key=lambda slope: abs(slope - found))
        assert found == pytest.approx(nearest, rel=1e-2, abs=5e-3)


@every_layer_at_a_cost
def test_gradients_are_finite_differences(example):
    layer = built(example)
    inputs = keras.tree.map_structure(tf.Variable, example.inputs)

    @tf.function
    def function():
        arguments = keras.tree.map_structure(tf.convert_to_tensor, inputs)
        return linear_function(layer(*arguments.values()))

    variables = [
        value for path, value in keras.tree.flatten_with_path(inputs) if path[-1] != "mask" and value.dtype.is_floating
    ]
    variables += [weight.value for weight in layer.trainable_variables]
    with tf.GradientTape() as tape:
        total = function()
    gradients = tape.gradient(total, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    generator = np.random.default_rng(1)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert_slopes(function, float(total), variable, gradient, generator)
    assert total == 0 or max(np.abs(gradient).max() for gradient in map(np.asarray, gradients)) > 0.1


def moved(inputs, distance):
    """The same inputs with every position moved."""
    if isinstance(inputs, dict):
        return {
            name: value + np.float32(distance) if name == "positions" else moved(value, distance)
            for name, value in inputs.items()
        }
    if isinstance(inputs, tuple) and len(inputs) == len(layers.VerletHead.state_names):
        *covariances, positions, velocities = inputs
        return (*covariances, positions + np.float32(distance), velocities)
    return inputs


@every_layer_at_a_cost
def test_mixed_precision_agrees_with_full_precision(example):
    mixed, full = built(example, "mixed_bfloat16"), built(example)
    assert all(weight.dtype == "float32" for weight in mixed.weights)
    assert_same(mixed(*example.inputs.values()), full(*example.inputs.values()), tolerance=0.1)


@every_layer_at_a_cost
def test_positions_stay_float32_under_mixed_precision(example):
    if "field" in example.name.lower():
        pytest.skip("a field depends on where the system is")
    # bfloat16 holds multiples of 4 near 1000: rounded to it, particles would change bins.
    layer = example.build(dtype="mixed_bfloat16")
    for weight in layer.weights:
        if weight.path.endswith(("input_embedding/kernel", "input_0/kernel")):
            weight.assign(tf.zeros_like(weight))  # so that only the neighbors are seen
    if isinstance(layer, layers.LangevinHead):  # it sees the origin, averages and anchors, which do not move along
        inputs = moved(example.inputs, 1000).values()
        assert_same(layer(*inputs), built(example)(*inputs), tolerance=0)
        return
    here, there = (layer(*moved(example.inputs, distance).values()) for distance in (0, 1000))
    if isinstance(layer, layers.Rollout):
        # What follows is the predicted mean, wherever the system is.
        here, there = (here[:, 0], ()), (there[:, 0], ())
    head = getattr(layer, "head", layer)
    if isinstance(head, layers.KinematicHead):  # its mean moves along
        split = head.layout.split
        np.testing.assert_allclose(split(there[0])[1] - 1000, split(here[0])[1], atol=2e-4)
        here, there = ((*split(parameters)[::2], *state[:3]) for parameters, state in (here, there))
    assert_same(there, here, tolerance=0)


@pytest.fixture(scope="module")
def replicated():
    """What the script finds; it needs logical devices before TensorFlow starts, hence its own process."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", "tests.conformance.two_replicas"]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.slow
@every_layer
def test_two_replicas_give_the_loss_and_gradients_of_one(example, replicated):
    result = replicated[example.name]
    assert result["num_replicas"] == 2
    np.testing.assert_allclose(result["two"]["loss"], result["one"]["loss"], rtol=1e-5, atol=1e-6)
    assert len(result["two"]["gradients"]) == len(built(example).trainable_variables)
    for two, one in zip(result["two"]["gradients"], result["one"]["gradients"], strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
