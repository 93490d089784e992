import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import MultiscalePoolingInteraction
from tests import references

pytestmark = pytest.mark.usefixtures("form")

GRIDS = {"bins": 4, "side_lengths": (8.0, 2.0)}


def make_interaction(num_dimensions, num_features=1, seed=0):
    layer = MultiscalePoolingInteraction(**GRIDS, state_embedding=2, embedding=6, units=3)
    particles = (None, None)
    layer.build(*((*particles, size) for size in (num_dimensions, num_dimensions, num_features, 5)))
    generator = np.random.default_rng(seed)
    layer.set_weights([generator.normal(scale=0.3, size=weight.shape) for weight in layer.weights])
    return layer


def example(num_dimensions, num_features=1):
    """Arguments of an interaction for two systems of five particles, the second padded."""
    generator = np.random.default_rng(0)
    sizes = (num_dimensions, num_dimensions, num_features, 5)
    arrays = [generator.normal(size=(2, 5, size)).astype("float32") for size in sizes]
    mask = np.ones((2, 5), "float32")
    mask[1, 3:] = 0
    return (*arrays, mask)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_is_the_definition(num_dimensions):
    layer, arguments = make_interaction(num_dimensions), example(num_dimensions)
    expected = references.multiscale_interaction(arguments, references.weights_by_name(layer), **GRIDS)
    assert np.abs(expected).max() > 1
    result = layer(*arguments)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert layer.compute_output_shape((2, 5, num_dimensions)) == result.shape == (2, 5, 6)


def test_without_features_all_particles_respond_alike_and_every_weight_can_be_trained():
    layer, arguments = make_interaction(2, 0), example(2, 0)
    weights = references.weights_by_name(layer)
    assert all(0 not in np.shape(weight) for weight in weights.values())
    hidden = references.silu(weights["response_hidden/kernel"][0] + weights["response_hidden/bias"])
    response = hidden @ weights["response/kernel"] + weights["response/bias"]
    layer.response[1].kernel.assign(np.zeros(layer.response[1].kernel.shape))
    layer.response[1].bias.assign(np.ones(6))
    alone = np.asarray(layer(*arguments))
    layer.response[1].kernel.assign(weights["response/kernel"])
    layer.response[1].bias.assign(weights["response/bias"])
    np.testing.assert_allclose(layer(*arguments), alone * response, rtol=1e-4, atol=1e-5)


def test_moving_the_whole_system_changes_nothing():
    layer = make_interaction(2)
    positions, *others = example(2)
    positions = np.round(positions * 256) / 256  # exact in float32 wherever the system is
    np.testing.assert_array_equal(layer(positions + 1000, *others), layer(positions, *others))


def test_no_features_are_needed():
    assert make_interaction(2, num_features=0)(*example(2, num_features=0)).shape == (2, 5, 6)


def test_gradients_reach_every_weight():
    layer = make_interaction(2)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(*example(2)) ** 2)
    gradients = tape.gradient(total, [weight.value for weight in layer.trainable_variables])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
