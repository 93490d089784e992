"""Advice fits the data: windows into the files, presets to the motion."""

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.description import describe
from pipelines.motion import STRIDES
from pipelines.window_counts import count_windows
from socialmd_tf.config import PRESETS
from socialmd_tf.config.advice import advise, fitting_windows

TIMES = np.arange(60)[:, None, None]


@pytest.mark.parametrize("subsample", STRIDES)
def test_suggested_windows_fit_files_of_any_length(subsample):
    for num_frames in [*range(3, 200), 500, 1000, 5000]:
        config = fitting_windows(num_frames, subsample)
        assert config.min_frames <= num_frames
        assert count_windows(num_frames, config) >= config.num_phases
        assert config.subsample <= subsample and config.warm_up_steps >= 2
        is_long = DataConfig(subsample=subsample).min_frames <= num_frames
        assert not is_long or (config.subsample, config.window_steps) == (subsample, 35)
        if num_frames >= 35:
            assert (config.warm_up_steps, config.rollout_steps) == (5, 30)
    assert fitting_windows(2, subsample) is None


def test_short_files_have_several_windows():
    assert fitting_windows(50, 1) == DataConfig(subsample=1)
    assert [count_windows(num_frames, fitting_windows(num_frames, 1)) for num_frames in (3, 10, 34, 38, 50)] == [
        *(1, 3, 4, 4, 4)
    ]


@pytest.fixture
def advice(write_dataset):
    """Advice for systems of given paths `[T, N, 2]`."""

    def make(path, columns=0.0, features=("mass",), splits=("train", "validation"), **optional):
        trajectory = np.concatenate([path, np.full((*path.shape[:2], len(features)), columns)], axis=-1)
        files = {split: [trajectory.astype(np.float32)] for split in splits}
        return advise(describe(write_dataset(files, features=features, **optional)))

    return make


def circle(num_particles=4, radius=1.0):
    phases = 0.02 * TIMES[:, 0] + np.arange(num_particles)
    return radius * np.stack([np.cos(phases), np.sin(phases)], axis=-1)


def walk():
    return np.random.default_rng(0).normal(size=(60, 4, 2)).cumsum(axis=0)


def test_smooth_motion_gets_fitted_forces(advice):
    found = advice(circle(), 1.0, ("mass", "charge"))
    assert found.preset == "forces" and "pair forces by mass and charge, a field and friction" in found.reason
    assert "a field" not in advice(circle(), box=(9.0, 9.0)).reason
    assert "--force-cutoff" in advice(circle(num_particles=101)).reason


def lattice(side=3, spacing=2.0):
    """Particles that walk at random, a little around the places of a square lattice whose centre is the origin."""
    places = spacing * (np.stack(np.meshgrid(*[np.arange(side)] * 2), axis=-1).reshape(-1, 2) - (side - 1) / 2)
    return places + 0.02 * np.random.default_rng(0).normal(size=(60, side**2, 2)).cumsum(axis=0)


def test_random_motion_gets_drift_and_noise_with_ranges_from_the_data(advice):
    found = advice(lattice())
    (cutoff,) = found.flags
    assert found.preset == "langevin"
    assert float(cutoff.removeprefix("--model.cutoff ")) == pytest.approx(3.5 * 2.0, rel=0.2)
    assert advice(lattice() + 100).flags == (cutoff, "--model.no-centered")
    assert advice(lattice() + 100, box=(300.0, 300.0)).flags == (cutoff,)  # a box has no centre
    assert "--model.cutoff" not in " ".join(advice(lattice(side=1)).flags)
    assert advice(lattice() + 3, box=(6.0, 8.0)).flags == ("--model.cutoff 3",)  # no farther than half the box
    assert advice(lattice() + 3, box=(6.0199999, 8.0)).flags == ("--model.cutoff 3",)


def test_held_particles_get_windows_and_averages_as_long_as_the_files(advice):
    path, names = np.random.default_rng(0).normal(size=(300, 4, 2)).cumsum(axis=0), ("anchor_x", "anchor_y")
    held = advice(path, 1.0, names)
    windows = held.windows
    assert (windows.warm_up_steps, windows.rollout_steps, windows.subsample) == (25, 275, 1)
    assert {"--batch-size 1", "--model.time-constants 4 16 64 256"} < set(held.flags) and "anchors" in held.reason
    assert advice(path[:150], 1.0, names).windows.rollout_steps == 125
    assert "--model.time-constants 4 16 64" in advice(path[:150], 1.0, names).flags
    for short_or_free in (advice(path[:99], 1.0, names), advice(path)):
        assert short_or_free.windows.window_steps == 35 and "--batch-size 1" not in short_or_free.flags


def test_single_particles_have_no_pair_forces(advice):
    found = advice(circle(num_particles=1))
    assert found.preset == "forces" and "forces: a field and friction are fitted" in found.reason


def test_changing_boxes_get_learned_forces(advice, tmp_path):
    (tmp_path / "tiny").mkdir()
    np.save(tmp_path / "tiny" / "box.npy", np.linspace(9, 10, 60)[:, None] * np.ones(2))
    files = {f"{split}/00000.npy": "box.npy" for split in ("train", "validation")}
    assert advice(circle(), box_files=files).preset == "verlet"


def test_tiny_units_lower_the_smallest_deviation(advice):
    found = advice(circle(radius=1e-4))
    (flag,) = found.flags
    move = 2 * np.sin(0.02 * found.windows.subsample / 2) * 1e-4
    assert float(flag.removeprefix("--model.scale-floor ")) == pytest.approx(move / 1000, rel=0.5)


@pytest.mark.parametrize(
    ("path", "splits", "reason"),
    [
        (np.ones((60, 4, 2)), ("train", "validation"), "no particle moves"),
        (circle(), ("train", "test"), "there is no validation"),
        (circle()[:2], ("train", "validation"), "at least 3 frames; the shortest has 2"),
    ],
)
def test_what_cannot_be_trained_on_is_said(advice, path, splits, reason):
    found = advice(path, splits=splits)
    assert found.preset is None and reason in found.reason


def test_names_of_presets_exist(advice):
    paths = [circle(), walk(), circle(num_particles=1), walk()[:3]]
    assert {advice(path).preset for path in paths} <= set(PRESETS)
