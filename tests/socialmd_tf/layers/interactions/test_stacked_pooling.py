import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import CombinedInteraction, NoInteraction, PairwiseInteraction, StackedPoolingInteraction
from tests import references

pytestmark = pytest.mark.usefixtures("form")

GRIDS = {"bins": 8, "side_lengths": (8.0, 3.0)}


def make_interaction(num_dimensions, filters=(3, 4), seed=0):
    layer = StackedPoolingInteraction(**GRIDS, filters=filters, kernel_size=4, state_embedding=4, embedding=6)
    particles = (None, None)
    layer.build((*particles, num_dimensions), (*particles, num_dimensions), (*particles, 1), (*particles, 5))
    generator = np.random.default_rng(seed)
    layer.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in layer.weights])
    return layer


def example(num_dimensions):
    """Arguments of an interaction for two systems of five particles, the second padded."""
    generator = np.random.default_rng(0)
    positions = generator.uniform(-2, 2, (2, 5, num_dimensions))
    hidden_state = generator.normal(size=(2, 5, 5))
    arrays = (
        positions,
        np.zeros_like(positions),
        np.zeros((2, 5, 1)),
        hidden_state,
        [[1] * 5, [1, 1, 1, 0, 0]],
    )
    return [tf.constant(array, "float32") for array in arrays]


@pytest.mark.slow_cases("shapes by values-3-*", "static shapes-3-*")
@pytest.mark.parametrize("filters", [(3,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_the_definition(num_dimensions, filters):
    layer = make_interaction(num_dimensions, filters)
    arguments = example(num_dimensions)
    positions, _, _, hidden_state, mask = map(np.asarray, arguments)
    expected = references.interaction_step(
        positions, hidden_state.astype("float64"), mask, references.weights_by_name(layer), **GRIDS
    )
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(layer(*arguments), expected, atol=1e-4)


def test_output_shape():
    layer = make_interaction(2)
    result = layer(*example(2))
    assert layer.compute_output_shape((2, 5, 2)) == result.shape == (2, 5, 6)


def test_moving_the_whole_system_changes_nothing():
    layer = make_interaction(2)
    positions, *others = example(2)
    positions = tf.round(positions * 256) / 256  # exact in float32 wherever the system is
    np.testing.assert_array_equal(layer(positions + 1000.0, *others), layer(positions, *others))


def test_velocities_and_features_are_not_read():
    layer = make_interaction(2)
    positions, velocities, features, hidden_state, mask = example(2)
    other = layer(positions, velocities + 1, features + 1, hidden_state, mask)
    np.testing.assert_array_equal(other, layer(positions, velocities, features, hidden_state, mask))


def test_gradients_reach_every_weight():
    layer = make_interaction(2)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(*example(2)) ** 2)
    gradients = tape.gradient(total, [weight.value for weight in layer.trainable_variables])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.slow_cases("*-3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_gradient_of_ties_is_given_once(num_dimensions):
    # Nobody in sight, and ReLU takes the first bias away: every member of every maximum is the second bias.
    layer = make_interaction(num_dimensions)
    positions, *others = example(num_dimensions)
    weights = {"/".join(weight.path.split("/")[-2:]): weight for weight in layer.weights}
    weights["convolution_0/bias"].assign([-1.0, -1.0, -1.0])
    bias = weights["convolution_1/bias"]
    bias.assign([1.0, 2.0, 3.0, 4.0])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(1000 * positions, *others))
    gradient = np.asarray(tape.gradient(total, bias.value))
    for filter_index in range(4):
        bias.assign(np.array([1.0, 2.0, 3.0, 4.0]) + 0.01 * np.eye(4)[filter_index])
        slope = (tf.reduce_sum(layer(1000 * positions, *others)) - total) / 0.01
        assert gradient[filter_index] == pytest.approx(float(slope), rel=0.02, abs=0.02)


def test_the_precision_can_be_lowered_and_restored():
    layer, arguments = make_interaction(2), example(2)
    expected = np.asarray(layer(*arguments))
    layer.set_precision("mixed_bfloat16")
    rounded = layer(*arguments)
    assert rounded.dtype == "bfloat16" and all(weight.dtype == "float32" for weight in layer.weights)
    np.testing.assert_allclose(tf.cast(rounded, "float32"), expected, atol=0.03 * np.abs(expected).max())
    layer.set_precision("float32")
    np.testing.assert_array_equal(layer(*arguments), expected)


def test_interactions_side_by_side():
    parts = make_interaction(2), PairwiseInteraction(5.0, 0.5, units=4, channels=2, move_scale=1.0), NoInteraction()
    layer, arguments = CombinedInteraction(parts), example(2)
    result = layer(*arguments)
    np.testing.assert_array_equal(result, np.concatenate([part(*arguments) for part in parts], axis=-1))
    assert layer.compute_output_shape((2, 5, 2)) == result.shape == (2, 5, 12)
    assert len(layer.trainable_variables) == sum(len(part.trainable_variables) for part in parts)


def test_no_interaction_is_empty():
    layer = NoInteraction()
    assert layer(*example(2)).shape == layer.compute_output_shape((2, 5, 2)) == (2, 5, 0)
    assert layer.weights == []
