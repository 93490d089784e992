"""Boxes, bonds and observed velocities from files to batches."""

import dataclasses

import numpy as np
import pytest

from pipelines.boxes import lattice_vectors
from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.dataset import batches, windows

CONFIG = DataConfig(subsample=4, subsample_phases=2, warm_up_steps=3, rollout_steps=2, window_shift=2, rotations=0)
SQUARE, SHEARED, SLAB = (6.0, 5.0), ((6.0, 0.0), (2.0, 5.0)), (6.0, 0.0)
INTERVAL = 0.1 * CONFIG.subsample  # the fixture's time between frames


def walk(num_particles=3, num_dimensions=2, seed=0, num_frames=40):
    generator = np.random.default_rng(seed)
    return (0.4 * generator.normal(size=(num_frames, num_particles, num_dimensions))).cumsum(axis=0)


def with_features(positions, *others):
    mass = np.broadcast_to(np.arange(1.0, positions.shape[1] + 1)[None, :, None], (*positions.shape[:2], 1))
    return np.concatenate([positions, mass, *others], axis=-1).astype(np.float32)


def wrapped(positions, box):
    fractions = positions @ np.linalg.pinv(lattice_vectors(box, positions.shape[-1]))
    return positions - np.floor(fractions) @ lattice_vectors(box, positions.shape[-1])


def batch(directory, config=CONFIG, **options):
    options = {"batch_size": 1000, "seed": 0, "shuffle": False, **options}
    ((inputs, targets),) = batches(directory, "train", config, **options).as_numpy_iterator()
    return inputs, targets


@pytest.fixture
def periodic(write_dataset):
    """The same walks, unwrapped and wrapped into a box."""

    def write(box):
        walks = [walk(number, seed=number) for number in (4, 2)]
        data = {"unwrapped": walks, "wrapped": [wrapped(each, box) for each in walks]}
        return [
            write_dataset({"train": [with_features(each) for each in those]}, name=name, box=box)
            for name, those in data.items()
        ]

    return write


@pytest.mark.parametrize("box", [SQUARE, SHEARED, SLAB])
def test_wrapped_and_unwrapped_data_give_the_same_windows(periodic, box):
    (first, first_targets), (second, second_targets) = map(batch, periodic(box))
    frames = [
        np.concatenate([inputs["positions"], targets], axis=1)
        for inputs, targets in zip((first, second), (first_targets, second_targets), strict=True)
    ]
    shift = frames[0] - frames[1]
    assert np.abs(shift).max() > 4
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=1e-5)
    turns = shift[:, 0] @ np.linalg.pinv(lattice_vectors(box, 2))
    np.testing.assert_allclose(turns @ lattice_vectors(box, 2), shift[:, 0], atol=1e-5)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)
    for name in ("features", "mask", "box"):
        np.testing.assert_array_equal(first[name], second[name])
    np.testing.assert_allclose(first["box"], np.broadcast_to(lattice_vectors(box, 2), first["box"].shape))
    assert first["box"].dtype == np.float32


def test_unwrapped_data_keep_their_positions_and_padding(periodic):
    unwrapped, wrapped_data = periodic(SQUARE)
    inputs, targets = batch(unwrapped)
    expected = np.load(unwrapped / "train/00000.npy")[..., :2]
    np.testing.assert_allclose(inputs["positions"][0], expected[0:12:4], atol=1e-6)
    np.testing.assert_allclose(targets[0], expected[12:20:4], atol=1e-6)
    for directory in (unwrapped, wrapped_data):
        inputs, targets = batch(directory)
        padding = inputs["mask"] == 0
        assert padding.any()
        assert not inputs["positions"].swapaxes(1, 2)[padding].any()
        assert not targets.swapaxes(1, 2)[padding].any()


def test_the_first_frame_of_a_window_stays_where_it_is_stored(periodic):
    """However far a particle has gone since the file began: float32 would lose digits."""
    directory = periodic(SQUARE)[1]
    inputs, _ = batch(directory)
    expected = np.load(directory / "train/00000.npy")[..., :2]
    starts = [0, 8, 16, 2, 10, 18]
    np.testing.assert_array_equal(inputs["positions"][: len(starts), 0], expected[starts])


def test_a_box_in_every_frame_is_that_of_the_last_observed_one(write_dataset):
    boxes = np.linspace(5, 6, 80).reshape(40, 2)
    directory = write_dataset({"train": [with_features(walk())]}, box_files={"train/00000.npy": "box.npy"})
    np.save(directory / "box.npy", boxes)
    inputs, _ = batch(directory)
    for window, start in enumerate([0, 8, 16]):
        np.testing.assert_allclose(inputs["box"][window], np.diag(boxes[start + 8]), rtol=1e-6)


def test_bonds_are_symmetric_matrices_padded_with_zeros(write_dataset):
    data = [with_features(walk(number)) for number in (2, 4)]
    edges = {"train/00000.npy": "a.npy", "train/00001.npy": "b.npy"}
    directory = write_dataset({"train": data}, edges=edges)
    rows = {"a.npy": [[1, 0, 3]], "b.npy": [[0, 2, 1], [3, 2, 2], [1, 3, 1]]}
    for name, values in rows.items():
        np.save(directory / name, np.array(values))
    inputs, _ = batch(directory)
    assert inputs["edges"].dtype == np.int32
    half = len(inputs["edges"]) // 2
    for found, values in ((inputs["edges"][:half], rows["a.npy"]), (inputs["edges"][half:], rows["b.npy"])):
        expected = np.zeros((4, 4), int)
        for i, j, kind in values:
            expected[i, j] = expected[j, i] = kind
        np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))
    single = next(windows(directory, "train", CONFIG).as_numpy_iterator())[0]
    np.testing.assert_array_equal(single["edges"], inputs["edges"][0])


def test_data_without_any_bond(write_dataset):
    directory = write_dataset({"train": [with_features(walk())]}, edges="none.npy")
    np.save(directory / "none.npy", np.zeros((0, 3), np.int64))
    inputs, _ = batch(directory)
    assert inputs["edges"].shape[1:] == (3, 3)
    assert not inputs["edges"].any()


def test_velocities_are_moves_per_subsampled_frame_and_no_features(write_dataset):
    positions, velocities = walk(seed=3), walk(seed=4)
    extra = np.broadcast_to([[[7.0], [8.0], [9.0]]], (40, 3, 1))
    names = ("mass", "velocity_x", "velocity_y", "extra")
    directory = write_dataset({"train": [with_features(positions, velocities, extra)]}, features=names)
    inputs, _ = batch(directory)
    np.testing.assert_allclose(inputs["velocities"][1], velocities[8:20:4] * INTERVAL, rtol=1e-5)
    np.testing.assert_array_equal(inputs["features"][0], [[1, 7], [2, 8], [3, 9]])


@pytest.mark.slow_cases("2")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_lattice_vectors_and_velocities_rotate_with_the_positions(write_dataset, num_dimensions):
    positions, velocities = (walk(num_dimensions=num_dimensions, seed=seed) for seed in (5, 6))
    names = ("mass", *(f"velocity_{axis}" for axis in "xyz"[:num_dimensions]))
    trajectory = with_features(positions, velocities)
    box = (6.0, 5.0, 7.0)[:num_dimensions]
    directory = write_dataset({"train": [trajectory]}, num_dimensions=num_dimensions, features=names, box=box)
    plain, plain_targets = batch(directory)
    turned, targets = batch(directory, dataclasses.replace(CONFIG, rotations=1))
    for sample in range(len(targets)):
        rotation = turned["box"][sample].T / np.array(box)  # its columns are the rotated axes
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(num_dimensions), atol=1e-5)
        for name in ("positions", "velocities"):
            np.testing.assert_allclose(turned[name][sample], plain[name][sample] @ rotation.T, atol=1e-4)
        np.testing.assert_allclose(targets[sample], plain_targets[sample] @ rotation.T, atol=1e-4)
    np.testing.assert_array_equal(turned["features"], plain["features"])


def test_data_without_optional_inputs_have_none(write_dataset):
    inputs, _ = batch(write_dataset({"train": [with_features(walk())]}))
    assert set(inputs) == {"positions", "features", "mask"}


@pytest.mark.parametrize("per_frame", [False, True])
def test_common_windows_are_those_of_the_pipeline(write_dataset, per_frame):
    data = [with_features(wrapped(walk(number, seed=number), SHEARED), walk(number, seed=9)) for number in (4, 2)]
    names = [f"train/0000{number}.npy" for number in (0, 1)]
    options = {"box_files": dict.fromkeys(names, "box.npy")} if per_frame else {"box": SHEARED}
    directory = write_dataset(
        {"train": data}, features=("mass", "velocity_x", "velocity_y"), edges="bonds.npy", **options
    )
    np.save(directory / "box.npy", np.repeat(np.array(SHEARED)[None], 40, axis=0))
    np.save(directory / "bonds.npy", np.array([[1, 0, 2]]))
    inputs, targets = batch(directory)
    common = CommonWindows([CONFIG])
    (found,) = common.batches(directory, "train", common.index(directory, "train"))
    others = found.inputs(CONFIG)
    assert set(others) == set(inputs) == {"positions", "features", "mask", "box", "edges", "velocities"}
    for name, values in inputs.items():
        np.testing.assert_allclose(others[name], values, rtol=1e-6, atol=1e-6)
        assert others[name].dtype == values.dtype
    np.testing.assert_allclose(found.targets, targets, atol=1e-6)
