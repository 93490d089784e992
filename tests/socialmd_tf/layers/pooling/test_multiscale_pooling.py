import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import MultiscalePooling
from socialmd_tf.layers.pairs import few_or_many
from tests import references

pytestmark = pytest.mark.usefixtures("form")

GRIDS = {"bins": 4, "side_lengths": (8.0, 2.0)}


def example(num_dimensions, num_particles=5):
    """Positions, states and mask of two systems, the second padded."""
    generator = np.random.default_rng(0)
    positions = generator.normal(scale=2, size=(2, num_particles, num_dimensions)).astype("float32")
    states = generator.normal(size=(2, num_particles, 3)).astype("float32")
    mask = np.ones((2, num_particles), "float32")
    mask[1, 3:] = 0
    return positions, states, mask


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_is_the_definition(num_dimensions):
    positions, states, mask = example(num_dimensions)
    expected = references.multiscale_pooling(positions, states, mask, **GRIDS)
    assert (np.abs(expected).max(axis=(0, 1, *range(3, expected.ndim))) > 0.1).all()  # all grids are in use
    np.testing.assert_allclose(MultiscalePooling(**GRIDS)(positions, states, mask), expected, atol=1e-5)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_many_particles_give_the_same(num_dimensions, monkeypatch):
    arguments = example(num_dimensions, num_particles=12)
    expected = MultiscalePooling(**GRIDS)(*arguments)
    monkeypatch.setattr(few_or_many, "LIMIT", 3)
    np.testing.assert_allclose(MultiscalePooling(**GRIDS)(*arguments), expected, atol=1e-5)


def pooled_pair(x, y, bins=4, side=8.0):
    """What a particle sees of one at (x, y), whose state is 1, in a grid of bins of side 2: `[bins, bins]`."""
    positions = np.array([[[0, 0], [x, y]]], "float32")
    return np.asarray(MultiscalePooling(bins, (side,))(positions, np.ones((1, 2, 1), "float32")))[0, 0, 0, ..., 0]


def test_in_the_middle_of_a_bin_it_has_all():
    expected = np.zeros((4, 4))
    expected[3, 1] = 1
    np.testing.assert_allclose(pooled_pair(3, -1), expected)


def test_between_bins_they_share():
    expected = np.zeros((4, 4))
    expected[2:, 1] = 0.25, 0.75
    np.testing.assert_allclose(pooled_pair(2.5, -1), expected)
    expected = np.zeros((4, 4))
    expected[1:3, 1:3] = 0.25
    np.testing.assert_allclose(pooled_pair(0, 0), expected)


def test_the_shares_tell_the_place_within_the_bin():
    shares = pooled_pair(1.7, -2.3)
    centers = np.arange(4) * 2 - 3
    assert shares.sum() == pytest.approx(1)
    assert shares.sum(axis=1) @ centers == pytest.approx(1.7)
    assert shares.sum(axis=0) @ centers == pytest.approx(-2.3)


def test_who_leaves_a_grid_fades_out_of_it():
    assert [pooled_pair(x, 1).sum() for x in (3, 4, 4.5, 5, 50)] == pytest.approx([1, 0.5, 0.25, 0, 0])


def test_moving_the_whole_system_changes_nothing():
    positions, states, mask = example(2)
    positions = np.round(positions * 256) / 256  # exact in float32 wherever the system is
    layer = MultiscalePooling(**GRIDS)
    np.testing.assert_array_equal(layer(positions + 1000, states, mask), layer(positions, states, mask))


def test_gradients_by_positions_are_the_slopes_of_the_shares():
    positions = tf.Variable([[[0.0, 0.0], [2.5, -1.0]]])
    with tf.GradientTape() as tape:
        pooled = MultiscalePooling(4, (8.0,))(positions, tf.ones((1, 2, 1)))[0, 0, 0, ..., 0]
        share = pooled[3, 1]
    slopes = np.asarray(tape.gradient(share, positions))
    np.testing.assert_allclose(slopes[0, :, 0], [-0.5, 0.5])  # a bin is 2 wide
