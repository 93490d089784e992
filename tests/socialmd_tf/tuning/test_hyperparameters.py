import dataclasses

import pytest

from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.tuning.hyperparameters import TABLE, value_in, with_values


def base(preset="thesis", **changes):
    return TrainConfig(preset=preset, model=dataclasses.replace(PRESETS[preset], **changes))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_base_itself_comes_out_of_its_own_values(preset):
    config = base(preset)
    values = {row.name: value_in(config, row.name) for row in TABLE}
    assert with_values(config, values) == config


def test_aspects_make_the_tuples():
    values = {"model.side_lengths.count": 3, "model.side_lengths.largest": 8.0, "model.filters.count": 2}
    model = with_values(base(), values).model
    assert model.side_lengths == (8.0, 4.0, 2.0)
    assert model.filters == (16, 32)  # the width is the thesis's
    assert with_values(base(), {"learning_rate": 0.5}).model == base().model


def test_aspects_make_the_layers_of_the_plain_lstm():
    values = {"model.lstm_layers.first": 8, "model.lstm_layers.others": 4, "model.input_layers.count": 2}
    model = with_values(base("molecules-lstm"), values | {"model.output_layers.count": 0}).model
    assert (model.input_layers, model.lstm_layers, model.output_layers) == ((64, 64), (8, 4), ())
    assert with_values(base("molecules-lstm"), {"model.lstm_layers.count": 1}).model.lstm_layers == (128,)
    assert (
        with_values(base("molecules-lstm", output_layers=()), {"model.output_layers.count": 1}).model
        == base("molecules-lstm").model
    )


def test_the_plain_cell_sees_no_neighbours():
    config = with_values(base("thesis"), {"model.cell": "plain", "model.interaction": "stacked_pooling"})
    assert (config.model.cell, config.model.interaction) == ("plain", "none")


def test_a_kinematic_head_has_full_covariances():
    config = with_values(base("thesis-mixture"), {"model.head": "kinematic"})
    assert (config.model.num_components, config.model.correlated) == (5, True)
