import json
import tracemalloc

import numpy as np
import pytest

from pipelines import description
from pipelines.config import DataConfig
from pipelines.description import describe
from pipelines.description_page import WIDTH, page
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.resolution import resolution_warnings


def test_sizes_are_those_of_the_files(write_dataset, random_trajectory):
    trajectories = [random_trajectory(num_frames=20 + 5 * k, num_particles=3 + k, seed=k) for k in range(3)]
    directory = write_dataset({"train": trajectories[:2], "validation": [], "test": trajectories[2:]})
    found = describe(directory)
    assert found.num_frames == {"train": (20, 25), "validation": (), "test": (30,)}
    assert found.num_particles == (3, 5) and found.min_frames == 20
    assert (found.sample.split, found.sample.num_files) == ("train", 2)
    both = [trajectory.reshape(-1, 3) for trajectory in trajectories[:2]]
    low, high = np.concatenate(both).min(axis=0), np.concatenate(both).max(axis=0)
    assert found.ranges == {name: (low[k], high[k]) for k, name in enumerate(("x", "y", "mass"))}
    assert found.boxes is None and found.crossing is None and found.num_bonds is None


def test_spacing_and_centre_of_a_square(write_dataset):
    square = (
        0.5 * np.array([[1, 1, 1], [1, -1, 1], [-1, 1, 1], [-1, -1, 1]], np.float32) * np.ones((20, 1, 1), np.float32)
    )
    found = describe(write_dataset({"train": [square]}))
    assert found.spacing == 1.0 and found.is_around_origin
    moved = square + np.array([0.3, 0, 0], np.float32)
    assert not describe(write_dataset({"train": [moved]}, name="moved")).is_around_origin
    assert describe(write_dataset({"train": [square[:, :1]]}, name="single")).spacing is None
    apart = np.concatenate([square[:, :1], square[:, :1] + np.array([6.0, 0, 0], np.float32)], axis=1)
    boxed = describe(write_dataset({"train": [apart]}, box=(4.0, 4.0), name="boxed"))
    assert boxed.spacing == 2.0 and not boxed.is_around_origin


def test_wrapped_positions_in_a_box_are_named(write_dataset, random_trajectory):
    straight = 0.5 * np.arange(30)[:, None, None] * np.ones((1, 2, 2)) + np.array([[1.0, 1.0], [3.0, 0.0]])
    mass = np.ones((30, 2, 1))
    wrapped = np.concatenate([straight % 8.0, mass], axis=-1).astype(np.float32)
    unwrapped = np.concatenate([straight, mass], axis=-1).astype(np.float32)
    found = describe(write_dataset({"train": [unwrapped, wrapped]}, box=(8.0, 8.0), name="wrapped"))
    # Particle 1 begins at x = 3 and enters anew at frame 10.
    assert found.crossing == ("train/00001.npy", 10, 1)
    assert found.motion.kind == "smooth" and found.is_box_constant
    np.testing.assert_allclose(found.boxes, [[8, 8], [8, 8]])
    assert describe(write_dataset({"train": [unwrapped]}, box=(8.0, 8.0), name="free")).crossing is None


def test_boxes_of_frames_and_bonds(write_dataset, random_trajectory, tmp_path):
    trajectory = 0.01 * random_trajectory(num_frames=20, num_particles=4)
    trajectory[..., 2] = 1.0
    directory = tmp_path / "boxes"
    boxes = np.stack([np.linspace(5, 6, 20), np.zeros(20)], axis=-1)
    directory.mkdir()
    np.save(directory / "box.npy", boxes)
    np.save(directory / "bonds.npy", np.array([[0, 1, 1], [1, 2, 1]]))
    write_dataset(
        {"train": [trajectory]}, box_files={"train/00000.npy": "box.npy"}, edges="bonds.npy", name=directory.name
    )
    found = describe(directory)
    assert not found.is_box_constant and found.num_bonds == (2, 2)
    np.testing.assert_allclose(found.boxes, [[5, 0], [6, 0]])
    text = "\n".join(page(found))
    assert "5 to 6 x open, periodic, changing" in text and "bonds         2 per file" in text


def test_the_sample_is_bounded_and_from_the_middle(write_dataset, random_trajectory, monkeypatch):
    monkeypatch.setattr(description, "MAX_FILES", 2)
    monkeypatch.setattr(description, "MAX_FRAMES", 10)
    monkeypatch.setattr(description, "MAX_PARTICLES", 3)
    trajectories = [random_trajectory(num_frames=40, num_particles=7, seed=k) for k in range(5)]
    found = describe(write_dataset({"train": trajectories}))
    assert found.sample.files == ("train/00000.npy", "train/00004.npy")
    assert (found.sample.num_frames, found.sample.num_particles) == (10, 3)
    part = trajectories[0][15:25, [0, 3, 6], 0], trajectories[4][15:25, [0, 3, 6], 0]
    assert found.ranges["x"] == (min(map(np.min, part)), max(map(np.max, part)))
    assert "measured on 2 of 5 files of train, 10 of 40 frames, 3 of 7 particles" in "\n".join(page(found))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_files(tmp_path):
    shape = (20_000, 1000, 2)  # 160 MB, sparse on disk
    files = {"train": ("long.npy",)}
    np.lib.format.open_memmap(tmp_path / "long.npy", "w+", "<f4", shape)
    Manifest("long", 2, (), "1", 1.0, files, {}).save(tmp_path)
    tracemalloc.start()
    describe(tmp_path)
    resolution_warnings(tmp_path, ["train"], DataConfig(subsample=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6


def test_velocities_are_no_features(write_dataset):
    positions = np.cumsum(np.ones((20, 2, 2)), axis=0)
    trajectory = np.concatenate([positions, 10 * np.ones((20, 2, 2))], axis=-1).astype(np.float32)
    found = describe(write_dataset({"train": [trajectory]}, features=("velocity_x", "velocity_y")))
    assert set(found.ranges) == {"x", "y"}
    assert "none; observed velocities" in "\n".join(page(found))


def test_a_dataset_without_files_is_refused(write_dataset):
    with pytest.raises(UserError, match="expected files in `splits`"):
        describe(write_dataset({"train": [], "test": []}))


def test_lines_are_not_wider_than_the_page(write_dataset, random_trajectory):
    directory = write_dataset(
        {"train": [random_trajectory(num_features=12)]}, features=[f"feature number {k}" for k in range(12)]
    )
    text = page(describe(directory))
    assert max(map(len, text)) <= WIDTH or max(len(part) for line in text for part in line.split("\n")) <= WIDTH


@pytest.mark.parametrize("unit", ["nm", "1"])
def test_units_are_stated_where_they_are_known(write_dataset, random_trajectory, unit):
    directory = write_dataset({"train": [random_trajectory()]}, time_unit="ps")
    values = json.loads((directory / "dataset.json").read_text()) | {"length_unit": unit}
    (directory / "dataset.json").write_text(json.dumps(values))
    text = "\n".join(page(describe(directory)))
    assert ("length unit nm" in text) == (unit == "nm") and "0.1 between stored frames; time unit ps" in text
