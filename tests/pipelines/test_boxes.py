"""Boxes by slow loops over images."""

import itertools

import numpy as np
import pytest

from pipelines.boxes import (
    cell_index,
    half_height,
    images_near,
    inverse,
    lattice_vectors,
    minimum_image,
    nearest_image,
    unwrap,
    volume,
    wrap,
    wraps,
)
from pipelines.errors import UserError
from tests.boxes import BOXES as SOLID_BOXES
from tests.boxes import CUBE, SLAB, TRICLINIC

BOXES = {
    "square": [6.0, 5.0],
    "slab": [6.0, 0.0],
    "sheared": [[6.0, 0.0], [2.0, 5.0]],
    "cube": [4.0, 5.0, 6.0],
    "one axis": [0.0, 5.0, 0.0],
    "triclinic": [[5.0, 0.0, 0.0], [1.5, 6.0, 0.0], [-1.0, 2.0, 5.0]],
    "tilted slab": [[5.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 4.0, 2.0]],
}


@pytest.fixture(params=BOXES.values(), ids=BOXES.keys())
def box(request):
    size = len(request.param)
    return lattice_vectors(request.param, size)


def all_images(displacement, box):
    return [displacement + np.array(turns) @ box for turns in itertools.product(range(-3, 4), repeat=len(box))]


def test_short_images_are_found_whatever_the_image_given(box):
    generator = np.random.default_rng(0)
    for _ in range(50):
        direction = generator.normal(size=len(box))
        short = 0.99 * half_height(box) * generator.uniform() * direction / np.linalg.norm(direction)
        given = short + generator.integers(-3, 4, len(box)) @ box
        np.testing.assert_allclose(nearest_image(given[None], box)[0], short, atol=1e-12)
        assert np.linalg.norm(short) <= min(map(np.linalg.norm, all_images(short, box))) + 1e-12


def test_half_height_is_the_largest_length_of_a_nearest_image(box):
    """A step of this length to a face and back is as short as to go on: the two images are equally near."""
    heights = []
    for axis in range(len(box)):
        others = np.delete(box, axis, axis=0)
        others = others[others.any(axis=1)]
        if box[axis].any():
            normal = box[axis] - np.linalg.pinv(others) @ others @ box[axis] if len(others) else box[axis]
            heights.append(np.linalg.norm(normal))
    assert half_height(box) == pytest.approx(min(heights) / 2)


def test_inverse_gives_multiples_of_the_lattice_vectors(box):
    is_closed = box.any(axis=1)
    np.testing.assert_allclose(box @ inverse(box), np.diag(is_closed.astype(float)), atol=1e-12)


def test_unwrapping_undoes_wrapping(box):
    generator = np.random.default_rng(1)
    true = 3 + (0.2 * generator.normal(size=(80, 4, len(box)))).cumsum(axis=0)
    turns = np.floor(true @ inverse(box))
    wrapped = true - turns @ box
    assert np.abs(wrapped - true).max() > 2
    np.testing.assert_allclose(unwrap(wrapped, box), true - turns[:1] @ box, atol=1e-9)
    np.testing.assert_allclose(unwrap(true, box), true, atol=1e-9)
    np.testing.assert_allclose(unwrap(wrapped, np.repeat(box[None], 80, axis=0)), unwrap(wrapped, box))
    assert wraps(wrapped[:1], box).shape == (1, 4, len(box))


def test_a_crossing_counted_by_hand():
    positions = np.array([[[9.0, 0.5]], [[0.5, 9.5]], [[1.5, 8.5]]])
    np.testing.assert_allclose(wraps(positions, np.diag([10.0, 10.0])), [[[0, 0]], [[-10, 10]], [[-10, 10]]])


def test_boxes_that_change_move_particles_by_their_own_lattice_vectors():
    positions = np.array([[[9.5, 1.0]], [[0.5, 1.0]], [[11.5, 1.0]]])
    boxes = np.array([np.diag([10.0, 9.0]), np.diag([11.0, 9.0]), np.diag([12.0, 9.0])])
    np.testing.assert_allclose(unwrap(positions, boxes)[:, 0, 0], [9.5, 11.5, 10.5])


def test_a_box_for_every_frame():
    assert lattice_vectors(np.ones((4, 2)), 2, leading=1).shape == (4, 2, 2)
    assert lattice_vectors(np.ones((2, 2)), 2, leading=1).shape == (2, 2, 2)
    assert lattice_vectors(np.stack([np.eye(3)] * 4), 3, leading=1).shape == (4, 3, 3)


@pytest.mark.parametrize(
    "box",
    [
        6.0,
        [6.0],
        [6.0, 6.0, 6.0],
        [[6.0, 6.0]],
        [-1.0, 6.0],
        [0.0, 0.0],
        [np.nan, 6.0],
        [[1.0, 2.0], [2.0, 4.0]],
        "box",
    ],
)
def test_what_is_no_box_is_refused(box):
    with pytest.raises(UserError, match="`box` must"):
        lattice_vectors(box, 2)


def test_dependent_vectors_are_told_from_small_ones():
    np.testing.assert_array_equal(lattice_vectors([1e-10, 2e-10], 2), np.diag([1e-10, 2e-10]))
    with pytest.raises(UserError, match="independent"):
        lattice_vectors([[1e5, 0.0], [1e5, 1e-5]], 2)


def shortest(displacement, box):
    shifts = np.array(list(itertools.product(range(-4, 5), repeat=3))) @ box
    images = displacement + shifts
    return images[np.argmin((images**2).sum(axis=1))]


@SOLID_BOXES
def test_minimum_image_by_trying_all(box):
    displacements = np.random.default_rng(0).uniform(-8, 8, size=(500, 3))
    expected = [shortest(displacement, box) for displacement in displacements]
    np.testing.assert_allclose(minimum_image(displacements, box), expected, atol=1e-9)


def test_open_space_has_no_images():
    displacements = np.array([[100.0, 0, 0]])
    assert minimum_image(displacements, None) is displacements


@SOLID_BOXES
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


@SOLID_BOXES
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
