import numpy as np
import pytest
import tensorflow as tf

from pipelines.nbody.forces import forces
from socialmd_tf.layers import PairForce
from socialmd_tf.layers.static_shapes import static_shapes
from tests import references

SOFTENING, SCALE, CHARGES = 0.3, 0.5, 3


def make(num_dimensions=2, num_features=2, cutoff=20.0, softening=SOFTENING, seed=0):
    """A force with random weights, biases too."""
    force = PairForce(CHARGES, softening, cutoff, SCALE, units=5)
    force.build((None, None, num_dimensions), (None, None, num_features))
    generator = np.random.default_rng(seed)
    force.set_weights([generator.normal(scale=0.6, size=weight.shape) for weight in force.weights])
    return force


def system(num_dimensions=2, num_particles=6, seed=0):
    """Two systems, the second padded; multiples of 1 / 256, so that float32 holds them wherever the system is."""
    generator = np.random.default_rng(seed)
    positions = np.round(generator.normal(size=(2, num_particles, num_dimensions)) * 256) / 256
    mask = np.ones((2, num_particles))
    mask[1, -1] = 0
    arrays = positions, generator.normal(size=(2, num_particles, 2)), mask
    return [array.astype("float32") for array in arrays]


def slow(force, positions, features, mask, weights=None):
    weights = references.weights_by_name(force) if weights is None else weights
    settings = force.softening, force.cutoff, force.acceleration_scale
    return references.pair_force(positions, features, mask, weights, *settings)


@pytest.mark.slow_cases("pairs of blocks-*", "listed pairs-*-3", "listed pairs-20.0-*")
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("cutoff", [1.5, 20.0])
def test_equals_loops_over_pairs(num_dimensions, cutoff, held):
    force = make(num_dimensions, cutoff=cutoff)
    arrays = system(num_dimensions)
    expected = slow(force, *arrays)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(force(*arrays), expected, rtol=1e-4, atol=1e-5)
    with static_shapes():
        np.testing.assert_allclose(force(*arrays), expected, rtol=1e-4, atol=1e-5)


def central_difference(function, values, index, step=1e-4):
    around = []
    for sign in (1, -1):
        changed = values.astype(np.float64)
        changed[index] += sign * step
        around.append(function(changed))
    return (around[0] - around[1]) / (2 * step)


def test_particles_without_features_are_all_alike():
    force = make(num_features=0)
    positions, features, mask = system()
    arrays = positions, features[..., :0], mask
    expected = slow(force, *arrays)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(force(*arrays), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow_cases(
    all_but=["static shapes-pairs of blocks-2", "static shapes-listed pairs-2", "static shapes-all pairs-3"]
)
@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_gradients_are_those_of_the_loops(num_dimensions, held):
    force = make(num_dimensions)
    positions, features, mask = system(num_dimensions, num_particles=4)
    coefficients = np.random.default_rng(1).normal(size=positions.shape)
    variables = [tf.Variable(positions), tf.Variable(features), *(weight.value for weight in force.weights)]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.cast(force(*variables[:2], mask), "float64") * coefficients)
    gradients = [np.asarray(gradient) for gradient in tape.gradient(total, variables)]

    weights = references.weights_by_name(force)

    def slope(number, index):
        def function(values):
            arrays, changed = [positions, features], dict(weights)
            if number < 2:
                arrays[number] = values
            else:
                changed[list(weights)[number - 2]] = values
            return (slow(force, *arrays, mask, changed) * coefficients).sum()

        return central_difference(function, np.asarray(variables[number]), index)

    generator = np.random.default_rng(2)
    for number, gradient in enumerate(gradients):
        largest = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        for index in (largest, tuple(generator.integers(gradient.shape))):
            assert gradient[index] == pytest.approx(slope(number, index), rel=1e-3, abs=1e-4)


@pytest.mark.slow_cases("*pairs of blocks", "listed pairs")
def test_moving_the_whole_system_changes_nothing(held):
    force = make()
    positions, *others = system()
    np.testing.assert_array_equal(force(positions + 1000, *others), force(positions, *others))


@pytest.mark.slow_cases("listed pairs-*", "pairs of blocks-*")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_turned_and_mirrored_systems_have_turned_and_mirrored_forces(num_dimensions, held):
    force = make(num_dimensions)
    positions, *others = system(num_dimensions)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(num_dimensions, num_dimensions)))
    for matrix in (turn, turn @ np.diag([-1] + [1] * (num_dimensions - 1))):
        matrix = matrix.astype("float32")
        expected = np.asarray(force(positions, *others)) @ matrix.T
        np.testing.assert_allclose(force(positions @ matrix.T, *others), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow_cases("pairs of blocks")
def test_renumbered_particles_have_renumbered_forces(held):
    force = make()
    arrays = system()
    order = np.random.default_rng(1).permutation(6)
    renumbered = force(*(array[:, order] for array in arrays))
    np.testing.assert_allclose(renumbered, np.asarray(force(*arrays))[:, order], rtol=1e-5, atol=1e-5)


@pytest.mark.slow_cases(all_but=["all pairs"])
def test_padding_feels_nothing_and_does_nothing(held):
    force = make()
    positions, features, mask = system()
    found = np.asarray(force(positions, features, mask))
    assert not found[1, -1].any()
    np.testing.assert_allclose(found[1:, :-1], force(positions[1:, :-1], features[1:, :-1]), rtol=1e-5, atol=1e-6)


@pytest.mark.slow_cases("pairs of blocks")
def test_new_weights_act_as_charges_do_on_the_inverse_square(held):
    force = PairForce(CHARGES, SOFTENING, 20.0, SCALE)
    positions, features, mask = system()
    found = force(positions, features, mask)
    responses, sources = (np.asarray(charges, np.float64) for charges in force.charges(features))
    displacement = positions[:, None].astype("float64") - positions[:, :, None]
    squared = (displacement**2).sum(axis=-1, keepdims=True) + SOFTENING**2
    products = (responses[:, :, None] * sources[:, None]).sum(axis=-1, keepdims=True)
    real = (mask[:, None] * mask[:, :, None])[..., None]
    expected = SCALE * (real * products * displacement / squared**1.5).sum(axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def set_linear_charges(force, responses, sources):
    """Make charges linear functions `[F + 1, K]` of the features: silu(x) - silu(-x) = x, twice."""
    for layers, matrix in ((force.responses, responses), (force.sources, sources)):
        matrix = np.asarray(matrix, "float32")
        num_charges = matrix.shape[1]
        kernels = [np.zeros(layer.kernel.shape, "float32") for layer in layers]
        kernels[0][:, :num_charges], kernels[0][:, num_charges : 2 * num_charges] = matrix, -matrix
        there_and_back = np.block([[1.0, -1.0], [-1.0, 1.0]])
        kernels[1][: 2 * num_charges, : 2 * num_charges] = np.kron(there_and_back, np.eye(num_charges))
        kernels[2][: 2 * num_charges] = np.concatenate([np.eye(num_charges), -np.eye(num_charges)])
        for layer, kernel in zip(layers, kernels, strict=True):
            layer.kernel.assign(kernel)
            layer.bias.assign(np.zeros(layer.bias.shape))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_coulomb_forces_and_gravity_are_two_charges(num_dimensions, held):
    generator = np.random.default_rng(4)
    masses, charges = generator.uniform(1, 4, 5), generator.normal(size=5)
    positions = 3 * generator.normal(size=(5, num_dimensions))
    constants = {"coulomb_constant": 3.0, "gravitational_constant": 0.7}
    force = PairForce(2, 1e-4, 100.0, 1.0)
    features = np.stack([masses, charges, charges / masses], axis=-1)[None]
    force.build(positions[None].shape, features.shape)
    # u = (k q / m, G), w = (-q, m), of the features m, q, q / m and 1.
    force_weights = [[0, 0], [0, 0], [constants["coulomb_constant"], 0], [0, constants["gravitational_constant"]]]
    set_linear_charges(force, force_weights, [[0, 1], [-1, 0], [0, 0], [0, 0]])
    expected = forces(positions, masses, charges, **constants) / masses[:, None]
    found = force(positions[None].astype("float32"), features.astype("float32"))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow_cases("pairs of blocks-*")
@pytest.mark.parametrize("distance", [0.0, 1e-30, 1e-6, 1e4, 1e18])
def test_finite_at_any_distance(distance, held):
    force = make(softening=0.01)
    positions, features, mask = system()
    positions = tf.constant(positions * distance)
    with tf.GradientTape() as tape:
        tape.watch(positions)
        found = force(positions, features, mask)
        total = tf.reduce_sum(found**2)
    assert np.isfinite(found).all() and np.isfinite(tape.gradient(total, positions)).all()
    if distance in (0.0, 1e18):
        assert not np.asarray(found).any()


def test_a_particle_of_overflowing_distance_is_not_the_others_error():
    force = make()
    positions, features, mask = system()
    mask[0, 0] = 0
    expected = force(positions, features, mask)
    away = positions.copy()
    away[0, 0] = 1e30
    for is_real in (0, 1):
        mask[0, 0] = is_real
        moved = tf.constant(away)
        with tf.GradientTape() as tape:
            tape.watch(moved)
            found = force(moved, features, mask)
            total = tf.reduce_sum(found**2)
        np.testing.assert_array_equal(found, expected)
        assert np.isfinite(tape.gradient(total, moved)).all()


def test_a_lone_particle_is_free(held):
    positions, features, mask = system(num_particles=1)
    assert not np.asarray(make()(positions, features, np.ones_like(mask))).any()
