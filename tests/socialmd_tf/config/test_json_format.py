import dataclasses
import json

import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, ModelConfig, TrainConfig, from_dict, load_json, to_dict

OTHER_MODEL = ModelConfig(
    num_dimensions=3, num_features=1, units=7, bins=9, side_lengths=(2.5,), filters=(3, 4), correlated=False
)


@pytest.mark.parametrize(
    "config",
    [
        *PRESETS.values(),
        OTHER_MODEL,
        TrainConfig(windows=DataConfig().resolved()),
        TrainConfig(data="data/x", epochs=3, windows=DataConfig(subsample_phases=1, rotations=2), model=OTHER_MODEL),
        DataConfig(subsample=8, subsample_phases=2),
    ],
)
def test_round_trip_through_json(config):
    values = json.loads(json.dumps(to_dict(config)))
    assert values == to_dict(config)
    assert from_dict(type(config), values) == config


def test_what_follows_from_other_fields_is_written_as_a_number():
    config = TrainConfig(windows=DataConfig(subsample=6))
    assert to_dict(config)["windows"]["subsample_phases"] == 3
    assert from_dict(TrainConfig, to_dict(config)).windows == DataConfig(subsample=6, subsample_phases=3)
    assert from_dict(TrainConfig, {"windows": {"subsample": 1}}).windows.num_phases == 1


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
    ("values", "field", "received"),
    [
        ({"unitz": 3}, "unitz", None),
        ({"model": {"widht": 3}}, "widht", None),
        ([1, 2], "TrainConfig", [1, 2]),
        ({"model": 3}, "ModelConfig", 3),
        ({"epochs": "3"}, "epochs", "3"),
        ({"epochs": 3.0}, "epochs", 3.0),
        ({"epochs": True}, "epochs", True),
        ({"epochs": None}, "epochs", None),
        ({"learning_rate": "fast"}, "learning_rate", "fast"),
        ({"learning_rate": True}, "learning_rate", True),
        ({"run_directory": 3}, "run_directory", 3),
        ({"run_directory": None}, "run_directory", None),
        ({"data": 3}, "data", 3),
        ({"monitor": 3}, "monitor", 3),
        ({"monitor": "mse"}, "monitor", "mse"),
        ({"curriculum": [1, 2.5]}, "curriculum", 2.5),
        ({"model": {"correlated": 1}}, "correlated", 1),
        ({"model": {"side_lengths": 11.0}}, "side_lengths", 11.0),
        ({"model": {"side_lengths": [1, "2"]}}, "side_lengths", "2"),
        ({"model": {"units": 0}}, "units", 0),
        ({"model": {"head": 3}}, "head", 3),
        ({"model": {"head": "mine"}}, "head", "mine"),
        ({"windows": {"subsample": 0}}, "subsample", 0),
        ({"windows": {"subsample_phases": "5"}}, "subsample_phases", "5"),
    ],
)
def test_refuses_values_of_the_wrong_type(values, field, received):
    with pytest.raises(UserError) as error:
        from_dict(TrainConfig, values)
    message = str(error.value)
    assert f"`{field}`" in message and "\n" not in message
    assert received is None or message.endswith(f"Received: {received!r}")


def test_a_number_that_no_float_holds_is_refused():
    with pytest.raises(UserError, match="`learning_rate`") as error:
        from_dict(TrainConfig, {"learning_rate": 10**400})
    assert len(str(error.value)) < 200


def test_null_means_none_where_a_field_may_be_none():
    assert from_dict(TrainConfig, {"data": None}, TrainConfig(data="data/x")).data is None
    assert from_dict(DataConfig, {"subsample_phases": None}, DataConfig(subsample_phases=1)) == DataConfig()


def test_loads_json(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"epochs": 3}')
    assert load_json(path) == {"epochs": 3}


@pytest.mark.parametrize(
    "content", [None, b"{", b"\xff\xfe", b"", b"9" * 5000, b"[" * 100_000], ids=lambda content: str(content)[:9]
)
def test_refuses_what_is_not_json(tmp_path, content):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_json(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_refuses_a_directory(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_json(tmp_path)
