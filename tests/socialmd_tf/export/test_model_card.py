import json
import math
import re
import shutil

import keras
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from socialmd_tf.config import to_dict
from socialmd_tf.export.model_card import add_metrics, read_card
from tests.socialmd_tf.export.untrained import SCALES, SMALL, WINDOWS


def test_the_card_says_what_the_model_is(gaussian):
    model, directory = gaussian
    card = json.loads((directory / "assets.extra" / "model_card.json").read_text())
    assert {key: card[key] for key in ("data", "num_dimensions", "features", "length_unit", "time_unit", "preset")} == {
        "data": "tiny",
        "num_dimensions": 2,
        "features": ["mass"],
        "length_unit": "nm",
        "time_unit": "ps",
        "preset": "thesis",
    }
    assert card["time_between_frames"] == 1.0  # every second frame, 0.5 apart
    assert card["windows"] == to_dict(WINDOWS) and card["warm_up_steps"] == WINDOWS.warm_up_steps
    effective = {
        **SMALL,
        "num_dimensions": 2,
        "num_features": 1,
        "move_scale": SCALES[0],
        "acceleration_scale": SCALES[1],
    }
    assert {key: card["model"][key] for key in effective} == json.loads(json.dumps(effective))
    assert card["num_parameters"] == model.count_params()
    assert card["training"] == {
        "seed": 0,
        "batch_size": 32,
        "best": {"epoch": 2, "val_loss": 1.0},
        "losses": {"loss": [None] * 3, "val_loss": [2.0, 1.0, 1.5]},
    }
    assert card["versions"]["tensorflow"] == tf.__version__ and card["versions"]["keras"] == keras.__version__
    assert card["density_layout"] == {"num_dimensions": 2, "num_components": 1, "correlated": True}


def test_metrics_come_into_the_card_and_nothing_else_changes(gaussian, tmp_path):
    _, directory = gaussian
    shutil.copytree(directory, tmp_path / "1")
    path = tmp_path / "1" / "assets.extra" / "model_card.json"
    before, entries = json.loads(path.read_text()), sorted(path.parent.iterdir())
    add_metrics(tmp_path / "1", "test", {"nll": -1.5, "mae": 0.25, "nll_per_move": math.nan, "mae_per_step": [0.1]})
    assert json.loads(path.read_text()) == {**before, "metrics": {"split": "test", "nll": -1.5, "mae": 0.25}}
    assert sorted(path.parent.iterdir()) == entries  # the card appeared whole, by renaming


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', "version https://git-lfs.github.com/spec/v1"])
def test_cards_that_are_no_json_objects_are_refused(tmp_path, text):
    with pytest.raises(UserError, match=r"Found no assets.extra/model_card.json"):
        read_card(tmp_path)
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "model_card.json").write_text(text)
    with pytest.raises(UserError, match=r"model_card.json: (not JSON|expected a JSON object)"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_dimensions", "2"),
        ("features", "mass"),
        ("length_unit", 5),
        ("time_unit", 1),
        ("time_between_frames", "0.1"),
        ("time_between_frames", 0),
        ("warm_up_steps", None),
        ("max_horizon", 2.5),
        ("windows", {"subsample": 1}),
        ("model", []),
        ("density_layout", {"num_dimensions": "2", "num_components": 1}),
    ],
)
def test_fields_of_another_kind_are_refused(tmp_path, field, value):
    (tmp_path / "assets.extra").mkdir()
    path = tmp_path / "assets.extra" / "model_card.json"
    path.write_text(json.dumps({field: value}))
    with pytest.raises(UserError, match=re.escape(f"{path}: `{field}` must be ")):
        read_card(tmp_path)
