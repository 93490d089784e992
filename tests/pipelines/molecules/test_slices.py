import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.slices import cut_slice, slice_axes, thinness


@pytest.mark.parametrize("num_slices", [1, 2, 8, 50])
def test_axes_are_unit_vectors_of_the_half_sphere_beginning_with_z(num_slices):
    axes = slice_axes(num_slices)
    assert axes.shape == (num_slices, 3)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    assert (axes[:, 2] > 0).all()
    assert axes[0].tolist() == [0, 0, 1]


def test_many_axes_point_everywhere_evenly():
    axes = slice_axes(2000)
    np.testing.assert_allclose((axes[:, :, None] * axes[:, None, :]).mean(axis=0), np.eye(3) / 3, atol=0.01)


def test_axes_are_not_near_each_other():
    axes = slice_axes(8)
    cosines = np.abs(axes @ axes.T) - np.eye(8)
    assert np.degrees(np.arccos(cosines.max())) > 25


def test_the_members_are_those_near_the_plane():
    first = np.array([[5, 5, 0.9], [1, 2, -1.0], [0, 0, 1.1], [9, 9, -7.0]])
    assert cut_slice(first, np.array([0.0, 0, 1]), 1.0, "x").members.tolist() == [0, 1]


def test_rotation_keeps_distances_and_lays_the_axis_along_z():
    positions = np.random.default_rng(0).normal(size=(6, 40, 3))
    for axis in slice_axes(7):
        piece = cut_slice(positions[0], axis, 0.5, "x")
        turned = piece.rotate(positions)
        assert turned.shape == (6, len(piece.members), 3)
        np.testing.assert_allclose(turned[..., 2], positions[:, piece.members] @ axis, atol=1e-12)
        before, after = positions[:, piece.members], turned
        np.testing.assert_allclose(
            np.linalg.norm(after[:, :, None] - after[:, None], axis=-1),
            np.linalg.norm(before[:, :, None] - before[:, None], axis=-1),
            atol=1e-12,
        )
        assert (np.abs(turned[0, :, 2]) <= 0.5).all()


def test_a_rotated_slice_is_no_mirror_image():
    first = np.eye(3)
    for axis in slice_axes(5):
        turned = cut_slice(first, axis, 2.0, "x").rotate(first)
        assert np.linalg.det(turned) == pytest.approx(1)


def test_thinness_by_hand():
    # Four members two units from the axis, within half a unit of the plane; one after another leaves it.
    frames = np.array([[[2.0, 0, 0], [0, 2, 0], [-2, 0, 0], [0, -2, 0]]] * 9)
    for quarter in range(1, 5):
        frames[2 * quarter :, :quarter, 2] = 2.0
    measure = thinness(frames, cut_slice(frames[0], np.array([0.0, 0, 1]), 0.5, "x"), 0.5)
    assert measure.share_outside == (0, 0.25, 0.5, 0.75, 1)
    np.testing.assert_allclose(measure.off_plane, np.sqrt([0, 0.25, 0.5, 0.75, 1]))


def test_an_empty_slice():
    with pytest.raises(UserError, match=r"md.xtc: .*\[0.0, 0.0, 1.0\].*`--slice-half-thickness 0.5`.* 2.5 away"):
        cut_slice(np.array([[0, 0, 3.0], [0, 0, -2.5]]), np.array([0.0, 0, 1]), 0.5, "md.xtc")
