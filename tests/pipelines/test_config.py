import dataclasses

import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.nbody.config import SimulationConfig


def test_defaults_are_the_thesis_settings():
    assert dataclasses.asdict(DataConfig()) == {
        "subsample": 20,
        "subsample_phases": 5,
        "warm_up_steps": 5,
        "rollout_steps": 30,
        "window_shift": 5,
        "rotations": 10,
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"subsample": 0}, "`subsample` must be an integer of at least 1. Received: 0"),
        ({"subsample_phases": 0}, "`subsample_phases` must be an integer of at least 1. Received: 0"),
        ({"warm_up_steps": 2.5}, "`warm_up_steps` must be an integer of at least 1. Received: 2.5"),
        ({"rollout_steps": -1}, "`rollout_steps` must be an integer of at least 1. Received: -1"),
        ({"window_shift": 0}, "`window_shift` must be an integer of at least 1. Received: 0"),
        ({"rotations": -1}, "`rotations` must be an integer of at least 0. Received: -1"),
        ({"subsample_phases": 3}, "`subsample_phases` must be a divisor of `subsample` = 20. Received: 3"),
    ],
)
def test_data_config_refuses(fields, message):
    with pytest.raises(UserError) as error:
        DataConfig(**fields)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "config",
    [
        DataConfig(),
        DataConfig(subsample=1, subsample_phases=1, warm_up_steps=1, rollout_steps=1),
        DataConfig(subsample=6, subsample_phases=3, warm_up_steps=2, rollout_steps=3),
    ],
)
def test_min_frames_is_the_least_that_gives_every_phase_a_window(config):
    def shortest_phase(num_frames: int) -> int:
        step = config.subsample // config.subsample_phases
        return min(len(range(num_frames)[phase * step :: config.subsample]) for phase in range(config.subsample_phases))

    assert config.window_steps == config.warm_up_steps + config.rollout_steps
    assert shortest_phase(config.min_frames) == config.window_steps
    assert shortest_phase(config.min_frames - 1) == config.window_steps - 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_train": -1}, "`num_train` must be at least 0. Received: -1"),
        (
            {"num_train": 0, "num_validation": 0, "num_test": 0},
            "`num_train` must be at least 1 when no other split has a simulation. Received: 0",
        ),
        ({"num_particles": 0}, "`num_particles` must be at least 1. Received: 0"),
        ({"num_dimensions": 4}, "`num_dimensions` must be 2 or 3. Received: 4"),
        ({"num_steps": 10, "save_every": 3}, "`save_every` must be a divisor of `num_steps` = 10. Received: 3"),
        ({"time_step": 0.0}, "`time_step` must be positive. Received: 0.0"),
        ({"max_energy_error": -1e-4}, "`max_energy_error` must be positive. Received: -0.0001"),
        ({"speed": -1.0}, "`speed` must be at least 0. Received: -1.0"),
    ],
)
def test_simulation_config_refuses(fields, message):
    with pytest.raises(UserError) as error:
        SimulationConfig(**fields)
    assert str(error.value) == message
