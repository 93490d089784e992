import numpy as np
import pytest

from pipelines.boxes import inverse
from pipelines.boxes import nearest_image as nearest_image_in_numpy
from socialmd_tf.layers.boxes import lattice, nearest_displacements, nearest_image, of_particles
from tests.socialmd_tf.layers import periodic


@pytest.fixture(params=periodic.BOXES.values(), ids=periodic.BOXES)
def box(request):
    return np.array(request.param)


def test_lattice_holds_the_vectors_and_their_pseudo_inverse(box):
    boxes = np.stack([box, 3 * box]).astype("float32")
    vectors, found = np.split(lattice(boxes).numpy().reshape(2, 2, *box.shape), 2, axis=1)
    np.testing.assert_array_equal(vectors[:, 0], boxes)
    np.testing.assert_allclose(found[:, 0], inverse(boxes.astype(float)), atol=1e-6)
    np.testing.assert_array_equal(of_particles(boxes, 3)[:, 2], lattice(boxes))


def test_edge_lengths_are_a_box_at_right_angles():
    np.testing.assert_allclose(lattice(np.array([[2.0, 4.0]]))[0], [2, 0, 0, 4, 0.5, 0, 0, 0.25])
    np.testing.assert_allclose(lattice(np.array([[2.0, 0.0]]))[0], [2, 0, 0, 0, 0.5, 0, 0, 0])


def test_both_layouts_give_the_images_of_the_pipeline(box):
    generator = np.random.default_rng(0)
    displacements = generator.normal(scale=8, size=(2, 50, len(box))).astype("float32")
    boxes = np.stack([box, 1.5 * box]).astype("float32")
    expected = np.stack(
        [nearest_image_in_numpy(*each) for each in zip(displacements, boxes.astype(float), strict=True)]
    )
    assert np.abs(displacements - expected).max() > 5
    np.testing.assert_allclose(nearest_displacements(displacements, lattice(boxes)[:, None]), expected, atol=1e-5)
    first = np.moveaxis(displacements, -1, 0)
    cells = np.moveaxis(lattice(boxes).numpy(), -1, 0)[..., None]
    np.testing.assert_allclose(np.moveaxis(nearest_image(first, cells).numpy(), 0, -1), expected, atol=1e-5)
