"""Every layer that looks at pairs, in periodic boxes.

The reference is the same layer in an open system that holds all images of the particles: up to half the smallest height
of a box, one image of each pair is in range. In open systems the layers are held to slow loops.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf import layers
from tests.socialmd_tf.layers import periodic
from tests.socialmd_tf.layers.conftest import LIMITS

CUTOFF = periodic.CUTOFF
RADIUS = 0.95 * CUTOFF  # of the corners of a grid

MAKE = {
    "stacked state pooling": lambda size: layers.StackedStatePooling(5, (2 * CUTOFF, 2.0)),
    "pooled convolution": lambda size: layers.PooledConvolution(6, (2 * CUTOFF, 2.0), 3, 3, pool_size=2),
    "multiscale pooling": lambda size: layers.MultiscalePooling(4, (2 * RADIUS / (1.25 * size**0.5), 1.0)),
    "pair force": lambda size: layers.PairForce(2, 0.3, CUTOFF, 0.5, units=4),
    "stacked pooling": lambda size: layers.StackedPoolingInteraction(4, (2 * CUTOFF, 2.0), (3, 4), 3, 2, 3),
    "multiscale interaction": lambda size: layers.MultiscalePoolingInteraction(
        3, (2 * RADIUS / (4 / 3 * size**0.5), 1.0), 2, 4, units=3
    ),
    "pairwise": lambda size: layers.PairwiseInteraction(CUTOFF, 0.3, 4, 2, 0.5),
    "combined": lambda size: layers.CombinedInteraction(
        [MAKE["pairwise"](size), layers.StackedPoolingInteraction(4, (2.0,), (3,), 3, 2, 3)]
    ),
    "none": lambda size: layers.NoInteraction(),
}
INTERACTIONS = ("stacked pooling", "multiscale interaction", "pairwise", "combined", "none")


def arguments(name, num_particles, num_dimensions, seed=2):
    """What the layer is called on between positions and mask."""
    generator = np.random.default_rng(seed)
    draw = lambda size: generator.normal(size=(2, num_particles, size)).astype("float32")  # noqa: E731
    if name in INTERACTIONS:
        return [draw(num_dimensions), draw(2), draw(3)]
    return [draw(2)]


def make(name, num_dimensions):
    layer = MAKE[name](num_dimensions)
    layer(np.zeros((2, 3, num_dimensions), "float32"), *arguments(name, 3, num_dimensions), np.ones((2, 3), "float32"))
    generator = np.random.default_rng(3)
    layer.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in layer.weights])
    return layer


@pytest.mark.slow_cases(
    all_but=[
        "pairwise-sheared",
        "pairwise-slab",
        "pair force-square",
        "multiscale *-triclinic",
        "stacked state *-triclinic",
        "pooled *-triclinic",
    ]
)
@pytest.mark.parametrize("box", periodic.BOXES.values(), ids=periodic.BOXES)
@pytest.mark.parametrize("name", MAKE)
def test_equals_the_open_system_of_all_images(name, box):
    boxes, positions, mask = periodic.system(box)
    positions = periodic.wrapped(positions, boxes)
    layer, values = make(name, len(box)), arguments(name, positions.shape[1], len(box))
    images, *repeated = periodic.all_images(boxes, positions, *values, mask)
    expected = layer(images, *repeated)[:, : positions.shape[1]]
    assert name == "none" or np.abs(expected).max() > 0.01
    found = layer(positions, *values, mask, box=boxes)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)
    assert name == "none" or np.abs(found - layer(positions, *values, mask)).max() > 1e-3


@pytest.mark.slow_cases(
    all_but=[
        "pairwise-cube",
        "pairwise-slab",
        "pair force-triclinic",
        "pooled convolution-triclinic",
        "multiscale *-triclinic",
        "stacked * pooling-triclinic",
    ]
)
@pytest.mark.parametrize("box", periodic.BOXES.values(), ids=periodic.BOXES)
@pytest.mark.parametrize("name", [name for name in MAKE if name != "none"])
def test_does_not_depend_on_the_image_given(name, box):
    boxes, positions, mask = periodic.system(box)
    layer, values = make(name, len(box)), arguments(name, positions.shape[1], len(box))
    expected = layer(positions, *values, mask, box=boxes)
    found = layer(periodic.other_images(positions, boxes), *values, mask, box=boxes)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow_cases("*-pairs of blocks", "*-listed pairs")
@pytest.mark.parametrize("way", LIMITS)
@pytest.mark.parametrize("name", ["pair force", "pooled convolution"])
def test_all_ways_to_hold_pairs_agree(name, way, hold_pairs):
    boxes, positions, mask = periodic.system(periodic.BOXES["sheared"], num_particles=11)
    layer, values = make(name, 2), arguments(name, 11, 2)
    expected = layer(positions, *values, mask, box=boxes)
    hold_pairs(way)
    found = layer(positions, *values, mask, box=boxes)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["pair force", "pairwise", "multiscale pooling"])
def test_gradients_are_those_of_the_open_system(name):
    boxes, positions, mask = periodic.system(periodic.BOXES["sheared"])
    layer, values = make(name, 2), arguments(name, positions.shape[1], 2)
    count = positions.shape[1]

    def total(given, call):
        with tf.GradientTape() as tape:
            tape.watch(given)
            result = call(given)
            loss = tf.reduce_sum(result * tf.cos(tf.reshape(tf.range(tf.size(result), dtype="float32"), result.shape)))
        return tape.gradient(loss, given)

    shifts = np.stack([periodic.turns_of(box) @ box for box in boxes]).astype("float32")

    def in_open_space(given):
        images = tf.reshape(given[:, None] + shifts[:, :, None], (2, -1, 2))
        repeated = [np.concatenate([value] * shifts.shape[1], axis=1) for value in (*values, mask)]
        return layer(images, *repeated)[:, :count]

    given = tf.constant(periodic.wrapped(positions, boxes))
    expected = total(given, in_open_space)
    found = total(given, lambda given: layer(given, *values, mask, box=boxes))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_symbolic_box_is_one_more_input():
    layer = make("pairwise", 2)
    shapes = {"positions": 2, "velocities": 2, "features": 2, "hidden_state": 3}
    inputs = {name: keras.Input((None, size)) for name, size in shapes.items()}
    mask, box = keras.Input((None,)), keras.Input((2, 2))
    model = keras.Model([*inputs.values(), mask, box], layer(*inputs.values(), mask, box=box))
    boxes, positions, real = periodic.system(periodic.BOXES["square"])
    values = arguments("pairwise", positions.shape[1], 2)
    expected = layer(positions, *values, real, box=boxes)
    np.testing.assert_allclose(model([positions, *values, real, boxes]), expected, atol=1e-6)
