import dataclasses

import numpy as np
import pytest

from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.simulate import simulate
from socialmd_tf.evaluation import predictors

WINDOWS = DataConfig(subsample=4, subsample_phases=1, warm_up_steps=3, rollout_steps=4, window_shift=3, rotations=0)


@pytest.fixture(scope="module")
def nbody(tmp_path_factory):
    """A small N-body dataset."""
    config = SimulationConfig(
        num_train=1,
        num_validation=0,
        num_test=1,
        num_particles=5,
        num_steps=8000,
        time_step=5e-6,
        save_every=100,
        radius=1.5,
    )
    directory = tmp_path_factory.mktemp("data") / "nbody"
    simulate(config, directory, command="python -m socialmd_tf.simulate")
    return directory


def setting_of(directory, **changes):
    windows = CommonWindows([WINDOWS])
    training = predictors.training_batches(windows, directory)
    manifest = Manifest.load(directory)
    return dataclasses.replace(predictors.Setting(manifest, WINDOWS, 10, 5, training), **changes)


def test_the_names():
    assert list(predictors.PREDICTORS) == [
        "constant_position",
        "constant_velocity",
        "constant_acceleration",
        "exact_integrator",
    ]


def test_known_forces_make_far_smaller_errors(nbody):
    made, left_out = predictors.make_all(setting_of(nbody))
    assert left_out == {} and list(made) == list(predictors.PREDICTORS)
    windows = CommonWindows([WINDOWS])
    (batch,) = windows.batches(nbody, "test", windows.index(nbody, "test"))
    errors = {}
    for name, predictor in made.items():
        parameters = predictor.predict(batch.inputs(WINDOWS))
        assert parameters.shape == (*batch.targets.shape[:-1], predictor.layout.size)
        assert (predictor.windows, predictor.layout.num_dimensions) == (WINDOWS, 2)
        errors[name] = np.abs(parameters[..., :2] - batch.targets).mean()
    assert errors["exact_integrator"] < 0.01 * min(errors[name] for name in errors if name != "exact_integrator")


def test_training_windows_are_all_or_evenly_spaced(nbody):
    training = setting_of(nbody).training
    everything = np.concatenate([targets for _, targets in training(limit=10**6)])
    some = np.concatenate([targets for _, targets in training(limit=3)])
    last = len(everything) - 1
    assert last > 3
    np.testing.assert_array_equal(some, everything[[0, round(last / 2), last]])
    assert len(np.concatenate([targets for _, targets in training(limit=1000)])) == len(everything)


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        (
            {"windows": dataclasses.replace(WINDOWS, warm_up_steps=1)},
            "constant_velocity",
            "needs 2 observed frames; the windows have 1",
        ),
        (
            {"windows": dataclasses.replace(WINDOWS, warm_up_steps=1)},
            "exact_integrator",
            "needs 2 observed frames; the windows have 1",
        ),
        (
            {"num_particles": 10_000},
            "exact_integrator",
            "too many particles and windows to integrate",
        ),
        (
            {"manifest": Manifest("other", 2, ("mass", "charge"), "1", 0.1, {}, {})},
            "exact_integrator",
            "the dataset does not state its forces",
        ),
    ],
)
def test_why_one_does_not_apply(nbody, changes, name, reason):
    with pytest.raises(predictors.DoesNotApply) as raised:
        predictors.PREDICTORS[name](setting_of(nbody, **changes))
    assert str(raised.value) == reason
