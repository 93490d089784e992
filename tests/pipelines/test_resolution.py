import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.resolution import resolution_warnings

EVERY_FRAME = DataConfig(subsample=1, subsample_phases=1)


@pytest.fixture
def warnings(write_dataset):
    """Warnings about a dataset of walks `offset + scale * (walk, one feature)`."""

    def measure(offset=0.0, scale=1.0, step=0.1, feature=1.0, num_frames=30, config=EVERY_FRAME, num_dimensions=2):
        generator = np.random.default_rng(0)
        start = generator.uniform(-3, 3, (1, 5, num_dimensions))
        walk = start + step * generator.normal(size=(num_frames, 5, num_dimensions)).cumsum(axis=0)
        features = np.full((num_frames, 5, 1), feature)
        trajectory = np.concatenate([offset + scale * walk, features], axis=-1).astype(np.float32)
        directory = write_dataset({"train": [trajectory], "test": []}, num_dimensions=num_dimensions)
        return resolution_warnings(directory, ["train", "test"], config)

    return measure


def test_usual_scales_give_no_warning(warnings):
    assert warnings() == []
    assert warnings(num_dimensions=3) == []
    assert warnings(scale=100.0) == []
    assert warnings(feature=0.0) == []


def test_map_coordinates_are_too_coarse_for_float32(warnings):
    # Float32 numbers near 4 500 000 are half a metre apart.
    (line,) = warnings(offset=np.array([5e5, 4.5e6]), step=0.05)
    for part in ("y reaches 4.5e+06", "0.5 apart", "float64"):
        assert part in line


def test_an_axis_whose_moves_are_lost_to_rounding_is_found(warnings):
    (line,) = warnings(offset=np.array([0.0, 1e9]), step=1e-3)
    assert "y reaches 1e+09" in line


def test_a_flat_system_in_space_is_usual(warnings):
    assert warnings(scale=np.array([1.0, 1.0, 0.0]), num_dimensions=3) == []


def test_longer_moves_are_resolved(warnings):
    spacing = 0.5
    assert len(warnings(offset=4.5e6, step=20 * spacing)) == 1
    assert warnings(offset=4.5e6, step=400 * spacing) == []


def test_subsampling_lengthens_the_moves(warnings):
    offset, step = 4.5e6, 20.0
    assert len(warnings(offset=offset, step=step, num_frames=600)) == 1
    assert warnings(offset=offset, step=step, num_frames=600, config=DataConfig(subsample=20)) == []


def test_files_without_a_move_are_not_said_to_stand_still(warnings):
    assert warnings(num_frames=1) == warnings(num_frames=2, config=DataConfig(subsample=20)) == []


def test_a_dataset_in_which_nothing_moves(warnings):
    (line,) = warnings(step=0.0)
    assert "no particle moves" in line and "--subsample 1" in line


@pytest.mark.parametrize("scale", [1e-10, 1e-3, 1e6])
def test_lengths_in_an_unsuitable_unit(warnings, scale):
    (line,) = warnings(scale=scale)
    assert "the systems extend over" in line


@pytest.mark.parametrize(("feature", "found"), [(1e7, "1e+07"), (-1e7, "1e+07"), (1.7e-27, "1.7e-27")])
def test_features_far_from_one(warnings, feature, found):
    (line,) = warnings(feature=feature)
    assert "'mass'" in line and found in line


def test_several_findings_are_several_lines(warnings):
    assert len(warnings(scale=1e-10, feature=1e7)) == 2


def test_only_the_splits_asked_for_are_read(write_dataset, random_trajectory):
    strange = random_trajectory() * np.float32(1e7)
    directory = write_dataset({"train": [random_trajectory()], "test": [strange]})
    assert resolution_warnings(directory, ["train"], EVERY_FRAME) == []
    assert len(resolution_warnings(directory, ["train", "test"], EVERY_FRAME)) == 2
    assert resolution_warnings(directory, [], EVERY_FRAME) == []
