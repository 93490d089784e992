import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import KinematicHead
from socialmd_tf.mixture import NegativeLogLikelihood
from tests import references

FLOOR, SCALE = 1e-3, 0.2


def make(num_dimensions, num_components=1, width=4, seed=0):
    head = KinematicHead(num_dimensions, num_components, FLOOR, SCALE)
    head.build((None, None, width))
    generator = np.random.default_rng(seed)
    head.scale.kernel.assign(generator.normal(size=head.scale.kernel.shape))
    if num_components > 1:
        head.mixture.kernel.assign(generator.normal(size=head.mixture.kernel.shape))
    return head


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def at_rest(num_particles, num_dimensions):
    """What a cell read of particles at the origin."""
    zero = np.zeros((1, num_particles, num_dimensions), "float32")
    return {"positions": zero, "velocities": zero}


@pytest.mark.parametrize("num_components", [1, 3])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_new_weights_predict_straight_motion(num_dimensions, num_components):
    head = make(num_dimensions, num_components)
    positions, velocities = draw(2, 5, num_dimensions), draw(2, 5, num_dimensions, seed=2)
    inputs = {"positions": positions, "velocities": velocities}
    parameters, _ = head(draw(2, 5, 4), inputs, head.get_initial_state(positions))
    np.testing.assert_allclose(head.layout.mean(parameters), positions + velocities, rtol=1e-5, atol=1e-6)


@pytest.mark.slow_cases("3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_covariance_is_that_of_integrated_random_accelerations(num_dimensions):
    # x_k = sum over earlier steps j of (k - j) a_j: its covariance is the sum of (k - j)^2 Q_j.
    head = make(num_dimensions)
    inputs = at_rest(3, num_dimensions)
    state, noises = head.get_initial_state(inputs["positions"]), []
    for step in range(6):
        outputs = draw(1, 3, 4, seed=step)
        alone, _ = head(outputs, inputs, head.get_initial_state(inputs["positions"]))
        noises.append(np.asarray(head.layout.covariance(alone), np.float64))
        parameters, state = head(outputs, inputs, state)
        expected = sum((step + 1 - j) ** 2 * noise for j, noise in enumerate(noises))
        np.testing.assert_allclose(head.layout.covariance(parameters), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.slow_cases("3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_components_share_the_mean_and_have_multiples_of_one_covariance(num_dimensions):
    mixed, plain = make(num_dimensions, 3), make(num_dimensions)
    inputs = {"positions": draw(1, 3, num_dimensions), "velocities": draw(1, 3, num_dimensions, seed=2)}
    state = plain_state = plain.get_initial_state(inputs["positions"])
    weights = references.weights_by_name(mixed)
    for step in range(4):
        outputs = draw(1, 3, 4, seed=step)
        parameters, state = mixed(outputs, inputs, state)
        alone, plain_state = plain(outputs, inputs, plain_state)
        compressed = np.sign(outputs) * np.log1p(np.abs(outputs))
        logits, widths = np.split(compressed @ weights["mixture/kernel"] + weights["mixture/bias"], 2, axis=-1)
        widths = references.softplus(widths + np.log(np.e - 1)) * [1, 1 / 4, 1 / 16]
        shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        for i in range(3):
            found = references.unpack_density(parameters[0, i], num_dimensions, 3, True)
            _, (mean,), (covariance,) = references.unpack_density(alone[0, i], num_dimensions, 1, True)
            np.testing.assert_allclose(found[0], shares[0, i], rtol=1e-4)
            np.testing.assert_array_equal(found[1], [mean] * 3)
            covariance -= FLOOR**2 * np.eye(num_dimensions)
            expected = widths[0, i, :, None, None] ** 2 * covariance + FLOOR**2 * np.eye(num_dimensions)
            np.testing.assert_allclose(found[2], expected, rtol=1e-4, atol=1e-7)
            total = (shares[0, i] * widths[0, i] ** 2).sum() * covariance + FLOOR**2 * np.eye(num_dimensions)
            np.testing.assert_allclose(mixed.layout.covariance(parameters)[0, i], total, rtol=1e-4, atol=1e-7)
    for carried, wanted in zip(state, plain_state, strict=True):  # what adds up is that of one Gaussian
        np.testing.assert_array_equal(carried, wanted)


def test_new_weights_mix_equal_shares_of_widths_one_quarter_and_one_sixteenth():
    head = KinematicHead(2, 3, FLOOR, SCALE)
    head.build((None, None, 4))
    inputs = at_rest(1, 2)
    parameters, _ = head(draw(1, 1, 4), inputs, head.get_initial_state(inputs["positions"]))
    weights, _, covariances = references.unpack_density(parameters[0, 0], 2, 3, True)
    np.testing.assert_allclose(weights, [1 / 3] * 3, rtol=1e-6)
    covariances -= FLOOR**2 * np.eye(2)
    np.testing.assert_allclose(covariances, covariances[0] / np.array([1, 16, 256])[:, None, None], rtol=1e-4)


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("num_components", [1, 3])
def test_new_weights_spread_about_three_acceleration_scales_without_correlation(num_dimensions, num_components):
    head = KinematicHead(num_dimensions, num_components, FLOOR, SCALE)
    head.build((None, None, 4))
    inputs = at_rest(5, num_dimensions)
    parameters, _ = head(100 * draw(1, 5, 4), inputs, head.get_initial_state(inputs["positions"]))
    for i in range(5):
        _, _, covariances = references.unpack_density(parameters[0, i], num_dimensions, num_components, True)
        np.testing.assert_allclose(covariances[0], (3.05 * SCALE) ** 2 * np.eye(num_dimensions), rtol=1e-2, atol=1e-9)


def test_new_weights_give_a_moderate_loss_to_errors_of_the_acceleration_scale():
    """With correlations near 1, as a bias of 3 for them too would give, the loss of these errors is above 100 nats."""
    head = KinematicHead(3, 1, FLOOR, SCALE)
    head.build((None, None, 4))
    inputs = at_rest(2000, 3)
    parameters, _ = head(draw(1, 2000, 4), inputs, head.get_initial_state(inputs["positions"]))
    errors = SCALE * np.sqrt(np.pi / 2) * draw(1, 2000, 3, seed=9)  # of mean absolute value SCALE
    per_scale = NegativeLogLikelihood(head.layout)(errors, parameters) - 3 * np.log(SCALE)
    assert 0 < per_scale < 3 * np.log(10)


def test_one_gaussian_has_no_weights_of_a_mixture():
    assert sorted(references.weights_by_name(make(2))) == ["acceleration/kernel", "scale/bias", "scale/kernel"]


def test_deviations_are_in_units_of_the_acceleration_scale():
    head = make(2)
    head.scale.kernel.assign(np.zeros((4, 3)))
    head.scale.bias.assign([-1e4, 2.0, 0.0])
    inputs = at_rest(1, 2)
    parameters, _ = head(draw(1, 1, 4), inputs, head.get_initial_state(inputs["positions"]))
    deviations = np.sqrt(np.diagonal(head.layout.covariance(parameters)[0, 0]))
    np.testing.assert_allclose(deviations, [FLOOR, np.hypot(SCALE * np.log1p(np.exp(2.0)), FLOOR)], rtol=1e-4)


@pytest.mark.parametrize("num_components", [1, 3])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e4])
def test_finite_for_outputs_and_states_of_any_size(size, num_components):
    head = make(2, num_components)
    root = size * draw(3, 1, 8, 2, 1)
    state = tuple(tf.constant(r @ np.swapaxes(r, -1, -2)) for r in root)  # singular matrices
    outputs = tf.constant(size * draw(1, 8, 4))
    with tf.GradientTape() as tape:
        tape.watch([outputs, *state])
        parameters, _ = head(outputs, at_rest(8, 2), state)
        total = tf.reduce_sum(parameters)
    assert np.isfinite(parameters).all()
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(total, [outputs, *state]))


@pytest.mark.parametrize("bias", [-1e4, 1e4])
def test_the_loss_is_finite_however_far_the_components_are_from_each_other_in_width(bias):
    # A component of no width would have an infinite density at its mean, and none, 0 times infinity, elsewhere.
    head = make(2, 2)
    head.mixture.bias.assign([0.0, 0.0, bias, 0.0])
    inputs = at_rest(4, 2)
    for target in (0.0, 1e-3, 10.0):
        with tf.GradientTape() as tape:
            parameters, _ = head(draw(1, 4, 4), inputs, head.get_initial_state(inputs["positions"]))
            loss = NegativeLogLikelihood(head.layout)(tf.fill((1, 4, 2), target), parameters)
        gradients = tape.gradient(loss, [weight.value for weight in head.trainable_variables])
        assert np.isfinite(loss)
        assert all(np.isfinite(gradient).all() for gradient in gradients)
