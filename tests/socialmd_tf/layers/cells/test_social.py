import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import NoInteraction, SocialLSTMCell, StackedPoolingInteraction
from tests import references

GRIDS = {"bins": 8, "side_lengths": (8.0, 3.0)}
UNITS, EMBEDDING, FEATURES = 5, 3, 2


def make_cell(num_dimensions, interaction=None, seed=0):
    """A built cell with random weights, biases too."""
    if interaction is None:
        interaction = StackedPoolingInteraction(**GRIDS, filters=(3, 4), kernel_size=3, state_embedding=4, embedding=6)
    cell = SocialLSTMCell(UNITS, EMBEDDING, interaction)
    cell.build({"positions": (None, None, num_dimensions), "features": (None, None, FEATURES)})
    generator = np.random.default_rng(seed)
    cell.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in cell.weights])
    return cell


def example(num_dimensions, num_particles=6, seed=0):
    """Inputs and states of two systems, the second padded."""
    generator = np.random.default_rng(seed)
    mask = np.ones((2, num_particles))
    mask[1, -2:] = 0
    inputs = {
        "positions": generator.uniform(-2, 2, (2, num_particles, num_dimensions)),
        "velocities": generator.normal(size=(2, num_particles, num_dimensions)),
        "features": generator.normal(size=(2, num_particles, FEATURES)),
        "mask": mask,
    }
    states = [generator.normal(size=(2, num_particles, UNITS)) for _ in range(2)]
    return tf.nest.map_structure(lambda array: tf.constant(array, "float32"), (inputs, states))


@pytest.mark.slow_cases("3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_the_thesis_step(num_dimensions):
    cell = make_cell(num_dimensions)
    inputs, states = example(num_dimensions)
    outputs, new_states = cell(inputs, states)
    expected = references.cell_step(
        *(np.asarray(inputs[name], np.float64) for name in ("positions", "features")),
        *(np.asarray(state, np.float64) for state in states),
        np.asarray(inputs["mask"]),
        references.weights_by_name(cell),
        **GRIDS,
    )
    for result, wanted in zip((outputs, *new_states), expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-5)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_neighbors_are_seen(num_dimensions):
    cell = make_cell(num_dimensions)
    inputs, (hidden_state, cell_state) = example(num_dimensions)
    outputs, _ = cell(inputs, [hidden_state, cell_state])
    apart = {**inputs, "mask": tf.zeros_like(inputs["mask"])}
    assert np.abs(outputs - cell(apart, [hidden_state, cell_state])[0]).max() > 1e-3


def test_an_interaction_in_lower_precision_does_not_round_the_positions():
    cell = make_cell(2)
    for weight in cell.interaction.weights:
        weight.assign(tf.zeros_like(weight))
    inputs, states = example(2)
    outputs, new_states = cell(inputs, states)
    cell.interaction.set_precision("mixed_bfloat16")
    for result, wanted in zip(tf.nest.flatten(cell(inputs, states)), (outputs, *new_states), strict=True):
        assert result.dtype == wanted.dtype
        np.testing.assert_array_equal(result, wanted)


def test_without_interaction_it_is_an_lstm_of_the_embedded_input():
    cell = make_cell(2, NoInteraction())
    inputs, states = example(2)
    outputs, new_states = cell(inputs, states)
    weights = references.weights_by_name(cell)
    alpha = np.concatenate([inputs["positions"], inputs["features"]], axis=-1) @ weights["input_embedding/kernel"]
    lstm = [weights[f"lstm/{name}"] for name in ("kernel", "recurrent_kernel", "bias")]
    expected = references.lstm_step(alpha, *map(np.asarray, states), *lstm)
    for result, wanted in zip(new_states, expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-5)
    np.testing.assert_allclose(outputs, np.concatenate([expected[0], alpha], axis=-1), atol=1e-5)


def test_cell_protocol():
    cell = make_cell(2)
    assert cell.state_size == [UNITS, UNITS]
    states = cell.get_initial_state(3, 4)
    assert [state.shape for state in states] == [(3, 4, UNITS)] * 2
    assert not any(np.any(state) for state in states)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_shapes(num_dimensions):
    cell = make_cell(num_dimensions)
    inputs, states = example(num_dimensions)
    outputs, new_states = cell(inputs, states)
    assert outputs.shape == (2, 6, UNITS + EMBEDDING)
    assert [state.shape for state in new_states] == [(2, 6, UNITS)] * 2
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    assert cell.compute_output_shape(shapes) == (outputs.shape, [state.shape for state in new_states])


def test_particles_share_weights_and_order_does_not_matter():
    cell = make_cell(2)
    inputs, states = example(2)
    order = np.random.default_rng(1).permutation(6)
    outputs, new_states = cell(inputs, states)
    renumbered = cell(*tf.nest.map_structure(lambda value: tf.gather(value, order, axis=1), (inputs, states)))
    for result, wanted in zip(tf.nest.flatten(renumbered), (outputs, *new_states), strict=True):
        np.testing.assert_allclose(result, tf.gather(wanted, order, axis=1), atol=1e-5)


def test_no_mask_means_all_are_real():
    cell = make_cell(2)
    inputs, states = example(2)
    outputs, _ = cell({**inputs, "mask": None}, states)
    np.testing.assert_array_equal(outputs, cell({**inputs, "mask": tf.ones((2, 6))}, states)[0])
