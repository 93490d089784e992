import itertools
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipelines.molecules.solvent_accessible_area import accessible_areas, sphere_points
from tests import references
from tests.boxes import BOXES

PROBE = 0.14


def cloud(count=30, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, (count, 3)), generator.uniform(0.15, 0.4, count)


def test_equals_shrake_and_rupley_point_by_point():
    positions, radii = cloud()
    expected = references.accessible_areas(positions, radii, PROBE, sphere_points(40))
    found = accessible_areas(positions, radii, PROBE, num_points=40)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (expected == 0).any() and (expected > 0).any()


def test_one_sphere_is_its_own_surface():
    assert accessible_areas(np.zeros((1, 3)), np.array([0.3]), PROBE) == pytest.approx(4 * math.pi * 0.44**2)
    apart = accessible_areas(np.array([[0, 0, 0], [0, 0, 2.0]]), np.array([0.3, 0.5]), PROBE)
    np.testing.assert_allclose(apart, 4 * math.pi * np.array([0.44, 0.64]) ** 2)
    assert accessible_areas(np.zeros((0, 3)), np.zeros(0), PROBE).shape == (0,)


def test_two_spheres_lose_a_cap_each():
    # A plane half way cuts a cap of area 2 pi R (R - d / 2) off each.
    reach, distance = 0.5, 0.4
    positions = np.array([[0, 0, 0], [distance, 0, 0]])
    found = accessible_areas(positions, np.full(2, reach - PROBE), PROBE, num_points=4000)
    np.testing.assert_allclose(found, 4 * math.pi * reach**2 - 2 * math.pi * reach * (reach - distance / 2), rtol=2e-3)


def test_a_sphere_inside_another_has_none():
    found = accessible_areas(np.array([[0, 0, 0], [0.1, 0, 0]]), np.array([1.0, 0.2]), PROBE)
    assert found[1] == 0 and found[0] == pytest.approx(4 * math.pi * 1.14**2)


def test_turning_changes_little():
    positions, radii = cloud()
    turned = positions @ Rotation.from_rotvec([0.3, -1.0, 0.7]).as_matrix().T + 5.0
    before, after = (accessible_areas(each, radii, PROBE).sum() for each in (positions, turned))
    assert after == pytest.approx(before, rel=0.02)


def test_points_lie_evenly_on_the_sphere():
    points = sphere_points(96)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(points.T @ points / 96, np.eye(3) / 3, atol=0.01)


@BOXES
def test_images_in_a_box_bury_as_spheres_do(box):
    """The areas of a box equal those of the middle one of many copies, for large spheres also its own images."""
    generator = np.random.default_rng(6)
    positions, radii = generator.uniform(-9, 9, (8, 3)), generator.uniform(0.5, 2.3, 8)
    shifts = np.array(list(itertools.product((0, -1, 1, -2, 2), repeat=3))) @ box
    wrapped = positions - np.floor(positions @ np.linalg.pinv(box)) @ box * 1.0
    copies = np.concatenate([wrapped + shift for shift in np.unique(shifts.round(9), axis=0)])
    middle = np.argmin(np.abs(copies[None] - wrapped[:, None]).sum(axis=-1), axis=1)
    expected = accessible_areas(copies, np.tile(radii, len(copies) // 8), PROBE)[middle]
    found = accessible_areas(positions, radii, PROBE, box=box)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (found < accessible_areas(positions, radii, PROBE) - 1e-9).any()
