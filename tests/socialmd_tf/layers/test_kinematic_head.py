import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import KinematicHead

FLOOR, SCALE = 1e-3, 0.2


def make(num_dimensions, width=4, seed=0):
    head = KinematicHead(num_dimensions, FLOOR, SCALE)
    head.build((None, None, width))
    generator = np.random.default_rng(seed)
    head.scale.kernel.assign(generator.normal(size=head.scale.kernel.shape))
    return head


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_new_weights_predict_straight_motion(num_dimensions):
    head = make(num_dimensions)
    positions, velocities = draw(2, 5, num_dimensions), draw(2, 5, num_dimensions, seed=2)
    parameters, _ = head(draw(2, 5, 4), positions, velocities, head.get_initial_state(2, 5))
    np.testing.assert_allclose(head.layout.mean(parameters), positions + velocities, rtol=1e-6)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_covariance_is_that_of_integrated_random_accelerations(num_dimensions):
    # x_k = sum over earlier steps j of (k - j) a_j: its covariance is the sum of (k - j)^2 Q_j.
    head = make(num_dimensions)
    zero = np.zeros((1, 3, num_dimensions), "float32")
    state, noises = head.get_initial_state(1, 3), []
    for step in range(6):
        outputs = draw(1, 3, 4, seed=step)
        alone, _ = head(outputs, zero, zero, head.get_initial_state(1, 3))
        noises.append(np.asarray(head.layout.covariance(alone), np.float64))
        parameters, state = head(outputs, zero, zero, state)
        expected = sum((step + 1 - j) ** 2 * noise for j, noise in enumerate(noises))
        np.testing.assert_allclose(head.layout.covariance(parameters), expected, rtol=1e-3, atol=1e-6)


def test_deviations_are_in_units_of_the_acceleration_scale_and_have_a_floor():
    head = make(2)
    head.scale.kernel.assign(np.zeros((4, 3)))
    head.scale.bias.assign([-1e4, 2.0, 0.0])
    zero = np.zeros((1, 1, 2), "float32")
    parameters, _ = head(draw(1, 1, 4), zero, zero, head.get_initial_state(1, 1))
    deviations = np.sqrt(np.diagonal(head.layout.covariance(parameters)[0, 0]))
    np.testing.assert_allclose(deviations, [FLOOR, SCALE * np.log1p(np.exp(2.0)) + FLOOR], rtol=1e-4)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e4])
def test_finite_for_outputs_and_states_of_any_size(size):
    head = make(2)
    zero = np.zeros((1, 8, 2), "float32")
    root = size * draw(3, 1, 8, 2, 1)
    state = tuple(tf.constant(r @ np.swapaxes(r, -1, -2)) for r in root)  # singular matrices
    outputs = tf.constant(size * draw(1, 8, 4))
    with tf.GradientTape() as tape:
        tape.watch([outputs, *state])
        parameters, _ = head(outputs, zero, zero, state)
        total = tf.reduce_sum(parameters)
    assert np.isfinite(parameters).all()
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(total, [outputs, *state]))
