import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.pairs.radial_sums import radial_sums
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


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_loops_over_pairs(num_dimensions, held):
    arrays = system(num_dimensions)
    expected = references.radial_sums(*arrays, CUTOFF, FUNCTIONS)
    assert all(np.abs(values).max() > 0.5 for values in expected)
    for values, wanted in zip(radial_sums(*arrays, CUTOFF, FUNCTIONS), expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5)


def test_two_particles_at_the_centre_of_a_function_count_each_other_there():
    # The centres are 0.32, 0.7733, 1.2267 and 1.68; the next ones are one width away.
    distance = 0.16 * CUTOFF + 0.68 * CUTOFF / 3
    positions = np.array([[[0.0, 1.0], [0.0, 1.0 + distance]]], "float32")
    weights = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    counts, pulls = radial_sums(positions, weights, None, CUTOFF, FUNCTIONS)
    fade = 1 - (distance / CUTOFF) ** 6
    expected = fade * np.exp(-0.5 * np.array([1.0, 0.0, 1.0, 4.0]))
    np.testing.assert_allclose(counts[0, 0], np.stack([0 * expected, expected], axis=-1), rtol=1e-5)
    np.testing.assert_allclose(pulls[0, 0, :, 1], counts[0, 0], rtol=1e-5)
    np.testing.assert_allclose(pulls[0, 1, :, 1, 0], -expected, rtol=1e-5)
    assert not np.any(pulls[0, :, :, 0])


def test_no_pair_appears_or_vanishes_at_once_at_the_cutoff():
    weights = np.ones((1, 2, 1), "float32")
    inside, beyond = (np.array([[[0.0, 0.0], [CUTOFF * share, 0.0]]], "float32") for share in (1 - 1e-4, 1 + 1e-4))
    assert 0 < np.max(radial_sums(inside, weights, None, CUTOFF, FUNCTIONS)[0]) < 1e-3
    assert not np.any(radial_sums(beyond, weights, None, CUTOFF, FUNCTIONS)[0])


def test_particles_far_away_or_on_the_same_spot_give_finite_sums_and_gradients():
    positions = tf.constant([[[0.0, 0.0], [0.0, 0.0], [1e20, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(positions)
        counts, pulls = radial_sums(positions, tf.ones((1, 3, 1)), None, CUTOFF, FUNCTIONS)
        total = tf.reduce_sum(counts) + tf.reduce_sum(pulls)
    assert np.isfinite(total) and np.all(np.isfinite(tape.gradient(total, positions)))


@pytest.mark.parametrize("box", [periodic.BOXES["sheared"], periodic.BOXES["triclinic"]], ids=["2D", "3D"])
@pytest.mark.parametrize("way", LIMITS)
def test_a_box_is_the_open_system_of_all_images(box, way, hold_pairs):
    boxes, positions, mask = periodic.system(box)
    positions = periodic.wrapped(positions, boxes)
    weights = np.random.default_rng(1).normal(size=(*mask.shape, 2)).astype("float32")
    images, *repeated = periodic.all_images(boxes, positions, weights, mask)
    expected = radial_sums(images, *repeated, periodic.CUTOFF, FUNCTIONS)
    hold_pairs(way)
    found = radial_sums(positions, weights, mask, periodic.CUTOFF, FUNCTIONS, boxes)
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted[:, : positions.shape[1]], rtol=1e-4, atol=2e-5)
