import numpy as np
import pytest

from socialmd_tf.layers import DisplacementHead

FLOOR, SCALE = 1e-3, 0.2


def make(num_dimensions, num_components=1, width=4):
    head = DisplacementHead(num_dimensions, num_components, FLOOR, SCALE)
    head.build((None, None, width))
    generator = np.random.default_rng(0)
    for layer in (head.scale, head.memory):
        layer.kernel.assign(generator.normal(size=layer.kernel.shape))
    return head


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def resting(num_particles, num_dimensions):
    return {"positions": np.zeros((1, num_particles, num_dimensions), "float32")}


@pytest.mark.parametrize("num_components", [1, 3])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_new_weights_predict_that_all_stays_where_it_is(num_dimensions, num_components):
    head = make(num_dimensions, num_components)
    positions = draw(2, 5, num_dimensions)
    parameters, _ = head(draw(2, 5, 4), {"positions": positions}, head.get_initial_state(positions))
    np.testing.assert_allclose(head.layout.mean(parameters), positions, rtol=1e-5, atol=1e-6)


def test_new_weights_spread_about_a_move_in_all_directions():
    head = DisplacementHead(3, 1, FLOOR, SCALE)
    head.build((None, None, 4))
    outputs = np.zeros((1, 2, 4), "float32")
    parameters, _ = head(outputs, resting(2, 3), head.get_initial_state(resting(2, 3)["positions"]))
    variance = (SCALE * np.log(2)) ** 2 + FLOOR**2
    np.testing.assert_allclose(head.layout.covariance(parameters)[0, 0], variance * np.eye(3), rtol=1e-4, atol=1e-9)


def test_the_displacement_is_linear_and_in_units_of_the_move_scale():
    head = make(2)
    head.acceleration.kernel.assign(draw(4, 2, seed=3))
    outputs = draw(1, 3, 4)
    parameters, _ = head(outputs, resting(3, 2), head.get_initial_state(resting(3, 2)["positions"]))
    np.testing.assert_allclose(head.layout.mean(parameters), SCALE * outputs @ draw(4, 2, seed=3), rtol=1e-5)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_covariance_is_that_of_moves_that_are_forgotten(num_dimensions):
    # x_k = g_k x_(k-1) + e_k: its covariance is the sum over j of Q_j and all g^2 that came after.
    head = make(num_dimensions)
    inputs = resting(3, num_dimensions)
    state, expected = head.get_initial_state(inputs["positions"]), 0.0
    for step in range(6):
        outputs = draw(1, 3, 4, seed=step)
        alone, _ = head(outputs, inputs, head.get_initial_state(inputs["positions"]))
        compressed = np.sign(outputs) * np.log1p(np.abs(outputs))
        kept = 1 / (1 + np.exp(-(compressed @ np.asarray(head.memory.kernel) + np.asarray(head.memory.bias))))
        expected = kept[..., None] ** 2 * expected + np.asarray(head.layout.covariance(alone), np.float64)
        parameters, state = head(outputs, inputs, state)
        np.testing.assert_allclose(head.layout.covariance(parameters), expected, rtol=1e-3, atol=1e-6)


def test_what_is_forgotten_at_once_does_not_spread():
    head = make(2)
    head.memory.kernel.assign(np.zeros((4, 1)))
    outputs, inputs, covariances = draw(1, 2, 4), resting(2, 2), {}
    for bias in (-30.0, 30.0):
        head.memory.bias.assign([bias])
        state = head.get_initial_state(inputs["positions"])
        for _ in range(9):
            parameters, state = head(outputs, inputs, state)
        covariances[bias] = np.asarray(head.layout.covariance(parameters)) - FLOOR**2 * np.eye(2)
    np.testing.assert_allclose(covariances[30.0], 9 * covariances[-30.0], rtol=1e-4)


def test_an_observed_frame_is_certain():
    head = make(2)
    positions = draw(1, 3, 2)
    (covariance,) = head.observe((np.ones((1, 3, 2, 2), "float32"),), positions)
    assert not np.asarray(covariance).any()
