"""A GPU computes what a CPU computes: products that positions depend on are not rounded to TF32."""

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


@pytest.mark.parametrize("preset", PRESETS)
def test_values_and_gradients(preset, record_property):
    found, device = computed(preset, "GPU:0")
    assert "GPU" in device
    expected, device = computed(preset, "CPU:0")
    assert "CPU" in device
    errors = {name: relative_error(found[name], expected[name]) for name in expected}
    record_property("relative_errors", errors)
    assert all(np.isfinite(gradient).all() for gradient in found["gradients"])
    # TF32 would change them by some 3e-4.
    assert errors["moves"] < 5e-5, errors
    assert errors["covariances"] < 1e-4, errors
    assert errors["loss"] < 1e-4, errors
    assert errors["gradients"] < 2e-4, errors


def test_the_shipped_model_predicts_the_same_first_frame(record_property):
    """TF32 would move it by 7e-4."""
    generator = np.random.default_rng(0)
    start = generator.uniform(-2.5, 2.5, size=(16, 1, 25, 2))
    positions = start + generator.normal(0, 0.03, size=start.shape) * np.arange(5)[:, None, None]
    features = np.stack([generator.uniform(1, 4, size=(16, 25)), generator.choice([-1.0, 1.0], size=(16, 25))], axis=-1)
    inputs = {"positions": tf.constant(positions, tf.float32), "features": tf.constant(features, tf.float32)}
    with tf.device("CPU:0"):
        graph = tf.saved_model.load(str(max(SHIPPED.iterdir())))
        expected = graph.signatures["rollout"](**inputs, horizon=tf.constant(1))["mean"].numpy()
    means, _ = socialmd_tf.load(SHIPPED).moments(positions, features, 1)
    difference = float(np.abs(means - expected).max())
    record_property("largest_difference", difference)
    assert difference < 1.5e-4
