import dataclasses

import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError


def refused(config_type, fields):
    """The message that refuses fields."""
    with pytest.raises(UserError) as error:
        config_type(**fields)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_defaults_are_the_thesis_settings():
    assert dataclasses.asdict(DataConfig().resolved()) == {
        "subsample": 20,
        "subsample_phases": 5,
        "warm_up_steps": 5,
        "rollout_steps": 30,
        "window_shift": 5,
        "rotations": 10,
    }


@pytest.mark.parametrize(
    ("subsample", "phases"), [(1, 1), (2, 2), (4, 4), (6, 3), (7, 1), (8, 4), (9, 3), (10, 5), (20, 5), (121, 1)]
)
def test_by_default_the_phases_divide_the_subsampling(subsample, phases):
    config = dataclasses.replace(DataConfig(), subsample=subsample)
    assert config.num_phases == config.resolved().subsample_phases == phases
    assert DataConfig(subsample=subsample, subsample_phases=1).num_phases == 1


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"subsample": 0}, "subsample"),
        ({"subsample": True}, "subsample"),
        ({"subsample_phases": 0}, "subsample_phases"),
        ({"subsample_phases": 2.0}, "subsample_phases"),
        ({"subsample": 4, "subsample_phases": 5}, "subsample_phases"),
        ({"warm_up_steps": 2.5}, "warm_up_steps"),
        ({"rollout_steps": -1}, "rollout_steps"),
        ({"window_shift": 0}, "window_shift"),
        ({"rotations": -1}, "rotations"),
        ({"subsample_phases": 3}, "subsample_phases"),
    ],
)
def test_data_config_refuses(fields, name):
    message = refused(DataConfig, fields)
    assert message.startswith(f"`{name}` must be ") and message.endswith(f"Received: {fields[name]!r}")


@pytest.mark.parametrize(
    "config",
    [
        DataConfig(),
        DataConfig(subsample=1, warm_up_steps=1, rollout_steps=1),
        DataConfig(subsample=6, subsample_phases=3, warm_up_steps=2, rollout_steps=3),
    ],
)
def test_min_frames_is_the_least_that_gives_every_phase_a_window(config):
    def shortest_phase(num_frames: int) -> int:
        step = config.subsample // config.num_phases
        return min(len(range(num_frames)[phase * step :: config.subsample]) for phase in range(config.num_phases))

    assert config.window_steps == config.warm_up_steps + config.rollout_steps
    assert shortest_phase(config.min_frames) == config.window_steps
    assert shortest_phase(config.min_frames - 1) == config.window_steps - 1
