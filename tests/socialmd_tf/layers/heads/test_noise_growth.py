import keras
import numpy as np
import pytest

from socialmd_tf.layers.heads.noise_growth import NoiseGrowth
from tests.socialmd_tf.layers.heads.verlet_systems import SCALE, WIDTH, draw, make, system


def growth(exponent, threshold):
    """A layer of unit 0.5 with an exponent and a threshold in units of length."""
    layer = NoiseGrowth(0.5)
    layer.build()
    layer.set_weights([np.log(np.expm1(exponent)), np.log(threshold / 0.5)])
    return layer


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_factors_follow_the_formula(num_dimensions):
    accelerations = draw(2, 5, num_dimensions)
    expected = (1 + np.linalg.norm(accelerations, axis=-1) / 0.25) ** 1.5
    found = np.asarray(growth(1.5, 0.25)(accelerations))
    np.testing.assert_allclose(found[..., 0, 0], expected, rtol=1e-5)


def test_without_acceleration_the_factor_is_one():
    assert np.asarray(growth(2.0, 1.0)(np.zeros((1, 3, 2), "float32"))) == pytest.approx(
        np.ones((1, 3, 1, 1)), rel=1e-5
    )


@pytest.mark.parametrize("size", [1e-30, 1e10, 1e30])
def test_squares_of_factors_are_finite_for_any_acceleration(size):
    factors = np.asarray(growth(3.0, 1e-6)(np.full((1, 2, 2), size, "float32")))
    assert np.isfinite(factors**2).all() and (factors >= 1).all()


def test_weights_keep_their_precision_in_a_layer_of_mixed_precision():
    layer = growth(1.5, 0.25)
    accelerations = draw(2, 5, 2)
    with keras.src.backend.common.variables.AutocastScope("bfloat16"):
        found = np.asarray(layer.call(accelerations))
    np.testing.assert_array_equal(found, np.asarray(layer.call(accelerations)))


def spread_of(head, inputs, state):
    parameters, _ = head(np.zeros((*inputs["mask"].shape, WIDTH), "float32"), inputs, state)
    entries = head.layout.split(parameters)[2]
    return np.asarray(head.layout.scale_tril(entries))[..., 0, :, :]


def test_the_noise_of_a_particle_grows_with_the_change_of_its_velocity():
    inputs, velocities = system()
    state = make().get_initial_state(inputs["positions"])
    state = (*state[:-1], velocities)  # the head's own velocity
    head = make(has_growing_noise=True)
    head.growth.set_weights([np.log(np.expm1(1.5)), np.log(0.3 / SCALE)])
    plain = make()
    plain.set_weights([weight for weight in head.get_weights() if np.ndim(weight)])
    sizes = np.linalg.norm(np.asarray(head.integrate(inputs, velocities)[1]) - velocities, axis=-1)
    expected = spread_of(plain, inputs, state) * ((1 + sizes / 0.3) ** 1.5)[..., None, None]
    np.testing.assert_allclose(spread_of(head, inputs, state), expected, rtol=2e-2)
    assert (sizes > 0.3).any()
