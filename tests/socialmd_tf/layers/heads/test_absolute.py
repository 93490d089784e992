import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import AbsoluteHead
from tests import references

FLOOR = 1e-3
KINDS = [(2, 1, True), (2, 5, False), (2, 2, True), (3, 1, True), (3, 1, False), (3, 2, True)]


def raw_head(num_dimensions, num_components, correlated):
    """A head whose linear map is the identity, so that tests choose what is activated."""
    head = AbsoluteHead(num_dimensions, num_components, correlated, FLOOR)
    head.build((None, None, head.layout.size))
    head.dense.kernel.assign(np.eye(head.layout.size))
    return head


def predict(head, raw):
    """Parameters of raw numbers `[B, N, P]`."""
    positions = tf.zeros((*raw.shape[:2], head.layout.num_dimensions))
    state = head.observe(head.get_initial_state(positions), positions)
    parameters, state = head(raw, {"positions": positions, "velocities": positions}, state)
    assert state == ()
    return parameters


def random_raw(head, scale):
    generator = np.random.default_rng(0)
    return tf.constant(scale * generator.normal(size=(3, 40, head.layout.size)), "float32")


def extreme_raw(head):
    """All corners of {-1e4, 0, 1e4}^P, or many of them, `[B, N, P]`."""
    choices = np.random.default_rng(0).choice([-1e4, 0.0, 1e4], (4, 200, head.layout.size))
    return tf.constant(choices, "float32")


def test_one_correlated_gaussian_in_2d_is_the_formula():
    head = AbsoluteHead(2, 1, True, FLOOR)
    outputs = tf.constant(np.random.default_rng(0).normal(size=(2, 6, 7)), "float32")
    head.build(outputs.shape)
    parameters = np.asarray(predict(head, outputs), np.float64)
    means, covariances = references.head_step(np.asarray(outputs), references.weights_by_name(head), FLOOR)
    for index in np.ndindex(2, 6):
        _, (mean,), (covariance,) = references.unpack_density(parameters[index], 2, 1, True)
        np.testing.assert_allclose(mean, means[index], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(covariance, covariances[index], rtol=1e-4, atol=1e-6)


def test_uncorrelated_mixture_is_the_formula():
    head = raw_head(2, 2, False)
    raw = random_raw(head, 2.0)
    parameters = predict(head, raw)
    np.testing.assert_array_equal(parameters[..., :6], raw[..., :6])  # weights and means are linear
    expected = np.sqrt(references.softplus(np.asarray(raw[..., 6:], np.float64)) ** 2 + FLOOR**2)
    np.testing.assert_allclose(parameters[..., 6:], expected, rtol=1e-5)


def test_correlated_3d_has_the_deviations_and_partial_correlations_it_names():
    head = raw_head(3, 1, True)
    raw = np.asarray(random_raw(head, 1.0), np.float64)
    factor = np.asarray(head.layout.scale_tril(head.layout.split(predict(head, raw))[2]), np.float64)[..., 0, :, :]
    assert not factor[..., 0, 1:].any() and not factor[..., 1, 2].any()
    covariance = factor @ np.swapaxes(factor, -1, -2) - FLOOR**2 * np.eye(3)
    deviations = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    np.testing.assert_allclose(deviations, references.softplus(raw[..., 3:6]), rtol=1e-4)
    r = covariance / (deviations[..., :, None] * deviations[..., None, :])
    of_third_given_first = (r[..., 2, 1] - r[..., 1, 0] * r[..., 2, 0]) / np.sqrt(
        (1 - r[..., 1, 0] ** 2) * (1 - r[..., 2, 0] ** 2)
    )
    for found, number in ((r[..., 1, 0], 6), (r[..., 2, 0], 7), (of_third_given_first, 8)):
        np.testing.assert_allclose(found, 0.999 * np.tanh(raw[..., number]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_components", [1, 3])
def test_correlation_stays_inside_its_bounds(num_components):
    head = raw_head(2, num_components, True)
    for raw in (random_raw(head, 1.0), extreme_raw(head)):
        factor = np.asarray(head.layout.scale_tril(head.layout.split(predict(head, raw))[2]), np.float64)
        covariance = factor @ np.swapaxes(factor, -1, -2)
        correlation = covariance[..., 0, 1] / np.sqrt(covariance[..., 0, 0] * covariance[..., 1, 1])
        assert np.abs(correlation).max() < 0.9991
    assert correlation.max() > 0.998 and correlation.min() < -0.998


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gradients_are_finite_for_extreme_inputs(kind):
    head = raw_head(*kind)
    raw = extreme_raw(head)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        total = tf.reduce_sum(predict(head, raw))
    gradient = tape.gradient(total, raw)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def test_does_not_depend_on_where_the_particle_is():
    head = raw_head(2, 1, True)
    raw = random_raw(head, 1.0)
    positions = tf.random.stateless_normal((3, 40, 2), (0, 0))
    inputs = {"positions": positions, "velocities": positions}
    np.testing.assert_array_equal(head(raw, inputs, ())[0], predict(head, raw))
