import itertools

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.pairs.on_pairs import AllPairs, BlockedPairs, ListedPairs, difference, on_pairs
from socialmd_tf.layers.static_shapes import static_shapes

KINDS = [AllPairs, BlockedPairs, ListedPairs]
CUTOFF = 1.5


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of up to four particles, so that a few make several, and the last is padded."""
    monkeypatch.setattr("socialmd_tf.layers.pairs.on_pairs.BLOCK", 4)


def system(num_dimensions=2, num_particles=7, seed=0):
    """Positions, values `[B, N, 3]` and a mask of three systems, the second padded and the third only padding."""
    generator = np.random.default_rng(seed)
    mask = np.ones((3, num_particles))
    mask[1, -2:] = 0
    mask[2] = 0
    arrays = generator.normal(size=(3, num_particles, num_dimensions)), generator.normal(size=(3, num_particles, 3))
    return [tf.constant(array, "float32") for array in (*arrays, mask)]


def messages(own, other, near):
    """Sums over j of v_i v_j^2 x exp(-|d|^2), then of d, for both ends."""
    displacement = difference(own[0], other[0])
    falls = tf.exp(-tf.reduce_sum(displacement**2, axis=0)) * near
    first, second = own[1][..., None], other[1][..., None, :]
    to_own = tf.concat([first * second**2 * falls, displacement * near], axis=0)
    to_other = tf.concat([second * first**2 * falls, -displacement * near], axis=0)
    return tf.einsum("crnm->rnc", to_own), tf.einsum("crnm->rmc", to_other)


def sums(held, positions, values):
    """The sums for the first end of all pairs, and those for both ends: `[2, B, N, 3 + D]`."""
    one = held.sum(lambda *arguments: messages(*arguments)[0], positions, values)
    return tf.stack([one, held.sum_both(messages, positions, values)])


def slow_sums(positions, values, mask, cutoff):
    positions, values = np.asarray(positions, np.float64), np.asarray(values, np.float64)
    result = np.zeros((*positions.shape[:2], 3 + positions.shape[2]))
    for b, i, j in np.ndindex(*positions.shape[:2], positions.shape[1]):
        displacement = positions[b, j] - positions[b, i]
        if i != j and mask[b, i] and mask[b, j] and np.linalg.norm(displacement) <= cutoff:
            falls = np.exp(-(displacement @ displacement))
            result[b, i] += np.concatenate([values[b, i] * values[b, j] ** 2 * falls, displacement])
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_counted_by_hand(kind):
    # On a line at 0, 1, 3: the first two are in range of each other, and the third exactly at the cutoff of the second.
    positions = tf.constant([[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]])
    own, other = tf.constant([[[1.0], [2.0], [4.0]]]), tf.constant([[[1.0], [10.0], [100.0]]])

    def products(mine, others, near):
        return tf.einsum("crn,crm,rnm->rnc", mine[0], others[1], near)

    held = kind(positions, tf.ones((1, 3)), 2.0)
    assert held.sum(products, own, other).numpy().tolist() == [[[10.0], [2 * 101.0], [4 * 10.0]]]


@pytest.mark.slow_cases("BlockedPairs-*-13", "BlockedPairs-2-1", "BlockedPairs-2-4")
@pytest.mark.parametrize("num_particles", [1, 4, 13])
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_loops_over_pairs(kind, num_dimensions, num_particles):
    positions, values, mask = system(num_dimensions, num_particles)
    expected = slow_sums(positions, values, mask, CUTOFF)
    if num_particles > 5:
        assert (expected != 0).any(axis=-1).sum() > 8
    for found in sums(kind(positions, mask, CUTOFF), positions, values):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def value_and_gradients(positions, values, mask, cutoff=CUTOFF):
    with tf.GradientTape() as tape:
        tape.watch([positions, values])
        result = on_pairs(lambda held: sums(held, positions, values), positions, mask, cutoff)
        total = tf.reduce_sum(result**2)
    return result, *tape.gradient(total, [positions, values])


@pytest.mark.slow
def test_all_kinds_have_the_same_sums_and_gradients(hold_pairs):
    arrays = system()
    found = []
    for way in ("all pairs", "pairs of blocks", "listed pairs"):
        hold_pairs(way)
        found.append(value_and_gradients(*arrays))
    for dense, *others in zip(*found, strict=True):
        assert np.abs(dense).max() > 0.1
        for other in others:
            np.testing.assert_allclose(other, dense, rtol=1e-5, atol=1e-5)


def kind_used(num_particles, spread):
    positions = tf.constant(spread * np.random.default_rng(0).normal(size=(2, num_particles, 2)), "float32")
    held = []
    on_pairs(lambda kind: held.append(type(kind)) or positions, positions, None, CUTOFF)
    return held[-1]


def test_few_are_held_at_once_many_by_blocks_and_the_scattered_among_many_are_listed(monkeypatch):
    monkeypatch.setattr("socialmd_tf.layers.pairs.few_or_many.LIMIT", 12)
    assert kind_used(12, spread=0.1) is kind_used(12, spread=1e3) is AllPairs
    assert kind_used(13, spread=0.1) is BlockedPairs
    assert kind_used(13, spread=1e3) is ListedPairs


@pytest.mark.slow
def test_one_graph_takes_any_number_of_particles_in_a_loop(monkeypatch):
    """The branch is chosen when the graph runs, inside of a loop, and gradients pass through all."""
    monkeypatch.setattr("socialmd_tf.layers.pairs.few_or_many.LIMIT", 4)

    def step(positions, values, mask):
        following = on_pairs(lambda held: held.sum_both(messages, positions, values), positions, mask, CUTOFF)
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
    for num_particles, spread in ((3, 1), (7, 1), (13, 20)):
        positions, values, mask = system(num_particles=num_particles)
        arrays = spread * positions, values, mask
        for found, wanted in zip(graph(*arrays), gradients(*arrays), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert graph.experimental_get_tracing_count() == 1


@pytest.mark.slow_cases("BlockedPairs-2")
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_of_a_system_is_that_of_a_loop_over_its_pairs(kind, num_dimensions):
    positions, values, mask = system(num_dimensions)
    held = kind(positions, mask, CUTOFF)
    found = held.minimum(lambda own, other: tf.reduce_sum(tf.sin(3 * difference(own[0], other[0])) ** 2, 0), values)
    for b in range(2):
        real = np.flatnonzero(mask[b])
        squares = [
            float(tf.reduce_sum(tf.sin(3 * (values[b, j] - values[b, i])) ** 2))
            for i, j in itertools.combinations(real, 2)
            if np.linalg.norm(positions[b, i] - positions[b, j]) <= CUTOFF
        ]
        assert found[b].numpy() == pytest.approx(min(squares), rel=1e-5)
    assert found[2] > 1e38  # nothing but padding


@pytest.mark.slow_cases("pairs of blocks-1", "pairs of blocks-7")
@pytest.mark.parametrize("num_particles", [1, 4, 7])
def test_nobody_in_range_sums_to_zero(num_particles, held):
    positions, values, mask = system(num_particles=num_particles)
    for result in value_and_gradients(positions, values, mask, cutoff=1e-6):
        assert not np.asarray(result).any()


def test_no_mask_means_all_are_real():
    positions, values, mask = system()
    found = value_and_gradients(positions, values, None)
    for one, other in zip(found, value_and_gradients(positions, values, tf.ones_like(mask)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_all_pairs_have_static_shapes(monkeypatch):
    monkeypatch.setattr("socialmd_tf.layers.pairs.few_or_many.LIMIT", 12)
    with static_shapes():
        assert kind_used(13, spread=1e3) is kind_used(13, spread=0.1) is AllPairs
