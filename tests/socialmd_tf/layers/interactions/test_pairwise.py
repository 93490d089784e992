import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import PairwiseInteraction
from socialmd_tf.layers.interactions import pairwise
from tests import references

CUTOFF, SOFTENING, CHANNELS, MOVE = 2.0, 0.1, 3, 0.5


def make(num_dimensions, num_features=2, cutoff=CUTOFF):
    layer = PairwiseInteraction(cutoff, SOFTENING, 5, CHANNELS, MOVE)
    shape = (None, None, num_dimensions)
    layer.build(shape, shape, (None, None, num_features), (None, None, 4))
    return layer


def system(num_dimensions, num_particles=6, seed=0):
    generator = np.random.default_rng(seed)
    draw = lambda size: generator.normal(size=(2, num_particles, size)).astype("float32")  # noqa: E731
    mask = np.ones((2, num_particles), "float32")
    mask[1, -1] = 0
    return draw(num_dimensions), draw(num_dimensions), draw(2), draw(4), mask


def slow(layer, positions, velocities, features, mask):
    """The sums by loops over systems and pairs."""
    weights = references.weights_by_name(layer)
    batch_size, num_particles, num_dimensions = positions.shape
    gamma = np.zeros((batch_size, num_particles, CHANNELS * (num_dimensions + 1)))
    for b in range(batch_size):
        for i in range(num_particles):
            for j in range(num_particles):
                d = positions[b, j].astype("float64") - positions[b, i]
                if i == j or not mask[b, i] or not mask[b, j] or np.linalg.norm(d) > layer.cutoff:
                    continue
                r = np.sqrt(d @ d + SOFTENING**2)
                velocity = (velocities[b, j].astype("float64") - velocities[b, i]) / MOVE
                speed = np.sqrt(velocity @ velocity + 1e-6)
                own, other = features[b, i], features[b, j]
                pair = [np.log(r), velocity @ d / r, speed]
                hidden = np.concatenate([pair, own, other, np.outer(own, other).ravel()])
                for name in ("hidden_0", "hidden_1"):
                    hidden = references.silu(hidden @ weights[f"{name}/kernel"] + weights[f"{name}/bias"])
                phi, psi = np.split(hidden @ weights["output/kernel"] + weights["output/bias"], 2)
                gamma[b, i] += np.concatenate([np.outer(phi, d / r**3).ravel(), psi / r**2])
    return gamma


@pytest.mark.slow_cases("pairs of blocks-1.5-*", "pairs of blocks-20.0-3", "*-3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("cutoff", [1.5, 20.0])
def test_equals_loops_over_pairs(num_dimensions, cutoff, held):
    layer = make(num_dimensions, cutoff=cutoff)
    positions, velocities, features, hidden_state, mask = system(num_dimensions)
    gamma = layer(positions, velocities, features, hidden_state, mask)
    expected = slow(layer, positions, velocities, features, mask)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(gamma, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow_cases("pairs of blocks")
def test_messages_turn_with_the_system_and_ignore_where_it_is(held):
    layer = make(2, cutoff=20.0)
    positions, velocities, features, hidden_state, mask = system(2)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], "float32")
    gamma = np.asarray(layer(positions, velocities, features, hidden_state, mask))
    moved = np.asarray(layer(positions @ turn.T + 8, velocities @ turn.T, features, hidden_state, mask))
    vectors = gamma[..., : 2 * CHANNELS].reshape(2, 6, CHANNELS, 2)
    np.testing.assert_allclose(moved[..., : 2 * CHANNELS].reshape(vectors.shape), vectors @ turn.T, atol=2e-3)
    np.testing.assert_allclose(moved[..., 2 * CHANNELS :], gamma[..., 2 * CHANNELS :], atol=2e-3)


@pytest.mark.slow_cases("pairs of blocks")
def test_a_lone_particle_sees_nothing_and_coincident_ones_give_finite_messages(held):
    layer = make(2)
    positions, velocities, features, hidden_state, _ = system(2, num_particles=1)
    assert not np.asarray(layer(positions, velocities, features, hidden_state, None)).any()
    positions, velocities, features, hidden_state, _ = system(2)
    gamma = np.asarray(layer(positions * 0, velocities, features, hidden_state, None))
    assert np.isfinite(gamma).all() and not gamma[..., : 2 * CHANNELS].any()


@pytest.mark.slow
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_gradients_do_not_depend_on_how_pairs_are_held(num_dimensions, hold_pairs):
    layer = make(num_dimensions)
    arrays = [tf.constant(array) for array in system(num_dimensions)]
    found = []
    for way in ("all pairs", "pairs of blocks", "listed pairs"):
        hold_pairs(way)
        variables = arrays[:3] + [weight.value for weight in layer.weights]
        with tf.GradientTape() as tape:
            tape.watch(arrays[:3])
            total = tf.reduce_sum(tf.sin(layer(*arrays)))
        found.append(tape.gradient(total, variables))
    for dense, blocked, listed in zip(*found, strict=True):
        assert np.abs(dense).max() > 1e-3
        np.testing.assert_allclose(blocked, dense, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(listed, dense, rtol=1e-3, atol=1e-4)


def test_gradients_are_the_same_where_pairs_are_computed_again(monkeypatch):
    """As those of many particles are."""
    layer, (positions, velocities, features, _, mask) = make(2), map(tf.constant, system(2))

    def gradients(most):
        monkeypatch.setattr(pairwise, "_MANY", most)
        given = (positions, velocities, features)
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = tf.reduce_sum(tf.sin(layer(*given, None, mask)))
        return tape.gradient(loss, [*given, *layer.trainable_variables])

    for found, expected in zip(gradients(0), gradients(1000), strict=True):
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_particle_of_overflowing_distance_and_velocity_is_not_the_others_error():
    layer = make(2)
    positions, velocities, features, hidden_state, mask = system(2)
    mask[0, 0] = 0
    expected = layer(positions, velocities, features, hidden_state, mask)
    mask[0, 0] = 1
    positions[0, 0], velocities[0, 0] = 1e30, 1e30
    np.testing.assert_array_equal(layer(positions, velocities, features, hidden_state, mask), expected)
