import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.pairs.radial_pulls import radial_pulls, radial_sums
from tests import references
from tests.socialmd_tf.layers import periodic
from tests.socialmd_tf.layers.conftest import LIMITS

CUTOFF, FUNCTIONS = 2.0, 4


def system(num_dimensions=2, num_particles=6, num_weights=2):
    """Two systems, the second padded."""
    generator = np.random.default_rng(0)
    mask = np.ones((2, num_particles))
    mask[1, -1] = 0
    shapes = (2, num_particles, num_dimensions), (2, num_particles, num_weights)
    return [array.astype("float32") for array in (*(generator.normal(size=shape) for shape in shapes), mask)]


def coefficients(weights, num_functions):
    """Of every particle's own, but the same for images of it."""
    constants = np.random.default_rng(5).normal(size=(num_functions, weights.shape[-1]))
    return (np.asarray(weights)[:, :, :1, None] * constants).astype("float32")


def both(positions, weights, mask, num_functions=FUNCTIONS, cutoff=CUTOFF, box=None):
    """Sums, and pulls with random coefficients."""
    pulls = radial_pulls(positions, weights, mask, cutoff, coefficients(weights, num_functions), box)
    return radial_sums(positions, weights, mask, cutoff, num_functions, box), pulls


@pytest.mark.slow_cases(
    "shapes by values-listed pairs-3-*", "shapes by values-pairs of blocks-*", "static shapes-*-3-*"
)
@pytest.mark.usefixtures("form", "held")
@pytest.mark.parametrize("num_functions", [2, 4, 9, 17])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_loops_over_pairs(num_dimensions, num_functions):
    arrays = system(num_dimensions)
    expected = references.radial_sums(*arrays, CUTOFF, num_functions)
    expected_pulls = np.einsum("bifk,bidfk->bid", coefficients(arrays[1], num_functions), expected)
    assert np.abs(expected).max() > 0.5 and np.abs(expected_pulls).max() > 0.3
    sums, pulls = both(*arrays, num_functions)
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pulls, expected_pulls, rtol=1e-3, atol=3e-5)


def test_two_particles_at_the_centre_of_a_function_see_each_other_there():
    # The centres are 0.32, 0.7733, 1.2267 and 1.68; the next ones are one width away.
    distance = 0.16 * CUTOFF + 0.68 * CUTOFF / 3
    positions = np.array([[[0.0, 1.0], [0.0, 1.0 + distance]]], "float32")
    weights = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    sums = np.asarray(radial_sums(positions, weights, None, CUTOFF, FUNCTIONS))
    fade = 1 - (distance / CUTOFF) ** 6
    expected = fade * np.exp(-0.5 * np.array([1.0, 0.0, 1.0, 4.0]))
    np.testing.assert_allclose(sums[0, 0, 1], np.stack([0 * expected, expected], axis=-1), rtol=1e-5)
    np.testing.assert_allclose(sums[0, 1, 1], np.stack([-expected, 0 * expected], axis=-1), rtol=1e-5)
    assert not np.any(sums[0, :, 0])


def test_no_pair_appears_or_vanishes_at_once_at_the_cutoff():
    weights = np.ones((1, 2, 1), "float32")
    inside, beyond = (np.array([[[0.0, 0.0], [CUTOFF * share, 0.0]]], "float32") for share in (1 - 1e-4, 1 + 1e-4))
    assert 0 < np.max(both(inside, weights, None)[0]) < 1e-3
    assert not any(np.any(values) for values in both(beyond, weights, None))


@pytest.mark.slow_cases("64")
@pytest.mark.parametrize("num_functions", [2, 8, 16, 64])
def test_particles_far_away_or_on_the_same_spot_give_finite_sums_and_gradients(num_functions):
    positions = tf.constant([[[0.0, 0.0], [0.0, 0.0], [1e20, 0.0], [0.0, CUTOFF * (1 - 1e-6)]]])
    with tf.GradientTape() as tape:
        tape.watch(positions)
        total = sum(
            tf.reduce_sum(values) for values in both(positions, np.ones((1, 4, 1), "float32"), None, num_functions)
        )
    assert np.isfinite(total) and np.all(np.isfinite(tape.gradient(total, positions)))


@pytest.mark.slow_cases(all_but=["all pairs-2D"])
@pytest.mark.parametrize("box", [periodic.BOXES["sheared"], periodic.BOXES["triclinic"]], ids=["2D", "3D"])
@pytest.mark.parametrize("way", LIMITS)
def test_a_box_is_the_open_system_of_all_images(box, way, hold_pairs):
    boxes, positions, mask = periodic.system(box)
    positions = periodic.wrapped(positions, boxes)
    weights = np.random.default_rng(1).normal(size=(*mask.shape, 2)).astype("float32")
    images, *repeated = periodic.all_images(boxes, positions, weights, mask)
    expected = both(images, *repeated, cutoff=periodic.CUTOFF)
    hold_pairs(way)
    found = both(positions, weights, mask, cutoff=periodic.CUTOFF, box=boxes)
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted[:, : positions.shape[1]], rtol=1e-4, atol=2e-5)
