import pytest

from pipelines.errors import UserError
from pipelines.nbody.config import ChargedBoxConfig, SimulationConfig


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"num_train": 0},
            "`num_train` must be at least 1, since its extremes are the units of the errors. Received: 0",
        ),
        ({"num_test": -1}, "`num_test` must be at least 0. Received: -1"),
        ({"num_frames": 0}, "`num_frames` must be at least 1. Received: 0"),
        ({"half_width": float("nan")}, "`half_width` must be positive. Received: nan"),
        ({"speed": -1.0}, "`speed` must be at least 0. Received: -1.0"),
    ],
)
def test_charged_box_config_refuses(fields, message):
    with pytest.raises(UserError) as error:
        ChargedBoxConfig(**fields)
    assert str(error.value) == message
