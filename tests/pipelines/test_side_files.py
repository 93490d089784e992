"""Boxes and bonds of files, and the refusal of wrong ones."""

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.side_files import load_boxes, load_edges, num_edge_types

FILE = "train/00000.npy"


@pytest.fixture
def dataset(write_dataset, random_trajectory):
    def write(**optional):
        directory = write_dataset({"train": [random_trajectory(num_frames=7, num_particles=4)]}, **optional)
        return Manifest.load(directory), directory

    return write


def test_a_dataset_without_box_and_bonds(dataset):
    manifest, directory = dataset()
    assert load_boxes(manifest, directory, FILE, 7) is None
    assert load_edges(manifest, directory, FILE, 4) is None
    assert num_edge_types(manifest, directory) == 0


def test_one_box_for_all_frames(dataset):
    manifest, directory = dataset(box=(3.0, 0.0))
    np.testing.assert_array_equal(load_boxes(manifest, directory, FILE, 7), [np.diag([3.0, 0.0])])


@pytest.mark.parametrize("shape", [(7, 2), (7, 2, 2)])
def test_a_box_in_every_frame(dataset, shape):
    manifest, directory = dataset(box_files={FILE: "box.npy"})
    lengths = np.arange(1.0, 15.0).reshape(7, 2)
    expected = np.stack([np.diag(row) for row in lengths])
    np.save(directory / "box.npy", lengths if len(shape) == 2 else expected)
    np.testing.assert_array_equal(load_boxes(manifest, directory, FILE, 7), expected)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (np.ones((6, 2)), "7 frames"),
        (np.ones((7, 3)), r"\[7, 3\]"),
        (np.ones(2), r"\[2\]"),
        (-np.ones((7, 2)), "at least 0"),
        (np.full((7, 2), np.nan), "finite"),
        (np.array(["a"]), "numbers"),
    ],
)
def test_wrong_boxes_are_refused_with_their_file(dataset, boxes, message):
    manifest, directory = dataset(box_files={FILE: "box.npy"})
    np.save(directory / "box.npy", boxes)
    with pytest.raises(UserError, match=message) as error:
        load_boxes(manifest, directory, FILE, 7)
    assert str(error.value).startswith(f"{directory / 'box.npy'}: ")


def test_missing_and_damaged_files_are_refused(dataset):
    manifest, directory = dataset(box_files={FILE: "box.npy"}, edges="bonds.npy")
    for name, load in (("box.npy", load_boxes), ("bonds.npy", load_edges)):
        with pytest.raises(UserError, match="no such file"):
            load(manifest, directory, FILE, 7)
        (directory / name).write_bytes(b"\x93NUMPY")
        with pytest.raises(UserError, match=r"not an \.npy file"):
            load(manifest, directory, FILE, 7)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_bonds_for_all_files_or_by_file(dataset, dtype):
    rows = np.array([[0, 1, 1], [3, 2, 2]], dtype)
    for edges in ("bonds.npy", {FILE: "bonds.npy"}):
        manifest, directory = dataset(edges=edges)
        np.save(directory / "bonds.npy", rows)
        found = load_edges(manifest, directory, FILE, 4)
        np.testing.assert_array_equal(found, rows)
        assert found.dtype == np.int32
        assert num_edge_types(manifest, directory) == 2


def test_a_file_may_have_no_bonds(dataset):
    manifest, directory = dataset(edges="bonds.npy")
    np.save(directory / "bonds.npy", np.zeros((0, 3), np.int32))
    assert load_edges(manifest, directory, FILE, 4).shape == (0, 3)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([[0, 1, 1], [0, 4, 1]], r"row 1: .* 0 to 3, found \[0, 4, 1\]"),
        ([[0, -1, 1]], r"row 0: .* 0 to 3, found \[0, -1, 1\]"),
        ([[2, 2, 1]], r"row 0: .* different particles, found \[2, 2, 1\]"),
        ([[0, 1, 0]], r"row 0: .* at least 1, found \[0, 1, 0\]"),
        ([[0, 1, 1], [2, 3, 1], [1, 0, 2]], r"row 0: .* once, .* found \[0, 1, 1\]"),
        ([[0, 1]], r"\[1, 2\]"),
        ([[0.0, 1.0, 1.0]], "float64"),
        ([0, 1, 1], r"\[3\]"),
    ],
)
def test_wrong_bonds_are_refused_with_their_row(dataset, rows, found):
    manifest, directory = dataset(edges="bonds.npy")
    np.save(directory / "bonds.npy", np.array(rows))
    with pytest.raises(UserError, match=found) as error:
        load_edges(manifest, directory, FILE, 4)
    assert str(error.value).startswith(f"{directory / 'bonds.npy'}: ")
