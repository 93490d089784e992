import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, to_dict
from socialmd_tf.evaluation.compatibility import check_data

MANIFEST = Manifest("tiny", 2, ("mass",), "m", 1.0, {}, {}, time_unit="ps")
CARD = {
    "num_dimensions": 2,
    "features": ["mass"],
    "length_unit": "m",
    "time_unit": "ps",
    "time_between_frames": 20.0,
    "windows": {"subsample": 20},
}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("num_dimensions", 3, "2"),
        ("features", ("mass", "charge"), "['mass']"),
        ("features", ("charge",), "['mass']"),
        ("length_unit", "cm", "'m'"),
        ("time_unit", "fs", "'ps'"),
        ("time_between_frames", 0.5, "1"),
        ("time_between_frames", 1.001, "1"),
    ],
)
def test_another_dataset_is_refused(field, value, expected):
    with pytest.raises(UserError) as raised:
        check_data(CARD, dataclasses.replace(MANIFEST, **{field: value}))
    message = str(raised.value)
    assert message.startswith(f"`{field}` of the data must be ")
    assert expected in message and "--data" in message and len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"time_between_frames": float(np.float32(0.1)) * 10},  # rounded
        {"name": "another", "time_unit": None},
    ],
)
def test_an_equal_dataset_is_accepted(changes):
    check_data(CARD, dataclasses.replace(MANIFEST, **changes))


def test_a_card_without_a_time_unit_is_accepted():
    check_data({key: value for key, value in CARD.items() if key != "time_unit"}, MANIFEST)


@pytest.mark.parametrize("field", ["num_dimensions", "features", "length_unit", "time_between_frames", "windows"])
def test_an_incomplete_card_is_refused(field):
    with pytest.raises(UserError, match=f"`model` .* {field}"):
        check_data({name: value for name, value in CARD.items() if name != field}, MANIFEST)
    with pytest.raises(UserError):
        check_data({**CARD, "windows": {"subsample": "many"}}, MANIFEST)


@pytest.mark.parametrize(
    ("model", "data", "field"),
    [
        ({"periodic": True}, {}, "box"),
        ({"num_edge_types": 1}, {}, "edges"),
        ({"observed_velocities": True}, {}, "velocities"),
        ({}, {"box": (6.0, 6.0)}, "box"),
        ({"interaction": "none"}, {"box": (6.0, 6.0)}, None),
        ({"periodic": True}, {"box": (6.0, 6.0)}, None),
        ({}, {"edges": "bonds.npy"}, None),
    ],
)
def test_boxes_bonds_and_velocities_that_the_model_takes_must_be_there(model, data, field):
    manifest = dataclasses.replace(MANIFEST, **data)
    card = {**CARD, "model": to_dict(ModelConfig(**model))}
    if field is None:
        check_data(card, manifest)
    else:
        with pytest.raises(UserError, match=f"`{field}` of the data"):
            check_data(card, manifest)
