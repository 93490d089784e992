import itertools

import numpy as np
import pytest

from pipelines.molecules.periodic import gather_around_mean, half_width, make_whole, minimum_image

CUBE = np.diag([4.0, 5.0, 6.0])
TRICLINIC = np.array([[6.0, 0, 0], [2.9, 5.0, 0], [-2.5, 2.4, 4.0]])
OCTAHEDRON = 7 * np.array([[1, 0, 0], [1 / 3, 2 * 2**0.5 / 3, 0], [-1 / 3, 2**0.5 / 3, 6**0.5 / 3]])
SLAB = np.diag([4.0, 0.0, 6.0])
TILTED_SLAB = np.array([[6.0, 0, 0], [2.9, 5.0, 0], [0, 0, 0]])
BOXES = pytest.mark.parametrize(
    "box", [CUBE, TRICLINIC, OCTAHEDRON, SLAB, TILTED_SLAB], ids=lambda box: str(box.round(1).tolist())
)


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
def test_molecules_longer_than_half_the_box_become_whole(box):
    generator = np.random.default_rng(2)
    steps = generator.normal(size=(30, 3))
    steps *= 0.9 * half_width(box) / np.linalg.norm(steps, axis=1, keepdims=True)
    starts = np.array([0, 12, 13])
    whole = np.cumsum(steps, axis=0)
    wrapped = whole - np.floor(whole @ np.linalg.pinv(box)) @ box
    joined = make_whole(wrapped, starts, box)
    for start, stop in itertools.pairwise([*starts, 30]):
        np.testing.assert_allclose(np.diff(joined[start:stop], axis=0), steps[start + 1 : stop], atol=1e-9)
        np.testing.assert_allclose(joined[start], wrapped[start], atol=1e-12)


@BOXES
def test_a_cluster_is_gathered_wherever_the_box_cuts_it(box):
    generator = np.random.default_rng(3)
    cluster = generator.uniform(-1, 1, size=(50, 3))
    for offset in generator.uniform(-10, 10, size=(20, 3)):
        wrapped = cluster + offset - np.floor((cluster + offset) @ np.linalg.pinv(box)) @ box
        gathered = gather_around_mean(wrapped, box)
        np.testing.assert_allclose(gathered - gathered.mean(axis=0), cluster - cluster.mean(axis=0), atol=1e-9)
