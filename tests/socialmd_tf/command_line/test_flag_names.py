import dataclasses
from typing import Annotated

import pytest
import tyro

from socialmd_tf.command_line import flag_names
from socialmd_tf.config import TrainConfig
from socialmd_tf.simulate import SimulateCommand


@dataclasses.dataclass(frozen=True)
class Paint:
    width: float = 1.0
    seed: int = 1
    glossy: bool = False
    internal: Annotated[int, tyro.conf.Suppress] = 0


@dataclasses.dataclass(frozen=True)
class Draw:
    output: str
    line_width: float = 1.0
    seed: int = 0
    paint: Paint = dataclasses.field(default_factory=Paint)
    frame: Annotated[Paint, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=Paint)


def test_flags_of_nested_dataclasses():
    assert flag_names.flags_of(Draw) == {
        "output": "--output",
        "line_width": "--line-width",
        "seed": "--seed",
        "width": "--width",
        "glossy": "--glossy",
    }


@pytest.mark.parametrize(
    ("config_type", "field", "flag"),
    [
        (SimulateCommand, "save_every", "--save-every"),
        (TrainConfig, "warm_up_steps", "--warm-up-steps"),
        (TrainConfig, "units", "--model.units"),
    ],
)
def test_a_message_about_a_field_names_its_flag(config_type, field, flag):
    flag_names.remember(config_type)
    message = flag_names.name_flag(f"`{field}` must be positive. Received: 0")
    assert message == f"`{field}` must be positive. Received: 0. Change {flag}."
    assert flag_names.name_flag(message) == message


@pytest.mark.parametrize(
    "message",
    [
        "`no_such_field` must be positive. Received: 0",
        "data/dataset.json: `seed` must be positive. Received: 0",
        "no particle moves",
        "`num_dimensions` of model and data differ; see --num-dimensions",
    ],
)
def test_other_messages_stay_as_they_are(message):
    flag_names.remember(SimulateCommand)
    assert flag_names.name_flag(message) == message
