import dataclasses

import pytest

from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.tuning.search_space import TABLE, Range, parse_range, search_space, value_in, with_values


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


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_not_searched_stays(preset):
    """Parents that are not searched change nothing else."""
    config = base(preset)
    space = search_space(config, {}, ("learning_rate",))
    assert with_values(config, {name: value_in(config, name) for name in space}) == config


def names(config, ranges=None, only=()):
    return set(search_space(config, ranges or {}, only))


def test_a_preset_is_searched_by_what_matters_to_it():
    thesis, pairwise = names(base("thesis")), names(base("pairwise"))
    assert {"model.bins", "model.side_lengths.count", "model.correlated"} <= thesis - pairwise
    assert {"model.cutoff", "model.pair_units"} <= pairwise - thesis
    assert {"learning_rate", "clip_norm", "model.units"} <= thesis & pairwise
    plain = names(base("molecules-lstm"))
    sizes = {"input_layers.count", "input_layers.width", "lstm_layers.count", "lstm_layers.first"}
    sizes |= {"lstm_layers.others", "output_layers.count", "output_layers.width", "dropout"}
    assert {f"model.{name}" for name in sizes} <= plain - thesis
    assert {"model.units", "model.input_embedding"} <= thesis - plain
    assert "batch_size" not in thesis | pairwise
    assert {"model.bins", "model.cutoff"} <= names(base(), {"model.interaction": "stacked_pooling,pairwise"})


def test_only_the_named_ones():
    parents = {"model.cell", "model.head", "model.interaction"}
    assert names(base(), {"batch_size": "8,16"}, ("model.units",)) == parents | {"batch_size", "model.units"}
    assert search_space(base(), {}, ("model.units",))["model.head"] == Range(("absolute",))


def test_lengths_are_relative_to_the_configuration():
    space = search_space(base("pairwise", cutoff=2.0), {})
    assert (space["model.cutoff"].low, space["model.cutoff"].high) == (0.5, 2.0)
    assert search_space(base("pairwise", cutoff=2.0), {"model.cutoff": "1:3"})["model.cutoff"].high == 3.0


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("1:8", int, Range(low=1, high=8, step=1)),
        ("1:9:4", int, Range(low=1, high=9, step=4)),
        ("8:64:2:log", int, Range(low=8, high=64, step=2, log=True)),
        ("1e-4:1e-2:log", float, Range(low=1e-4, high=1e-2, log=True)),
        ("1:2", float, Range(low=1.0, high=2.0)),
        ("32,64", int, Range((32, 64))),
        ([32, 64], int, Range((32, 64))),
        (0.5, float, Range((0.5,))),
        ("true,false", bool, Range((True, False))),
        ("absolute", str, Range(("absolute",))),
    ],
)
def test_what_a_range_may_look_like(text, kind, expected):
    assert parse_range("x", text, kind) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2:1", int),
        ("1:1", float),
        ("0:1:log", float),
        ("1:9:1:log", int),
        ("1:9:0", int),
        ("1:2:3:4", int),
        ("1:", float),
        ("a:b", float),
        ("1.5", int),
        (1.5, int),
        (True, int),
        ("nan", float),
        ("1:inf", float),
        ("maybe", bool),
        ("3,3", int),
        ("", int),
        ([], int),
        (None, float),
        ({}, float),
    ],
)
def test_what_is_no_range(text, kind):
    with pytest.raises(UserError, match=r"^`x` must be "):
        parse_range("x", text, kind)


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"model.wings": "1,2"}, "`hyperparameter` must be one of learning_rate"),
        ({"model.units": "0:8"}, "`units` must be an integer of at least 1. Received: 0"),
        ({"learning_rate": "-1:1"}, "`learning_rate` must be positive"),
        ({"model.bins": "4,32"}, "`bins` must be at least 8, halved by each of the 3 poolings. Received: 4"),
        ({"model.filters.count": "1:6"}, "`bins` must be at least 64, halved by each of the 6 poolings. Received: 16"),
        ({"model.head": "absolute,relative"}, "`head` must be 'absolute'"),
        ({"model.dropout": "0:1"}, "`model.dropout` must be left out unless model.cell is plain. Received: 'social'"),
        ({"model.cell": "plain", "model.dropout": "0.5:1"}, "`dropout` must be at least 0 and below 1. Received: 1.0"),
        ({"model.cell": "plain", "model.lstm_layers.count": "0:2"}, "`lstm_layers` must be 1 or more integers"),
        ({"model.cutoff": "1:2"}, "`model.cutoff` must be left out unless model.interaction is pairwise or both"),
    ],
)
def test_refusals(ranges, words):
    with pytest.raises(UserError) as error:
        search_space(base(), ranges)
    assert words in str(error.value)


def test_extremes_that_go_together_are_no_fault():
    space = search_space(
        base(), {"model.bins": "4,8", "model.filters.count": "1:2", "model.head": "kinematic,absolute"}
    )
    assert space["model.bins"] == Range((4, 8))
