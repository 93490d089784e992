import dataclasses

import pytest

from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.parts import HEADS
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
    ("ranges", "field", "received"),
    [
        ({"model.wings": "1,2"}, "hyperparameter", "'model.wings'"),
        ({"model.units": "0:8"}, "units", "0"),
        ({"learning_rate": "-1:1"}, "learning_rate", "-1.0"),
        ({"model.bins": "4,32"}, "bins", "4"),  # three poolings need 8
        ({"model.filters.count": "1:6"}, "bins", "16"),  # six poolings need 64
        ({"model.head": "absolute,relative"}, "head", "'relative'"),
        ({"model.dropout": "0:1"}, "model.dropout", "'social, absolute, stacked_pooling'"),
        ({"model.cell": "plain", "model.dropout": "0.5:1"}, "dropout", "1.0"),
        ({"model.cell": "plain", "model.lstm_layers.count": "0:2"}, "lstm_layers", "()"),
        ({"model.cutoff": "1:2"}, "model.cutoff", "'social, absolute, stacked_pooling'"),
        ({"model.cell": "social,plain", "model.head": "absolute,kinematic"}, "head", "'kinematic'"),
    ],
)
def test_refusals(ranges, field, received):
    with pytest.raises(UserError) as error:
        search_space(base(), ranges)
    assert str(error.value).startswith(f"`{field}` must be ")
    assert str(error.value).endswith(f"Received: {received}")


def test_the_bins_of_another_interaction_are_checked_too():
    """The pairwise preset has no pooling; its bins would not be checked."""
    with pytest.raises(UserError, match=r"`bins` must be at least 8, .* Received: 4"):
        search_space(base("pairwise"), {"model.interaction": "stacked_pooling", "model.bins": "4,16"})


def test_a_usual_range_is_for_the_part_it_was_made_for():
    """Bins of multiscale pooling are few: the usual range, 16 to 64, would be wrong."""
    assert "model.bins" not in names(base("kinematic"))
    assert search_space(base("kinematic"), {"model.bins": "4,8"})["model.bins"] == Range((4, 8))
    both = {"model.interaction": "stacked_pooling,multiscale_pooling,pairwise"}
    assert search_space(base(), both)["model.bins"].when == ("model.interaction", ("stacked_pooling",))
    when = search_space(base(), both | {"model.bins": "8,16"})["model.bins"].when
    assert when == ("model.interaction", ("stacked_pooling", "multiscale_pooling"))


def test_a_field_that_two_kinds_of_parts_read_is_searched_for_either():
    assert search_space(base("verlet", interaction="none"), {})["model.cutoff"].when is None
    heads = {"model.head": "kinematic,verlet"}
    assert search_space(base("kinematic"), heads)["model.cutoff"].when == ("model.head", ("verlet",))
    assert search_space(base("pairwise"), heads)["model.cutoff"].when is None


def test_parts_are_by_default_all_that_go_together():
    assert search_space(base(), {}, ("model.head",))["model.head"].values == tuple(HEADS)
    plain = search_space(base("molecules-lstm"), {}, ("model.head", "model.interaction"))
    assert plain["model.head"].values == ("absolute", "displacement")
    assert plain["model.interaction"].values == ("none",)


def test_extremes_that_go_together_are_no_fault():
    space = search_space(
        base(), {"model.bins": "4,8", "model.filters.count": "1:2", "model.head": "kinematic,absolute"}
    )
    assert space["model.bins"] == Range((4, 8))
