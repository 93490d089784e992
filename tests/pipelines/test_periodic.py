import itertools

import numpy as np
import pytest

from pipelines.periodic import cell_index, half_width, images_near, minimum_image, volume, wrap
from tests.boxes import BOXES, CUBE, SLAB, TRICLINIC


def shortest(displacement, box):
    shifts = np.array(list(itertools.product(range(-4, 5), repeat=3))) @ box
    images = displacement + shifts
    return images[np.argmin((images**2).sum(axis=1))]


@BOXES
def test_minimum_image_by_trying_all(box):
    displacements = np.random.default_rng(0).uniform(-8, 8, size=(500, 3))
    expected = [shortest(displacement, box) for displacement in displacements]
    np.testing.assert_allclose(minimum_image(displacements, box), expected, atol=1e-9)


@BOXES
def test_half_width_is_the_radius_of_the_largest_ball_in_the_box(box):
    generator = np.random.default_rng(1)
    directions = generator.normal(size=(2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    inside = 0.999 * half_width(box) * directions
    np.testing.assert_allclose(minimum_image(inside, box), inside, atol=1e-12)
    faces = np.linalg.pinv(box).T  # normals of the faces
    normal = faces[np.argmax(np.linalg.norm(faces, axis=1))]
    beyond = 1.001 * half_width(box) * normal / np.linalg.norm(normal)
    assert not np.allclose(np.round(beyond @ np.linalg.pinv(box)), 0)


def test_open_space_has_no_images():
    displacements = np.array([[100.0, 0, 0]])
    assert minimum_image(displacements, None) is displacements


@BOXES
def test_wrapped_positions_are_images_in_the_box(box):
    positions = np.random.default_rng(2).uniform(-20, 20, size=(100, 4, 3))
    wrapped = wrap(positions, box)
    shifts = (wrapped - positions) @ np.linalg.pinv(box)
    np.testing.assert_allclose(shifts, np.round(shifts), atol=1e-9)
    fractions = (wrapped @ np.linalg.pinv(box))[..., box.any(axis=1)]
    assert fractions.min() > -1e-9 and fractions.max() < 1 + 1e-9
    np.testing.assert_allclose(wrap(wrapped, box), wrapped, atol=1e-9)
    along_open_axes = np.eye(3)[~box.any(axis=1)]
    np.testing.assert_allclose(wrapped @ along_open_axes.T, positions @ along_open_axes.T)


def test_copies_of_the_box_by_hand():
    box = np.diag([4.0, 5.0])
    np.testing.assert_array_equal(
        cell_index(np.array([[1.0, 1.0], [4.5, -1.0], [-9.0, 5.0]]), box), [[0, 0], [1, -1], [-3, 1]]
    )
    np.testing.assert_allclose(wrap(np.array([[4.5, -1.0], [-9.0, 5.0]]), box), [[0.5, 4.0], [3.0, 0.0]])


def test_volumes_by_hand():
    assert volume(CUBE) == pytest.approx(4 * 5 * 6)
    assert volume(TRICLINIC) == pytest.approx(6 * 5 * 4)
    assert volume(np.array([[2.0, 0.0], [1.0, 3.0]])) == pytest.approx(6)
    assert volume(SLAB) == volume(None) == np.inf


@BOXES
@pytest.mark.parametrize("distance", [1.0, 9.0])
def test_no_image_within_the_distance_is_missing(box, distance):
    """Also for distances that are longer than the box."""
    positions = wrap(np.random.default_rng(3).uniform(-20, 20, size=(5, 3)), box)
    images, particles = images_near(positions, box, distance)
    np.testing.assert_array_equal(images[:5], positions)
    np.testing.assert_array_equal(particles[:5], np.arange(5))
    shifts = sorted({tuple(shift) for shift in np.array(list(itertools.product(range(-5, 6), repeat=3))) @ box})
    for center, (particle, position) in itertools.product(positions, enumerate(positions)):
        expected = np.linalg.norm(position + np.array(shifts) - center, axis=1)
        found = np.linalg.norm(images[particles == particle] - center, axis=1)
        np.testing.assert_allclose(np.sort(found[found < distance]), np.sort(expected[expected < distance]), atol=1e-9)
