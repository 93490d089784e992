import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.pairs.radial_pulls import radial_pulls
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


def bent(counts):
    """Coefficients that depend on the numbers of neighbours, function and weight; and the numbers themselves."""
    return np.cos(np.arange(counts.shape[-2] * counts.shape[-1]).reshape(counts.shape[-2:])) * tf.sin(counts), counts


def both(positions, weights, mask, num_functions=FUNCTIONS, cutoff=CUTOFF, box=None):
    """Pulls and numbers of neighbours."""
    return radial_pulls(positions, weights, mask, cutoff, num_functions, bent, box)


def each(positions, weights):
    """The pulls of every function and weight alone `[B, N, functions, D, K]`, and the numbers of neighbours."""
    shape, found = (FUNCTIONS, weights.shape[-1]), []
    for number in range(np.prod(shape)):
        chosen = np.eye(np.prod(shape), dtype="float32")[number].reshape(shape)
        pulls, counts = radial_pulls(
            positions, weights, None, CUTOFF, FUNCTIONS, lambda counts, chosen=chosen: (0 * counts + chosen, counts)
        )
        found.append(pulls)
    found = np.stack(found, axis=2)
    return np.moveaxis(found.reshape(*found.shape[:2], *shape, -1), -1, 3), np.asarray(counts)


@pytest.mark.usefixtures("form", "held")
@pytest.mark.parametrize("num_functions", [2, 4, 9, 17])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_loops_over_pairs(num_dimensions, num_functions):
    arrays = system(num_dimensions)
    counts, pulls = references.radial_sums(*arrays, CUTOFF, num_functions)
    expected = np.einsum("bifk,bifdk->bid", bent(counts)[0], pulls)
    assert np.abs(counts).max() > 0.5 and np.abs(expected).max() > 0.3
    found, found_counts = both(*arrays, num_functions)
    np.testing.assert_allclose(found_counts, counts, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-5)


def test_two_particles_at_the_centre_of_a_function_count_each_other_there():
    # The centres are 0.32, 0.7733, 1.2267 and 1.68; the next ones are one width away.
    distance = 0.16 * CUTOFF + 0.68 * CUTOFF / 3
    positions = np.array([[[0.0, 1.0], [0.0, 1.0 + distance]]], "float32")
    weights = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    pulls, counts = each(positions, weights)
    fade = 1 - (distance / CUTOFF) ** 6
    expected = fade * np.exp(-0.5 * np.array([1.0, 0.0, 1.0, 4.0]))
    np.testing.assert_allclose(counts[0, 0], np.stack([0 * expected, expected], axis=-1), rtol=1e-5)
    np.testing.assert_allclose(pulls[0, 0, :, 1], counts[0, 0], rtol=1e-5)
    np.testing.assert_allclose(pulls[0, 1, :, 1, 0], -expected, rtol=1e-5)
    assert not np.any(pulls[0, :, :, 0])


def test_no_pair_appears_or_vanishes_at_once_at_the_cutoff():
    weights = np.ones((1, 2, 1), "float32")
    inside, beyond = (np.array([[[0.0, 0.0], [CUTOFF * share, 0.0]]], "float32") for share in (1 - 1e-4, 1 + 1e-4))
    assert 0 < np.max(both(inside, weights, None)[1]) < 1e-3
    assert not np.any(both(beyond, weights, None)[1])


@pytest.mark.parametrize("num_functions", [2, 8, 16, 64])
def test_particles_far_away_or_on_the_same_spot_give_finite_sums_and_gradients(num_functions):
    positions = tf.constant([[[0.0, 0.0], [0.0, 0.0], [1e20, 0.0], [0.0, CUTOFF * (1 - 1e-6)]]])
    with tf.GradientTape() as tape:
        tape.watch(positions)
        pulls, counts = both(positions, tf.ones((1, 4, 1)), None, num_functions)
        total = tf.reduce_sum(counts) + tf.reduce_sum(pulls)
    assert np.isfinite(total) and np.all(np.isfinite(tape.gradient(total, positions)))


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
