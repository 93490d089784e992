import dataclasses
import math

import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from socialmd_tf.config import FitConfig, TrainConfig, preset


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("patience", 0),
        ("batch_size", -2),
        ("max_horizon", 0),
        ("learning_rate", math.inf),
        ("learning_rate", 0.0),
        ("clip_norm", -1.0),
        ("seed", -1),
        ("seed", 2**31),
        ("monitor", "accuracy"),
        ("decay", "linear"),
        ("curriculum", (1, 31)),
        ("initial_weights", TrainConfig.run_directory),
        ("calibration_epochs", 1),  # the head of the default preset cannot be calibrated
    ],
)
def test_refuses(field, value):
    with pytest.raises(UserError) as error:
        TrainConfig(**{field: value})
    assert f"`{field}`" in str(error.value) and str(error.value).endswith(f"Received: {value!r}")


@pytest.mark.parametrize("name", ["kinematic", "verlet"])
def test_calibration_takes_at_most_all_epochs(name):
    config = TrainConfig(preset=name, model=preset(name), epochs=3, calibration_epochs=3)
    for wrong in (-1, 4):
        with pytest.raises(UserError, match="`calibration_epochs`"):
            dataclasses.replace(config, calibration_epochs=wrong)


def test_walls_need_unrotated_windows():
    boxed = dataclasses.replace(preset("verlet"), walls=5.0)
    with pytest.raises(UserError, match="`rotations`"):
        TrainConfig(preset="verlet", model=boxed)
    TrainConfig(preset="verlet", model=boxed, windows=DataConfig(rotations=0))


def test_a_fitted_preset_calibrates_after_the_fit():
    config = TrainConfig.of_preset("forces")
    assert config.is_fitted and config.calibration_epochs == config.epochs - 1
    assert (config.monitor, config.windows.rotations) == ("mae", 0)
    assert not TrainConfig.of_preset("verlet").is_fitted


def test_random_motion_is_learned_frame_by_frame_until_the_learning_rate_is_zero():
    config = TrainConfig.of_preset("langevin")
    assert config.is_sampled and (config.decay, config.windows.rotations) == ("cosine", 0)
    assert config.patience >= config.epochs
    assert not TrainConfig.of_preset("kinematic").is_sampled
    assert dataclasses.replace(config, curriculum=(0, 0)).curriculum == (0, 0)
    assert not config.is_fitted
    assert dataclasses.replace(config, model=dataclasses.replace(config.model, force="basis")).is_fitted
    with pytest.raises(UserError, match=r"`curriculum` must be 0, or nothing, for the head 'langevin'"):
        dataclasses.replace(config, curriculum=(0, 5))


def test_terms_are_for_fitted_forces():
    with pytest.raises(UserError, match=r"`model\.force`"):
        TrainConfig(fitting=FitConfig(terms=("pairs",)))


def test_a_field_needs_unrotated_windows():
    config = dataclasses.replace(TrainConfig.of_preset("forces"), fitting=FitConfig(terms=("field",)))
    with pytest.raises(UserError, match="`rotations`"):
        dataclasses.replace(config, windows=DataConfig(rotations=10))
