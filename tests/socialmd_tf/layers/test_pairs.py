import itertools

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import neighbor_list, pairs
from socialmd_tf.layers.pairs import AllPairs, ListedPairs, on_pairs

KINDS = [AllPairs, ListedPairs]
CUTOFF = 1.5


def system(num_dimensions=2, num_particles=7, seed=0):
    """Positions, values `[B, N, 3]` and a mask of three systems, the second padded and the third only padding."""
    generator = np.random.default_rng(seed)
    mask = np.ones((3, num_particles))
    mask[1, -2:] = 0
    mask[2] = 0
    arrays = generator.normal(size=(3, num_particles, num_dimensions)), generator.normal(size=(3, num_particles, 3))
    return [tf.constant(array, "float32") for array in (*arrays, mask)]


def sums(pairs, positions, values):
    """A function of pairs with every method: sum over j of v_i v_j^2 x exp(-|d|^2), then of d."""
    displacement = pairs.difference(positions)
    first, second = pairs.ends(values)
    falls = tf.exp(-tf.reduce_sum(displacement**2, axis=-1, keepdims=True))
    return tf.concat([pairs.sum(first * second**2 * falls), pairs.sum(displacement)], axis=-1)


def slow_sums(positions, values, mask, cutoff):
    positions, values = np.asarray(positions, np.float64), np.asarray(values, np.float64)
    result = np.zeros((*positions.shape[:2], 3 + positions.shape[2]))
    for b, i, j in np.ndindex(*positions.shape[:2], positions.shape[1]):
        displacement = positions[b, j] - positions[b, i]
        if i != j and mask[b, i] and mask[b, j] and np.linalg.norm(displacement) <= cutoff:
            falls = np.exp(-(displacement @ displacement))
            result[b, i] += np.concatenate([values[b, i] * values[b, j] ** 2 * falls, displacement])
    return result


@pytest.fixture
def few_are_many(monkeypatch):
    """Pairs are listed, by boxes, for more than four particles."""
    for module in (pairs, neighbor_list):
        monkeypatch.setattr(module, "DENSE_LIMIT", 4)


@pytest.mark.parametrize("kind", KINDS)
def test_counted_by_hand(kind):
    # On a line at 0, 1, 3: the first two are in range of each other, and the third exactly at the cutoff of the second.
    positions = tf.constant([[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]])
    held = kind(positions, tf.ones((1, 3)), 2.0)
    _, other = held.ends(tf.constant([[[1.0], [10.0], [100.0]]]))
    own, _ = held.ends(tf.constant([[[1.0], [2.0], [4.0]]]))
    assert held.sum(own * other).numpy().tolist() == [[[10.0], [2 * 101.0], [4 * 10.0]]]


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_loops_over_pairs(kind, num_dimensions, few_are_many):
    positions, values, mask = system(num_dimensions)
    expected = slow_sums(positions, values, mask, CUTOFF)
    assert (expected != 0).any(axis=-1).sum() > 8
    found = sums(kind(positions, mask, CUTOFF), positions, values)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def value_and_gradients(positions, values, mask, cutoff=CUTOFF):
    with tf.GradientTape() as tape:
        tape.watch([positions, values])
        result = on_pairs(lambda held: sums(held, positions, values), positions, mask, cutoff)
        total = tf.reduce_sum(result**2)
    return result, *tape.gradient(total, [positions, values])


def test_both_kinds_have_the_same_sums_and_gradients(few_are_many, monkeypatch):
    positions, values, mask = system()
    listed = value_and_gradients(positions, values, mask)
    monkeypatch.setattr(pairs, "DENSE_LIMIT", 100)
    dense = value_and_gradients(positions, values, mask)
    for one, other in zip(listed, dense, strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_few_particles_are_held_densely_and_many_are_listed(few_are_many):
    held = []
    for num_particles in (4, 5):
        positions, _, mask = system(num_particles=num_particles)
        on_pairs(lambda kind: held.append(type(kind)), positions, mask, CUTOFF)
    assert held == [AllPairs, ListedPairs]


def test_one_graph_takes_any_number_of_particles_in_a_loop(few_are_many):
    """The branch is chosen when the graph runs, inside of a loop, and gradients pass through both."""

    def step(positions, values, mask):
        following = on_pairs(lambda held: sums(held, positions, values), positions, mask, CUTOFF)
        return positions + 0.1 * following[..., 3:], values + 0.1 * following[..., :3]

    def repeated(positions, values, mask):
        for _ in tf.range(2):
            positions, values = step(positions, values, mask)
        return positions, values

    def gradients(positions, values, mask):
        with tf.GradientTape() as tape:
            tape.watch([positions, values])
            total = sum(tf.reduce_sum(result**2) for result in repeated(positions, values, mask))
        return total, *tape.gradient(total, [positions, values])

    specs = [tf.TensorSpec(shape, "float32") for shape in ([None, None, 2], [None, None, 3], [None, None])]
    graph = tf.function(gradients, input_signature=specs)
    for num_particles in (3, 7):
        arrays = system(num_particles=num_particles)
        for found, wanted in zip(graph(*arrays), gradients(*arrays), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert graph.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_of_a_system_is_that_of_a_loop_over_its_pairs(kind, num_dimensions, few_are_many):
    positions, values, mask = system(num_dimensions)
    held = kind(positions, mask, CUTOFF)
    own, other = held.ends(values[..., :1])
    found = held.minimum((own - 2 * other)[..., 0]).numpy()
    for b in range(3):
        real = np.flatnonzero(mask[b])
        differences = [
            float(values[b, i, 0] - 2 * values[b, j, 0])
            for i, j in itertools.permutations(real, 2)
            if np.linalg.norm(positions[b, i] - positions[b, j]) <= CUTOFF
        ]
        if differences:
            assert found[b] == pytest.approx(min(differences), rel=1e-6)
    assert found[2] > 1e38  # nothing but padding


@pytest.mark.parametrize("num_particles", [1, 4, 7])
def test_nobody_in_range_sums_to_zero(num_particles, few_are_many):
    positions, values, mask = system(num_particles=num_particles)
    for result in value_and_gradients(positions, values, mask, cutoff=1e-6):
        assert not np.asarray(result).any()


def test_no_mask_means_all_are_real():
    positions, values, mask = system()
    found = value_and_gradients(positions, values, None)
    for one, other in zip(found, value_and_gradients(positions, values, tf.ones_like(mask)), strict=True):
        np.testing.assert_array_equal(one, other)
