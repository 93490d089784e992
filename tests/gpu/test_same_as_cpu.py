"""A GPU computes what a CPU computes: products of positions and of functions of pairs are not rounded to TF32."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import socialmd_tf
from socialmd_tf.config import PRESETS
from socialmd_tf.mixture import NegativeLogLikelihood
from socialmd_tf.model import rollout_layer
from tests.gpu.networks import batch, random_model, relative_error

pytestmark = pytest.mark.gpu
SHIPPED = Path(__file__).parents[2] / "saved_models" / "nbody"


def computed(preset, device):
    """Predicted moves, covariances, the loss and its gradients, and the device that they are on."""
    with tf.device(device):
        model = random_model(preset)
        inputs, targets = keras.tree.map_structure(tf.constant, batch())
        layout = rollout_layer(model).head.layout
        weights = tf.repeat(inputs["mask"][:, None], targets.shape[1], axis=1)
        with tf.GradientTape() as tape:
            parameters = model(inputs, training=True)
            loss = NegativeLogLikelihood(layout)(targets, parameters, sample_weight=weights)
        variables = [variable.value for variable in model.trainable_variables]
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        moves = layout.mean(parameters) - inputs["positions"][:, -1:]
    return {
        "moves": [moves],
        "covariances": [layout.covariance(parameters)],
        "loss": [loss],
        "gradients": gradients,
    }, parameters.device


@functools.cache
def computed_on_cpu(preset):
    values, device = computed(preset, "CPU:0")
    assert "CPU" in device
    return values


def relative_errors(preset, record_property):
    """How far the GPU is from the CPU."""
    found, device = computed(preset, "GPU:0")
    assert "GPU" in device
    assert all(np.isfinite(gradient).all() for gradient in found["gradients"])
    errors = {name: relative_error(found[name], values) for name, values in computed_on_cpu(preset).items()}
    record_property("relative_errors", errors)
    return errors


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("tf32", [False], indirect=True)
def test_values_and_gradients(preset, tf32, record_property):
    errors = relative_errors(preset, record_property)
    assert errors["moves"] < 5e-5, errors
    assert errors["covariances"] < 1e-4, errors
    assert errors["loss"] < 1e-4, errors
    assert errors["gradients"] < 2e-4, errors


@pytest.mark.parametrize(
    ("preset", "largest"), [("verlet", 5e-5), ("forces", 5e-5), ("pairwise", 2e-3), ("thesis", 2e-3)]
)
@pytest.mark.parametrize("tf32", [True], indirect=True)
def test_values_and_gradients_as_by_default(preset, largest, tf32, record_property):
    """Only states and images of neighbours are rounded; no state moves the particles of a Verlet head."""
    errors = relative_errors(preset, record_property)
    assert errors["moves"] < largest, errors
    assert errors["covariances"] < 1e-2, errors
    assert errors["loss"] < 2e-3, errors
    assert errors["gradients"] < 2e-2, errors


@pytest.mark.parametrize("setting", ["on", "off"])
def test_the_shipped_model_predicts_the_same_first_frame(setting, record_property):
    """Rounded to TF32, it would move by 7e-4. No two particles are close, where rounding of any kind is seen."""
    generator = np.random.default_rng(0)
    lattice = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), axis=-1).reshape(25, 2)
    start = lattice + generator.uniform(-0.2, 0.2, size=(16, 1, 25, 2))
    positions = start + generator.normal(0, 0.02, size=start.shape) * np.arange(5)[:, None, None]
    features = np.stack([generator.uniform(1, 4, size=(16, 25)), generator.choice([-1.0, 1.0], size=(16, 25))], axis=-1)
    inputs = {"positions": tf.constant(positions, tf.float32), "features": tf.constant(features, tf.float32)}
    with tf.device("CPU:0"):
        graph = tf.saved_model.load(str(max(SHIPPED.iterdir())))
        expected = graph.signatures["rollout"](**inputs, horizon=tf.constant(1))["mean"].numpy()
    means, _ = socialmd_tf.load(SHIPPED, compile=setting).moments(positions, features, 1)
    difference = float(np.abs(means - expected).max())
    record_property("largest_difference", difference)
    assert difference < 1.5e-4
