import numpy as np
import pytest

from socialmd_tf.layers import StackedStatePooling
from tests import references


def system(num_dimensions, num_particles=9, channels=3, num_systems=2, seed=0):
    """Positions, states and a mask with padding in every row but the first."""
    generator = np.random.default_rng(seed)
    positions = generator.uniform(-2, 2, (num_systems, num_particles, num_dimensions)).astype("float32")
    states = generator.normal(size=(num_systems, num_particles, channels)).astype("float32")
    mask = np.ones((num_systems, num_particles), "float32")
    mask[1:, -2:] = 0
    return positions, states, mask


def pool(positions, states, mask=None, bins=4, side_lengths=(4.0,)):
    layer = StackedStatePooling(bins, side_lengths)
    return np.asarray(layer(np.float32(positions), np.float32(states), mask))


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("bins", [1, 2, 5, 8])
@pytest.mark.parametrize("side_lengths", [(3.0,), (7.0, 3.5, 1.75), (2.3, 11.0)])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_definition(num_dimensions, bins, side_lengths, masked):
    positions, states, mask = system(num_dimensions)
    mask = mask if masked else None
    expected = references.stacked_pooling(positions, states, mask, bins, side_lengths)
    result = pool(positions, states, mask, bins, side_lengths)
    assert np.abs(expected).max() > 0.1
    assert result.shape == expected.shape == (2, 9, *(bins,) * num_dimensions, 3)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_one_neighbor_lands_in_the_bin_of_its_displacement(num_dimensions):
    # Bins of width 1 from -2 to 2: the displacement (1.5, -0.5, 0.25) lies in bins 3, 1, 2.
    there = [1.5, -0.5, 0.25][:num_dimensions]
    result = pool([[[0.0] * num_dimensions, there]], [[[7.0], [3.0]]])
    expected = np.zeros_like(result)
    expected[(0, 0, *(3, 1, 2)[:num_dimensions], 0)] = 3.0  # the first sees the second,
    expected[(0, 1, *(0, 2, 1)[:num_dimensions], 0)] = 7.0  # and the second, opposite, the first
    np.testing.assert_array_equal(result, expected)


def test_neighbors_in_one_bin_add_up():
    result = pool([[[0, 0], [0.3, 0.3], [0.6, 0.6]]], [[[1.0], [2.0], [4.0]]])
    assert result[0, 0, 2, 2, 0] == 6.0
    assert result[0, 0].sum() == 6.0


def test_grids_add_up_each_with_its_own_radius():
    result = pool([[[0, 0], [0.5, 0.5], [1.5, 0.5]]], [[[1.0], [2.0], [4.0]]], bins=2, side_lengths=(8.0, 2.0))
    # The near neighbor is within both radii, 4 and 1, the far one only within the larger.
    assert result[0, 0].tolist() == [[[0.0], [0.0]], [[0.0], [2 * 2.0 + 4.0]]]


@pytest.mark.parametrize(("distance", "seen"), [(1.999, True), (2.0, True), (2.001, False)])
def test_radius_is_half_the_side(distance, seen):
    result = pool([[[0.0, 0.0], [-distance, 0.0]]], [[[1.0], [1.0]]])
    assert result[0, 0].sum() == seen


def test_corners_of_the_grid_are_out_of_range():
    result = pool([[[0.0, 0.0], [1.9, 1.9]]], [[[1.0], [1.0]]])
    assert not result.any()


def test_a_neighbor_on_the_upper_edge_has_no_bin():
    # Bins are half open: the displacement side / 2 would be bin `bins`, and -side / 2 is bin 0.
    result = pool([[[0.0, 0.0], [2.0, 0.0]]], [[[1.0], [1.0]]])
    assert result[0, 0].sum() == 0
    assert result[0, 1, 0, 2, 0] == 1


def test_nobody_sees_itself():
    positions, states, _ = system(2)
    alone = pool(positions, states * np.eye(9, dtype="float32")[4][:, None], side_lengths=(20.0,))
    assert not alone[:, 4].any()
    assert all(alone[:, i].any() for i in range(9) if i != 4)


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("bins", [4, 5])
def test_coincident_particles_are_in_the_central_bin(num_dimensions, bins):
    result = pool(np.ones((1, 3, num_dimensions)), [[[1.0], [2.0], [4.0]]], bins=bins)
    center = (bins // 2,) * num_dimensions
    assert [result[(0, i, *center, 0)] for i in range(3)] == [6.0, 5.0, 3.0]
    assert [result[0, i].sum() for i in range(3)] == [6.0, 5.0, 3.0]


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_lone_particle_sees_zeros(num_dimensions):
    result = pool(np.ones((2, 1, num_dimensions)), np.ones((2, 1, 3)))
    assert result.shape == (2, 1, *(4,) * num_dimensions, 3)
    assert not result.any()


def test_padding_neither_sees_nor_is_seen():
    positions, states, mask = system(2)
    result = pool(positions, states, mask, side_lengths=(20.0,))
    assert not result[1, -2:].any()
    alone = pool(positions[1:, :-2], states[1:, :-2], side_lengths=(20.0,))
    np.testing.assert_allclose(result[1:, :-2], alone, rtol=1e-6, atol=1e-6)  # other shapes, other orders of the sums
    states[1, -2:] = 1e6
    np.testing.assert_array_equal(result, pool(positions, states, mask, side_lengths=(20.0,)))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_no_mask_means_all_are_real(num_dimensions):
    positions, states, mask = system(num_dimensions)
    np.testing.assert_array_equal(pool(positions, states), pool(positions, states, np.ones_like(mask)))
    assert not np.array_equal(pool(positions, states), pool(positions, states, mask))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_moving_the_whole_system_changes_nothing(num_dimensions):
    positions, states, mask = system(num_dimensions)
    positions = np.round(positions * 256) / 256  # exact in float32 wherever the system is
    moved = positions + np.float32([1000, -512, 77])[:num_dimensions]
    np.testing.assert_array_equal(pool(positions, states, mask), pool(moved, states, mask))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_renumbered_particles_give_renumbered_results(num_dimensions):
    positions, states, mask = system(num_dimensions)
    order = np.random.default_rng(1).permutation(9)
    result = pool(positions, states, mask)
    renumbered = pool(positions[:, order], states[:, order], mask[:, order])
    np.testing.assert_allclose(renumbered, result[:, order], atol=1e-6)
