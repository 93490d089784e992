import dataclasses
import json

import numpy as np
import pytest

from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.law import Law
from socialmd_tf.layers import VerletHead
from socialmd_tf.layers.forces import SumOfTerms
from socialmd_tf.layers.forces.bond_force import bond_rows
from socialmd_tf.layers.static_shapes import static_shapes
from socialmd_tf.training.law import ModelLaw, model_law
from tests.socialmd_tf.fitting.systems import trajectories

KNOTS, SCALE = 8, 0.25


@dataclasses.dataclass(frozen=True)
class Fitted:
    law: Law
    errors: np.ndarray


def random_law(data, **changes):
    basis = dataclasses.replace(candidate_basis(data, KNOTS), **changes)
    coefficients = np.random.default_rng(0).normal(size=basis.num_columns)
    return Fitted(Law(basis, coefficients), np.abs(coefficients))


def layer_of(fitted, num_dimensions) -> SumOfTerms:
    law: ModelLaw = model_law(fitted)
    force = SumOfTerms(dataclasses.asdict(law.terms), num_dimensions, SCALE)
    force.build()
    law.set_weights(force)
    return force


def inputs_of(data, positions):
    inputs = {"positions": positions, "features": data.features, "mask": data.mask}
    inputs = {name: values.astype("float32") for name, values in inputs.items()}
    if data.cell is not None:
        inputs["box"] = data.cell.astype("float32")
    real = data.mask[:, :, None] & data.mask[:, None]
    return {**inputs, "edges": (data.edges * real).astype("int32")}


@pytest.mark.slow_cases(
    all_but=[
        "shapes by values-2-False-inf",
        "shapes by values-3-True-2.0",
        "static shapes-3-False-inf",
        "static shapes-2-True-2.0",
    ]
)
@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("limit", [np.inf, 2.0])
@pytest.mark.parametrize("is_periodic", [False, True])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_sum_is_that_of_the_fitted_law(num_dimensions, is_periodic, limit):
    """Pairs, bonds of two types, a field and friction, with the same coefficients; padding has none."""
    data = trajectories(num_dimensions, is_periodic=is_periodic)
    fitted = random_law(data, limit=limit)
    force = layer_of(fitted, num_dimensions)
    assert (force.field is None) == is_periodic and force.terms["num_bond_types"] == 2
    assert force.is_equivariant == (is_periodic and np.isinf(limit))
    x, v = data.positions[:, 0], data.positions[:, 1] - data.positions[:, 0]
    inputs = inputs_of(data, x)
    found = np.asarray(force(inputs)) - np.asarray(force.prepare(inputs)["rates"]) * v
    expected = fitted.law.on(data.features, data.edges, data.mask, data.cell)(x, v)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
    assert not np.any(found[1, -1])


def test_absent_terms_have_no_layers_and_a_law_without_terms_no_forces():
    data = trajectories(2)
    fitted = random_law(data, channels=(), fields=())
    force = layer_of(fitted, 2)
    assert force.pairs is force.bonds is force.field is None
    assert not np.any(force(inputs_of(data, data.positions[:, 0])))
    assert {weight.name for weight in force.weights} == {"gamma"}


def test_bonds_are_listed_once_and_filled_up_with_zeros():
    edges = np.zeros((2, 4, 4), np.int32)
    for system, i, j, kind in ((0, 0, 2, 1), (0, 1, 3, 2), (1, 3, 0, 1)):
        edges[system, i, j] = edges[system, j, i] = kind
    expected = [[[0, 2, 1], [1, 3, 2]], [[0, 3, 1], [0, 0, 0]]]
    np.testing.assert_array_equal(bond_rows(edges), expected)
    assert bond_rows(np.zeros((2, 3, 3), np.int32)).shape == (2, 0, 3)
    with static_shapes():
        every = bond_rows(edges).numpy()
    assert every.shape == (2, 16, 3)
    for rows, bonds in zip(every, expected, strict=True):
        np.testing.assert_array_equal(rows[rows[:, 2] > 0], [bond for bond in bonds if bond[2]])


def test_configuration_round_trip():
    data = trajectories(2)
    force = layer_of(random_law(data), 2)
    again = SumOfTerms.from_config(json.loads(json.dumps(force.get_config())))
    again.build()
    again.set_weights(force.get_weights())
    inputs = inputs_of(data, data.positions[:, 0])
    np.testing.assert_array_equal(again(inputs), force(inputs))


@pytest.mark.slow
def test_a_head_with_a_sum_of_terms_round_trips():
    data = trajectories(2)
    inputs = inputs_of(data, data.positions[:, 0])
    head = VerletHead(2, 1, 1e-3, SCALE, layer_of(random_law(data), 2), 2, 0.1, is_corrected=False)
    shapes = {name: values.shape for name, values in inputs.items()}
    head.build((2, 5, 3), shapes)
    again = VerletHead.from_config(json.loads(json.dumps(head.get_config())))
    again.build((2, 5, 3), shapes)
    again.set_weights(head.get_weights())
    velocities = (data.positions[:, 1] - data.positions[:, 0]).astype("float32")
    for found, expected in zip(again.integrate(inputs, velocities), head.integrate(inputs, velocities), strict=True):
        np.testing.assert_array_equal(found, expected)
