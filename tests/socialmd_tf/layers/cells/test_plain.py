import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import AbsoluteHead, PlainLSTMCell, Rollout
from tests import references

FEATURES = 2


def make_cell(num_dimensions=2, input_layers=(4, 3), lstm_layers=(5, 2), output_layers=(4, 3), dropout=0.5):
    """A built cell with random weights."""
    cell = PlainLSTMCell(input_layers, lstm_layers, output_layers, dropout)
    cell.build({"positions": (None, None, num_dimensions), "features": (None, None, FEATURES)})
    generator = np.random.default_rng(0)
    cell.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in cell.weights])
    return cell


def example(num_dimensions=2, size=7, num_particles=4):
    generator = np.random.default_rng(1)
    inputs = {
        "positions": generator.normal(size=(2, num_particles, num_dimensions)),
        "features": generator.normal(size=(2, num_particles, FEATURES)),
    }
    states = [generator.normal(size=(2, num_particles, size)) for _ in range(2)]
    return tf.nest.map_structure(lambda array: tf.constant(array, "float32"), (inputs, states))


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize(
    ("input_layers", "lstm_layers", "output_layers"),
    [((4, 3), (5, 2), (4, 3)), ((), (7,), ()), ((3,), (2, 4, 1), ())],
)
def test_equals_the_step_written_out(num_dimensions, input_layers, lstm_layers, output_layers):
    cell = make_cell(num_dimensions, input_layers, lstm_layers, output_layers)
    inputs, states = example(num_dimensions, sum(lstm_layers))
    outputs, new_states = cell(inputs, states)
    expected = references.plain_cell_step(
        *(np.asarray(array, np.float64) for array in (*inputs.values(), *states)),
        references.weights_by_name(cell),
        lstm_layers,
    )
    for result, wanted in zip((outputs, *new_states), expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-5)


def test_particles_are_alone():
    cell = make_cell(input_layers=(), output_layers=())
    inputs, states = example()
    outputs, _ = cell(inputs, states)
    moved = {**inputs, "positions": tf.concat([inputs["positions"][:, :1], inputs["positions"][:, 1:] + 1], axis=1)}
    again, _ = cell(moved, states)
    np.testing.assert_array_equal(outputs[:, 0], again[:, 0])
    assert (np.abs(outputs - again)[:, 1:] > 0).any(axis=-1).all()


def test_dropout_leaves_hidden_units_out_in_training_only():
    cell = make_cell(output_layers=(64,), dropout=0.5)
    inputs, states = example()
    np.testing.assert_array_equal(cell(inputs, states)[0], cell(inputs, states, training=False)[0])
    first, second = (np.asarray(cell(inputs, states, training=True)[0]) for _ in range(2))
    assert (first != second).any()
    assert ((first == 0) & (np.asarray(cell(inputs, states)[0]) > 0)).any()
    certain = make_cell(dropout=0.0)
    np.testing.assert_array_equal(certain(inputs, states)[0], certain(inputs, states, training=True)[0])


@pytest.mark.slow
def test_a_rollout_drops_other_units_at_every_step_of_training():
    """Constant inputs and no memory of earlier frames: without dropout all predictions would be the same."""
    cell = make_cell(input_layers=(), lstm_layers=(1,), output_layers=(64,), dropout=0.5)
    head = AbsoluteHead(2, 1, True, 1e-3)
    rollout = Rollout(cell, head, rollout_steps=6)
    inputs = {"positions": np.zeros((1, 2, 1, 2)), "features": np.ones((1, 1, FEATURES)), "mask": np.ones((1, 1))}
    inputs = keras.tree.map_structure(lambda array: tf.constant(array, "float32"), inputs)
    rollout(inputs)
    for weight in cell.lstms[0].weights:
        weight.assign(tf.zeros_like(weight))
    weights = tf.sqrt(tf.range(1.0, 65.0))[:, None]  # so that no two choices of units have the same sum
    head.dense.kernel.assign(tf.concat([tf.zeros((64, 2)), tf.repeat(weights, 3, axis=1)], axis=1))
    cell.output_layers[0].bias.assign(tf.ones(64))
    predict = tf.function(rollout)
    scales = np.asarray(predict(inputs, training=True))[0, :, 0, 2]
    assert len(set(scales.tolist())) == 6
    assert len(set(np.asarray(predict(inputs, training=False))[0, :, 0, 2].tolist())) == 1
