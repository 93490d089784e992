import dataclasses
import json
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.law import Law
from socialmd_tf.layers.forces import BasisForce, BondForce, Friction, PolynomialField
from tests import laws_reference
from tests.socialmd_tf.fitting.systems import CELL, trajectories

KNOTS, NEAREST, FARTHEST, CORE = 8, 0.4, 4.0, 0.2
ONE, CHARGE, PER_MASS, IS_LIGHT = {}, {"powers": [[1, 1]]}, {"powers": [[0, -1]]}, {"indicates": [0, 1.0]}
CHANNELS = [
    {"own": PER_MASS, "other": ONE},
    {"own": {"powers": [[0, -1], [1, 1]]}, "other": CHARGE},
    {"own": IS_LIGHT, "other": ONE},
]
EDGES = np.array([[[0, 1, 1], [2, 1, 2], [3, 0, 1]], [[1, 2, 2], [0, 0, 0], [0, 0, 0]]], np.int32)


def system(num_dimensions, num_particles=5, seed=0):
    """Two systems, the second padded; the first two particles nearer than the core."""
    rng = np.random.default_rng(seed)
    positions = np.round(rng.normal(size=(2, num_particles, num_dimensions)) * 256) / 256
    positions[:, 1] = positions[:, 0] + 0.05
    features = np.stack([rng.integers(1, 3, (2, num_particles)), rng.normal(size=(2, num_particles))], axis=-1)
    mask = np.ones((2, num_particles))
    mask[1, -1] = 0
    features[1, -1] = 0
    return [array.astype("float32") for array in (positions, features, mask)]


def randomized(layer, seed=0):
    """The layer with random coefficients."""
    layer.build()
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def pair_force(**options):
    return randomized(BasisForce(CHANNELS, KNOTS, NEAREST, FARTHEST, CORE, acceleration_scale=0.5, **options))


def channel_weights(features):
    mass, charge = np.where(features[:, 0] > 0, features[:, 0], 1.0), features[:, 1]
    ones = np.ones_like(mass)
    return [np.outer(1 / mass, ones), np.outer(charge / mass, charge), np.outer(mass == 1, ones)]


def slow(force, positions, features, mask, cells=(None, None), coefficients=None):
    coefficients = np.asarray(force.splines.coefficients, np.float64) if coefficients is None else coefficients
    settings = NEAREST, FARTHEST, CORE, force.cutoff or np.inf
    return 0.5 * np.stack([
        laws_reference.pair_accelerations(x, m, channel_weights(f), coefficients, *settings, cell)
        for x, f, m, cell in zip(*(np.asarray(a, np.float64) for a in (positions, features, mask)), cells, strict=True)
    ])  # fmt: skip


@pytest.mark.slow_cases("pairs of blocks-*", "listed pairs-*-3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("cutoff", [None, 1.5])
def test_pairs_equal_the_loops(num_dimensions, cutoff, held):
    force, arrays = pair_force(cutoff=cutoff), system(num_dimensions)
    expected = slow(force, *arrays)
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(force(*arrays), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow_cases(all_but=["all pairs-False-2", "all pairs-True-3"])
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("is_triclinic", [False, True])
def test_pairs_in_a_box_equal_the_loops(num_dimensions, is_triclinic, held):
    force, (positions, features, mask) = pair_force(cutoff=1.0), system(num_dimensions, num_particles=9)
    positions = 2 * positions
    cells = np.stack([CELL[num_dimensions], 1.1 * CELL[num_dimensions]])
    if not is_triclinic:
        cells = cells * np.eye(num_dimensions)
    box = (cells if is_triclinic else np.diagonal(cells, axis1=1, axis2=2)).astype("float32")
    expected = slow(force, positions, features, mask, cells)
    assert np.abs(expected - slow(force, positions, features, mask)).max() > 0.1  # images count
    np.testing.assert_allclose(force(positions, features, mask, box), expected, rtol=1e-3, atol=1e-4)
    shifts = np.random.default_rng(1).integers(-2, 3, positions.shape) @ cells
    moved = (positions + shifts).astype("float32")
    np.testing.assert_allclose(force(moved, features, mask, box), expected, rtol=1e-2, atol=2e-3)


@pytest.mark.slow_cases("*-3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("cell", [None, "box"])
def test_gradients_are_those_of_the_loops(cell, num_dimensions):
    force, (positions, features, mask) = pair_force(cutoff=1.2), system(num_dimensions)
    cells = (None, None) if cell is None else np.stack([CELL[num_dimensions]] * 2)
    box = None if cell is None else cells.astype("float32")
    direction = np.random.default_rng(1).normal(size=positions.shape)
    variables = [tf.Variable(positions), force.splines.coefficients.value]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.cast(force(variables[0], features, mask, box), "float64") * direction)
    of_positions, of_coefficients = (np.asarray(gradient) for gradient in tape.gradient(total, variables))
    coefficients = np.asarray(force.splines.coefficients, np.float64)

    def value(x, c):
        return np.sum(slow(force, x, features, mask, cells, c) * direction)

    for index in [(0, 0, 0), (0, 2, 1), (1, 3, 0), (1, 4, 1)]:
        move = np.zeros(positions.shape)
        move[index] = 1e-5
        slope = (value(positions + move, coefficients) - value(positions - move, coefficients)) / 2e-5
        assert of_positions[index] == pytest.approx(slope, rel=1e-3, abs=1e-3)
    for index in [(0, 1), (1, 4), (2, 3)]:
        move = np.zeros(coefficients.shape)
        move[index] = 1e-3
        slope = (value(positions, coefficients + move) - value(positions, coefficients - move)) / 2e-3
        assert of_coefficients[index] == pytest.approx(slope, rel=1e-3, abs=1e-3)


def slow_bonds(positions, coefficients):
    results = []
    for x, edges in zip(np.asarray(positions, np.float64), EDGES, strict=True):
        weights = np.zeros((2, 5, 5))
        for i, j, kind in edges:
            weights[kind - 1, i, j] = weights[kind - 1, j, i] = kind > 0
        settings = NEAREST, FARTHEST, CORE
        results.append(laws_reference.pair_accelerations(x, np.ones(5), weights, coefficients, *settings))
    return np.stack(results)


def slow_field(positions, coefficients, features, mask):
    result = np.zeros(positions.shape)
    for b, i in zip(*np.nonzero(mask), strict=True):
        for block, factor in zip(coefficients, (1.0, 1 / features[b, i, 0]), strict=True):
            result[b, i] += factor * laws_reference.field(
                positions[b, i].astype(float), block, [0.3] * positions.shape[-1], 2.0
            )
    return result


def slow_friction(velocities, gamma, features, mask):
    """Without sums over arrays: particle by particle, with the factors 1 and 1 / mass."""
    result = np.zeros(velocities.shape)
    for b, i in zip(*np.nonzero(mask), strict=True):
        result[b, i] = -(gamma[0] + gamma[1] / features[b, i, 0]) * velocities[b, i]
    return result


@pytest.mark.parametrize("name", ["bonds", "field", "friction"])
def test_gradients_of_bonds_fields_and_friction_are_those_of_the_loops(name):
    """By the positions, or the velocities of friction, and by the weights."""
    positions, features, mask = system(2)
    positions = 0.5 * positions
    if name == "bonds":
        layer, rest = randomized(BondForce(2, KNOTS, NEAREST, FARTHEST, CORE)), (EDGES,)
        weights, slow_values = layer.splines.coefficients, slow_bonds
    elif name == "field":
        layer, rest = field_layer(2), (features, mask)
        weights, slow_values = layer.coefficients, partial(slow_field, features=features, mask=mask)
    else:
        layer, rest = randomized(Friction([ONE, PER_MASS])), (features, mask)
        weights, slow_values = layer.gamma, partial(slow_friction, features=features, mask=mask)
    direction = np.random.default_rng(1).normal(size=positions.shape)
    variables = [tf.Variable(positions), weights.value]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.cast(layer(variables[0], *rest), "float64") * direction)
    gradients = [np.asarray(gradient) for gradient in tape.gradient(total, variables)]
    start = [positions.astype(float), np.asarray(weights, np.float64)]

    def value(x, c):
        return np.sum(slow_values(x, c) * direction)

    generator = np.random.default_rng(2)
    for place in [0, 0, 0, 1, 1, 1]:
        index = tuple(int(generator.integers(size)) for size in start[place].shape)
        around = []
        for sign in (1, -1):
            moved = [values.copy() for values in start]
            moved[place][index] += sign * 1e-5
            around.append(value(*moved))
        assert gradients[place][index] == pytest.approx((around[0] - around[1]) / 2e-5, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_bonds_equal_the_loops(num_dimensions):
    force = randomized(BondForce(2, KNOTS, NEAREST, FARTHEST, CORE))
    positions = 0.3 * system(num_dimensions)[0]
    expected = slow_bonds(positions, np.asarray(force.splines.coefficients, np.float64))
    found = force(positions, EDGES)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.sum(found, axis=1), 0.0, atol=1e-3)
    cells = np.stack([CELL[num_dimensions], 1.5 * CELL[num_dimensions]])
    shifts = np.random.default_rng(1).integers(-2, 3, positions.shape) @ cells
    found = force((positions + shifts).astype("float32"), EDGES, cells.astype("float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


def field_layer(num_dimensions):
    field = randomized(PolynomialField([ONE, PER_MASS], num_dimensions))
    field.center.assign([0.3] * num_dimensions)
    field.log_length.assign(np.log(2.0))
    return field


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_field_equals_the_loops(num_dimensions):
    field, (positions, features, mask) = field_layer(num_dimensions), system(num_dimensions)
    expected = slow_field(positions, np.asarray(field.coefficients, np.float64), features, mask)
    np.testing.assert_allclose(field(positions, features, mask), expected, rtol=1e-4, atol=1e-5)


def test_friction_by_hand():
    friction = Friction([ONE, PER_MASS])
    friction.build()
    friction.gamma.assign([0.5, 2.0])
    found = friction(
        np.full((1, 2, 2), 3.0, "float32"), np.array([[[4.0], [0.0]]], "float32"), np.array([[1, 0]], "float32")
    )
    np.testing.assert_allclose(found, [[[-3.0, -3.0], [0.0, 0.0]]])


def rotation(num_dimensions):
    return np.linalg.qr(np.random.default_rng(5).normal(size=(num_dimensions, num_dimensions)))[0]


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_pairs_and_bonds_turn_and_move_with_the_system(num_dimensions):
    positions, features, mask = system(num_dimensions)
    turn, shift = rotation(num_dimensions), np.linspace(1, 2, num_dimensions)
    bonds = randomized(BondForce(2, KNOTS, NEAREST, FARTHEST, CORE))
    for function in (lambda x: pair_force()(x, features, mask), lambda x: bonds(x, EDGES)):
        here = np.asarray(function(positions))
        there = function((positions @ turn + shift).astype("float32"))
        np.testing.assert_allclose(there, here @ turn, rtol=2e-3, atol=2e-3)
    order = [2, 0, 3, 1]
    features[1, -1] = features[1, -2] = 1.0
    permuted = pair_force()(positions[:, order], features[:, order], np.ones((2, 4), "float32"))
    straight = pair_force()(positions[:, :4], features[:, :4], np.ones((2, 4), "float32"))
    np.testing.assert_allclose(permuted, np.asarray(straight)[:, order], rtol=1e-3, atol=1e-4)


def test_a_field_does_not_turn_with_the_system_and_says_so():
    positions, features, mask = system(2)
    field = randomized(PolynomialField([ONE], 2))
    there = field((positions @ rotation(2)).astype("float32"), features, mask)
    assert np.abs(np.asarray(there) - np.asarray(field(positions, features, mask)) @ rotation(2)).max() > 0.1
    assert not field.is_equivariant


LAYERS = {
    "pairs": (BasisForce, (CHANNELS, KNOTS, NEAREST, FARTHEST, CORE, 1.5)),
    "bonds": (BondForce, (2, KNOTS, NEAREST, FARTHEST, CORE)),
    "field": (PolynomialField, ([ONE, PER_MASS], 2)),
    "friction": (Friction, ([ONE, CHARGE],)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_configuration_and_file_round_trip(name, tmp_path):
    kind, arguments = LAYERS[name]
    layer = randomized(kind(*arguments))
    if hasattr(layer, "splines"):
        layer.splines.set_range(0.3, 5.0, 0.1)
    positions, features, mask = system(2)
    arrays = [positions, EDGES] if name == "bonds" else [positions, features, mask]
    expected = np.asarray(layer(*arrays))
    again = kind.from_config(json.loads(json.dumps(layer.get_config())))
    again.build()
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(*arrays), expected)
    inputs = [keras.Input(array.shape[1:], dtype=array.dtype) for array in arrays]
    keras.Model(inputs, layer(*inputs)).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(arrays), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("arguments", [(1, 3, 0.1, 1.0, 0.1), (1, 8, 0.0, 1.0, 0.1), (1, 8, 2.0, 1.0, 0.1)])
def test_impossible_ranges_are_refused(arguments):
    with pytest.raises(ValueError, match=f"{arguments[1]}"):
        BondForce(*arguments)


@pytest.mark.parametrize(("num_dimensions", "knots"), [(2, KNOTS), (3, KNOTS), (2, 1)])
def test_layers_give_the_accelerations_of_a_fitted_law(num_dimensions, knots):
    """Pairs, a field and friction of `socialmd_tf.fitting`, with the same coefficients."""
    data = trajectories(num_dimensions)
    basis = candidate_basis(data, knots)
    basis = dataclasses.replace(basis, channels=tuple(channel for channel in basis.channels if not channel.edge))
    law = Law(basis, np.random.default_rng(0).normal(size=basis.num_columns))
    pairs = len(basis.channels) * knots
    channels = [{"own": dataclasses.asdict(c.own), "other": dataclasses.asdict(c.other)} for c in basis.channels]
    factors = [dataclasses.asdict(factor) for factor in basis.fields]
    force = BasisForce(channels, knots, basis.knots.nearest, basis.knots.farthest, basis.core)
    field, friction = PolynomialField(factors, num_dimensions), Friction(factors)
    for layer in (force, field, friction):
        layer.build()
    force.splines.coefficients.assign(law.coefficients[:pairs].reshape(-1, knots))
    field.coefficients.assign(law.coefficients[pairs:-2].reshape(field.coefficients.shape))
    field.center.assign(basis.center)
    field.log_length.assign(np.log(basis.length))
    friction.gamma.assign(law.coefficients[-2:])
    x, v = (values.astype("float32") for values in (data.positions[:, 0], data.positions[:, 1]))
    known = data.features.astype("float32"), data.mask.astype("float32")
    found = force(x, *known) + field(x, *known) + friction(v, *known)
    expected = law.on(data.features, data.edges, data.mask, None)(x.astype(float), v.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
