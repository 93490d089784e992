import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import OPEN, cell_vectors, checked_vectors


@pytest.mark.parametrize("angles", [(90, 90, 90), (70, 80, 100), (60, 60, 90), (109.47, 109.47, 109.47)])
def test_vectors_have_the_lengths_and_angles(angles):
    box = cell_vectors([3, 4, 5, *angles], "a")
    lengths = np.linalg.norm(box, axis=1)
    np.testing.assert_allclose(lengths, [3, 4, 5])
    for (first, second), angle in zip(((1, 2), (0, 2), (0, 1)), angles, strict=True):
        cosine = box[first] @ box[second] / lengths[first] / lengths[second]
        assert np.degrees(np.arccos(cosine)) == pytest.approx(angle)
    assert box[0, 1] == box[0, 2] == box[1, 2] == 0 and (np.diag(box) > 0).all()


def test_right_angles_give_exact_zeros():
    np.testing.assert_array_equal(cell_vectors([3, 4, 5, 90, 90, 90], "a"), np.diag([3.0, 4, 5]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_edge_of_length_0_is_an_open_axis_and_its_angles_mean_nothing(axis):
    cell = np.array([3.0, 4, 5, 90, 90, 90])
    cell[axis] = 0
    expected = np.diag(cell[:3])
    cell[[place for place in (3, 4, 5) if place - 3 != axis]] = 0
    np.testing.assert_array_equal(cell_vectors(cell, "a"), expected)


def test_an_oblique_slab():
    np.testing.assert_allclose(
        cell_vectors([2, 2, 0, 90, 90, 60], "a"), [[2, 0, 0], [1, np.sqrt(3), 0], [0, 0, 0]], atol=1e-12
    )


@pytest.mark.parametrize("cell", [[0, 0, 0, 0, 0, 0], [0, 0, 0, 90, 90, 90], [1, 1, 1, 90, 90, 90]])
def test_placeholders_are_open(cell):
    np.testing.assert_array_equal(cell_vectors(cell, "a"), OPEN)


@pytest.mark.parametrize(
    "cell",
    [
        [-3, 4, 5, 90, 90, 90],
        [3, 4, np.nan, 90, 90, 90],
        [3, np.inf, 5, 90, 90, 90],
        [3, 4, 5, 0, 0, 0],
        [3, 4, 5, 180, 90, 90],
        [3, 4, 5, 10, 10, 90],
        [3, 4, 5, 90, np.nan, 90],
    ],
)
def test_cells_that_do_not_exist(cell):
    with pytest.raises(UserError, match=r"a.pdb: frame 7: expected a box"):
        cell_vectors(cell, "a.pdb: frame 7")


def test_vectors_of_a_box():
    rotated = np.diag([3.0, 4, 5]) @ Rotation.from_rotvec([1, 2, 3]).as_matrix()
    for box in (rotated, OPEN, np.diag([3.0, 0, 5])):
        np.testing.assert_array_equal(checked_vectors(box.ravel(), "a"), box)
    for box in ([[1, 0, 0], [2, 0, 0], [0, 0, 1]], [[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]], np.ones((3, 3))):
        with pytest.raises(UserError, match="a: expected the vectors of a box"):
            checked_vectors(box, "a")
