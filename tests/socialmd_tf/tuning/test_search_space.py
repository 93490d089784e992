import dataclasses

import pytest

from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.parts import HEADS
from socialmd_tf.tuning.hyperparameters import value_in, with_values
from socialmd_tf.tuning.ranges import Range
from socialmd_tf.tuning.search_space import search_space


def base(preset="thesis", **changes):
    return TrainConfig(preset=preset, model=dataclasses.replace(PRESETS[preset], **changes))


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
    ("ranges", "field", "received"),
    [
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


def test_an_unknown_hyperparameter_is_refused_with_the_flags_and_those_there_are():
    with pytest.raises(UserError) as error:
        search_space(base(), {"model.wings": "1,2"})
    assert str(error.value).startswith("--ranges or --space: expected a hyperparameter, one of learning_rate, ")
    assert str(error.value).endswith("Received: 'model.wings'")


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
    assert plain["model.head"].values == tuple(name for name in HEADS if not HEADS[name].kinematic)
    assert plain["model.interaction"].values == ("none",)


def test_extremes_that_go_together_are_no_fault():
    space = search_space(
        base(), {"model.bins": "4,8", "model.filters.count": "1:2", "model.head": "kinematic,absolute"}
    )
    assert space["model.bins"] == Range((4, 8))
