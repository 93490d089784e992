"""The Langevin head with a fitted law."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.law import Law
from socialmd_tf.layers import LangevinHead
from socialmd_tf.layers.forces import SumOfTerms
from socialmd_tf.training.law import model_law
from tests import references
from tests.socialmd_tf.fitting.systems import trajectories
from tests.socialmd_tf.layers import periodic

SCALE = 0.2


@dataclasses.dataclass(frozen=True)
class Fitted:
    law: Law
    errors: np.ndarray


def system(num_dimensions, *, is_periodic=False, is_random=True, **changes):
    """Inputs of two systems with bonds, the second padded, a law on them, and a head with that law."""
    data = trajectories(num_dimensions, is_periodic=is_periodic)
    basis = dataclasses.replace(candidate_basis(data, 8), **changes)
    law = Law(basis, np.random.default_rng(0).normal(scale=0.1, size=basis.num_columns))
    of_model = model_law(Fitted(law, np.ones_like(law.coefficients)))
    head = LangevinHead(
        num_dimensions,
        1e-2,
        SCALE,
        2.5,
        3,
        4,
        (2.0, 5.0),
        is_centered=not is_periodic,
        force=SumOfTerms(dataclasses.asdict(of_model.terms), num_dimensions, 0.3, name="force"),
    )
    inputs = {"positions": data.positions[:, 1], "velocities": data.positions[:, 1] - data.positions[:, 0]}
    inputs |= {"features": data.features, "mask": data.mask}
    inputs = {name: values.astype("float32") for name, values in inputs.items()}
    real = data.mask[:, :, None] & data.mask[:, None]
    inputs["edges"] = (data.edges * real).astype("int32")
    if is_periodic:
        inputs["box"] = data.cell.astype("float32")
    head.build((None, None, 3), {name: np.shape(value) for name, value in inputs.items()})
    if is_random:
        generator = np.random.default_rng(3)
        for weight in (head.correction_scale, *head.trainable_variables):
            weight.assign(generator.normal(scale=0.4, size=weight.shape))
    of_model.set_weights(head.force)
    return inputs, law, head, data


def outputs(seed=40):
    return np.random.default_rng(seed).normal(size=(2, 5, 3)).astype("float32")


def lawful_moves(inputs, law, data):
    """By the NumPy law, which test_basis.py compares with slow loops."""
    x, v = (inputs[name].astype(float) for name in ("positions", "velocities"))
    return v + law.on(data.features, data.edges, data.mask, data.cell)(x, v)


@pytest.mark.slow_cases("2")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_the_definition(num_dimensions):
    inputs, law, head, data = system(num_dimensions)
    dense = (*head.hidden_layers, head.coefficients, head.deviations)
    weights = {f"{layer.name}/{w.name}": np.asarray(w, np.float64) for layer in dense for w in layer.weights}
    state = head.get_initial_state(inputs["positions"] - inputs["velocities"])
    moves = lawful_moves(inputs, law, data)
    expected = references.langevin_step(inputs, outputs(), state, weights, head, moves)
    parameters, found_state = head(outputs(), inputs, state)
    real = data.mask
    for values, wanted in zip((head.mean(parameters), head.layout.covariance(parameters)), expected, strict=False):
        np.testing.assert_allclose(np.asarray(values)[real], wanted[real], rtol=1e-3, atol=1e-4)
    for values, wanted in zip(found_state, expected[2], strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_periodic", [False, True])
def test_new_weights_move_as_the_law_does(is_periodic):
    inputs, law, head, data = system(2, is_periodic=is_periodic, is_random=False)
    mean = head.mean(head(outputs(), inputs, head.get_initial_state(inputs["positions"]))[0])
    moves = lawful_moves(inputs, law, data)
    assert np.abs(moves - inputs["velocities"]).max() > 0.1
    np.testing.assert_allclose((mean - inputs["positions"])[data.mask], moves[data.mask], rtol=1e-3, atol=1e-4)


def test_the_density_turns_with_a_system_without_a_field():
    inputs, _, head, _ = system(3, fields=())
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))[0]
    turned = {
        name: (value @ turn).astype("float32") if name in ("positions", "velocities") else value
        for name, value in inputs.items()
    }
    results = []
    for values in (inputs, turned):
        parameters = head(outputs(), values, head.get_initial_state(values["positions"]))[0]
        results.append([np.asarray(part) for part in (head.mean(parameters), head.layout.covariance(parameters))])
    (mean, covariance), (found, found_covariance) = results
    assert np.abs(mean - found).max() > 0.1
    np.testing.assert_allclose(found, mean @ turn, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found_covariance, turn.T @ covariance @ turn, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_in_a_box_any_image_will_do():
    inputs, _, head, _ = system(2, is_periodic=True)
    shift = periodic.other_images(inputs["positions"], inputs["box"]) - inputs["positions"]
    state = head.get_initial_state(inputs["positions"])
    elsewhere = head.get_initial_state(inputs["positions"] + shift)
    expected = head.mean(head(outputs(), inputs, state)[0])
    found = head.mean(head(outputs(), {**inputs, "positions": inputs["positions"] + shift}, elsewhere)[0])
    assert np.abs(shift).max() > 1
    np.testing.assert_allclose(found - shift, expected, rtol=1e-3, atol=1e-3)


def test_the_law_is_not_trained_and_all_else_has_gradients():
    inputs, _, head, _ = system(2)
    names = {weight.path.rsplit("/", 2)[-2] for weight in head.trainable_variables}
    assert names == {"hidden_0", "hidden_1", "coefficients", "deviations"}
    with tf.GradientTape() as tape:
        parameters, _ = head(outputs(), inputs, head.get_initial_state(inputs["positions"]))
        total = tf.reduce_sum(tf.sin(parameters))
    for gradient in tape.gradient(total, head.trainable_variables):
        assert np.all(np.isfinite(gradient)) and np.any(gradient)
