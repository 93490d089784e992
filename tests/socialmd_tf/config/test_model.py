import dataclasses
import json
import math

import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, ModelConfig, TrainConfig, from_dict, load_json, preset, to_dict

OTHER_MODEL = ModelConfig(
    num_dimensions=3, num_features=1, units=7, bins=9, side_lengths=(2.5,), filters=(3, 4), correlated=False
)


@pytest.mark.parametrize(
    "config",
    [
        *PRESETS.values(),
        OTHER_MODEL,
        TrainConfig(),
        TrainConfig(data="data/x", epochs=3, windows=DataConfig(rotations=2), model=OTHER_MODEL),
        DataConfig(subsample=8, subsample_phases=2),
    ],
)
def test_round_trip_through_json(config):
    values = json.loads(json.dumps(to_dict(config)))
    assert from_dict(type(config), values) == config


def test_fields_that_are_not_given_keep_the_default():
    default = TrainConfig(epochs=3, model=OTHER_MODEL)
    changed = from_dict(TrainConfig, {"seed": 5, "model": {"units": 9}}, default)
    assert changed == dataclasses.replace(default, seed=5, model=dataclasses.replace(OTHER_MODEL, units=9))
    assert from_dict(ModelConfig, {}) == ModelConfig()


def test_an_integer_is_a_number():
    config = from_dict(ModelConfig, {"side_lengths": [11, 5.5], "scale_floor": 1})
    assert config.side_lengths == (11.0, 5.5)
    assert type(config.side_lengths[0]) is type(config.scale_floor) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"unitz": 3}, "unknown field `unitz` in TrainConfig. Expected: config, data, preset, "),
        ({"model": {"widht": 3}}, "unknown field `widht` in ModelConfig. Expected: num_dimensions, "),
        ([1, 2], "`TrainConfig` must be a JSON object. Received: [1, 2]"),
        ({"model": 3}, "`ModelConfig` must be a JSON object. Received: 3"),
        ({"epochs": "3"}, "`epochs` must be of type int. Received: '3'"),
        ({"epochs": 3.0}, "`epochs` must be of type int. Received: 3.0"),
        ({"epochs": True}, "`epochs` must be of type int. Received: True"),
        ({"learning_rate": "fast"}, "`learning_rate` must be of type float. Received: 'fast'"),
        ({"run_directory": 3}, "`run_directory` must be of type str. Received: 3"),
        ({"model": {"correlated": 1}}, "`correlated` must be of type bool. Received: 1"),
        ({"model": {"side_lengths": 11.0}}, "`side_lengths` must be a list. Received: 11.0"),
        ({"model": {"side_lengths": [1, "2"]}}, "`side_lengths` must be of type float. Received: '2'"),
        ({"model": {"units": 0}}, "`units` must be an integer of at least 1. Received: 0"),
        ({"model": {"units": None}}, "`units` must be of type int. Received: None"),
        ({"windows": {"subsample": 0}}, "`subsample` must be an integer of at least 1. Received: 0"),
    ],
)
def test_refuses_values_of_the_wrong_kind(values, message):
    with pytest.raises(UserError) as error:
        from_dict(TrainConfig, values)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_walls_need_the_verlet_head_and_no_rotations():
    with pytest.raises(UserError, match="`walls` must be at least 0, and 0 for heads other than 'verlet'"):
        ModelConfig(walls=5.0)
    boxed = dataclasses.replace(preset("verlet"), walls=5.0)
    with pytest.raises(UserError, match="`rotations` must be 0 with `walls`"):
        TrainConfig(preset="verlet", model=boxed)
    TrainConfig(preset="verlet", model=boxed, windows=DataConfig(rotations=0))


@pytest.mark.parametrize("values", [{"epochs": None}, {"seed": None}, {"run_directory": None}, {"data": 3}])
def test_refuses_null_and_numbers_where_they_mean_nothing(values):
    with pytest.raises(UserError, match=next(iter(values))):
        from_dict(TrainConfig, values)


def test_null_means_none_where_a_field_may_be_none():
    assert from_dict(TrainConfig, {"data": None}, TrainConfig(data="data/x")).data is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_dimensions": 4}, "`num_dimensions` must be 2 or 3. Received: 4"),
        ({"num_features": -1}, "`num_features` must be at least 0. Received: -1"),
        ({"rollout_steps": 0}, "`rollout_steps` must be an integer of at least 1. Received: 0"),
        ({"kernel_size": 2.5}, "`kernel_size` must be an integer of at least 1. Received: 2.5"),
        (
            {"interaction": "all"},
            "`interaction` must be one of none, stacked_pooling, multiscale_pooling, pairwise, both. Received: 'all'",
        ),
        ({"side_lengths": ()}, "`side_lengths` must be one or more positive lengths. Received: ()"),
        (
            {"side_lengths": (1.0, -2.0)},
            "`side_lengths` must be one or more positive lengths. Received: (1.0, -2.0)",
        ),
        ({"filters": (3, 0)}, "`filters` must be one or more integers of at least 1. Received: (3, 0)"),
        ({"bins": 7}, "`bins` must be at least 8, halved by each of the 3 poolings. Received: 7"),
        (
            {"head": "leapfrog"},
            "`head` must be 'absolute', 'displacement', 'kinematic' or 'verlet'. Received: 'leapfrog'",
        ),
        ({"cell": "gru"}, "`cell` must be 'social' or 'plain'. Received: 'gru'"),
        ({"cell": "plain"}, "`interaction` must be 'none' for the plain cell. Received: 'stacked_pooling'"),
        (
            {"cell": "plain", "interaction": "none", "head": "kinematic"},
            "`head` must be 'absolute' or 'displacement' for the plain cell. Received: 'kinematic'",
        ),
        ({"lstm_layers": ()}, "`lstm_layers` must be 1 or more integers of at least 1. Received: ()"),
        ({"output_layers": (8, 0)}, "`output_layers` must be 0 or more integers of at least 1. Received: (8, 0)"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1. Received: 1.0"),
        (
            {"head": "verlet", "correlated": False},
            "`head` must be 'absolute' for diagonal covariances. Received: 'verlet'",
        ),
        ({"charges": 0}, "`charges` must be an integer of at least 1. Received: 0"),
        ({"substeps": 0.5}, "`substeps` must be an integer of at least 1. Received: 0.5"),
        ({"scale_floor": 0.0}, "`scale_floor` must be positive. Received: 0.0"),
        ({"scale_floor": math.nan}, "`scale_floor` must be positive. Received: nan"),
    ],
)
def test_model_refusals(changes, message):
    with pytest.raises(UserError) as error:
        ModelConfig(**changes)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "`epochs` must be at least 1. Received: 0"),
        ({"patience": 0}, "`patience` must be at least 1. Received: 0"),
        ({"batch_size": -2}, "`batch_size` must be at least 1. Received: -2"),
        ({"learning_rate": math.inf}, "`learning_rate` must be positive. Received: inf"),
        ({"seed": -1}, "`seed` must be at least 0 and below 2^31. Received: -1"),
    ],
)
def test_training_refusals(changes, message):
    with pytest.raises(UserError) as error:
        TrainConfig(**changes)
    assert str(error.value) == message


def test_unknown_preset_is_refused_with_the_names_of_the_others():
    for refuse in (lambda: preset("thesys"), lambda: TrainConfig(preset="thesys")):
        with pytest.raises(UserError) as error:
            refuse()
        assert str(error.value).startswith("`preset` must be one of thesis, thesis-mixture, thesis-monogrid")
        assert str(error.value).endswith(" Received: 'thesys'")


def test_presets_are_those_of_the_thesis():
    assert preset("thesis") == ModelConfig()
    assert (preset("thesis-mixture").num_components, preset("thesis-mixture").correlated) == (5, False)
    assert (preset("thesis-monogrid").bins, preset("thesis-monogrid").side_lengths) == (64, (11.0,))


def test_loads_json(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"epochs": 3}')
    assert load_json(path) == {"epochs": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file: "),
        (b"{", "config.json is not JSON: "),
        (b"\xff\xfe", "config.json is not JSON: "),
    ],
)
def test_refuses_what_is_not_json(tmp_path, content, message):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        load_json(path)
    assert str(path) in str(error.value)
