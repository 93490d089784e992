import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import StackedStatePooling
from socialmd_tf.layers.pooling.pooled_convolution import PooledConvolution
from tests import references

pytestmark = pytest.mark.usefixtures("form")

NAMES = ("states", "kernel", "bias")


def make_layer(num_dimensions, channels=3, seed=0, **options):
    """A built layer with random weights; by default 6 bins, two grids, 2 filters."""
    layer = PooledConvolution(**{"bins": 6, "side_lengths": (6.0, 3.0), "filters": 2, "kernel_size": 3, **options})
    layer.build((None, None, num_dimensions), (None, None, channels))
    generator = np.random.default_rng(seed)
    for weight in (layer.kernel, layer.bias):
        weight.assign(generator.normal(size=weight.shape))
    return layer


def system(num_dimensions, num_particles=7, num_systems=2, channels=3, spread=2.0, seed=0):
    """Positions, states and a mask with padding in every row but the first."""
    generator = np.random.default_rng(seed)
    positions = generator.uniform(-spread, spread, (num_systems, num_particles, num_dimensions))
    states = generator.normal(size=(num_systems, num_particles, channels))
    mask = np.ones((num_systems, num_particles))
    mask[1:, -2:] = 0
    return [tf.constant(array, "float32") for array in (positions, states, mask)]


def first_largest(grids, pool_size, num_dimensions):
    """Max pooling of `[R, n, (n,)... filters]` whose gradient goes to the first largest of each window.

    TensorFlow's MaxPooling3D sends it to every member of a tie, and its MaxPooling2D to the first.
    """
    output_bins = grids.shape[1] // pool_size
    kept = grids[(slice(None), *(slice(output_bins * pool_size),) * num_dimensions)]
    split = tf.reshape(kept, (-1, *(output_bins, pool_size) * num_dimensions, grids.shape[-1]))
    cells, members = range(1, 2 * num_dimensions, 2), range(2, 2 * num_dimensions + 1, 2)
    windows = tf.transpose(split, (0, *cells, *members, 2 * num_dimensions + 1))
    shape = (-1, *(output_bins,) * num_dimensions, pool_size**num_dimensions, grids.shape[-1])
    windows = tf.reshape(windows, shape)
    first = tf.linalg.matrix_transpose(tf.one_hot(tf.argmax(windows, axis=-2), shape[-2]))
    return tf.reduce_sum(windows * first, axis=-2)


def three_layers(layer, positions, states, mask, kernel, bias, max_pooling=first_largest):
    """The same by `StackedStatePooling`, a convolution and max pooling."""
    num_dimensions = positions.shape[-1]
    pooled = StackedStatePooling(layer.bins, layer.side_lengths)(positions, states, mask)
    grids = tf.reshape(pooled, (-1, *pooled.shape[2:]))
    grids = keras.ops.conv(grids, kernel, strides=layer.strides, padding="same") + bias
    grids = max_pooling(grids, layer.pool_size, num_dimensions)
    return tf.reshape(grids, (*positions.shape[:2], *grids.shape[1:]))


def value_and_gradients(function, variables, seed=1):
    """What `function` gives, and gradients of a random linear function of it."""
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = function()
        direction = np.random.default_rng(seed).normal(size=value.shape)
        total = tf.reduce_sum(value * tf.constant(direction, value.dtype))
    return value, tape.gradient(total, variables)


def assert_equals_three_layers(layer, positions, states, mask, max_pooling=first_largest):
    value, gradients = value_and_gradients(
        lambda: layer(positions, states, mask), [states, layer.kernel.value, layer.bias.value]
    )
    kernel, bias = tf.constant(layer.kernel), tf.constant(layer.bias)
    expected, expected_gradients = value_and_gradients(
        lambda: three_layers(layer, positions, states, mask, kernel, bias, max_pooling),
        [states, kernel, bias],
    )
    assert value.shape == expected.shape
    assert value.shape == layer.compute_output_shape(positions.shape, states.shape)
    np.testing.assert_allclose(value, expected, atol=2e-5, rtol=1e-5)
    for name, gradient, wanted in zip(NAMES, gradients, expected_gradients, strict=True):
        tolerance = 1e-5 * max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(gradient, wanted, atol=tolerance, rtol=1e-4, err_msg=name)
    return expected, expected_gradients


@pytest.mark.slow_cases(all_but=["static shapes-6-*", "shapes by values-7-*"])
@pytest.mark.parametrize("pool_size", [1, 2])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("bins", [6, 7])
def test_equals_the_three_layers_in_2d(bins, kernel_size, strides, pool_size):
    layer = make_layer(2, bins=bins, kernel_size=kernel_size, strides=strides, pool_size=pool_size)
    _, gradients = assert_equals_three_layers(layer, *system(2))
    assert all(np.abs(gradient).max() > 0.1 for gradient in gradients)


@pytest.mark.slow_cases("shapes by values-6-*", "shapes by values-5-*")
@pytest.mark.parametrize(
    ("bins", "kernel_size", "strides", "pool_size"),
    [
        (4, 1, 1, 1),
        (4, 2, 1, 2),
        (5, 3, 1, 2),
        (5, 4, 2, 1),
        (6, 4, 1, 2),
        (6, 5, 3, 2),
        (7, 3, 2, 2),
        (5, 5, 1, 2),
    ],
)
def test_equals_the_three_layers_in_3d(bins, kernel_size, strides, pool_size):
    layer = make_layer(3, bins=bins, kernel_size=kernel_size, strides=strides, pool_size=pool_size)
    _, gradients = assert_equals_three_layers(layer, *system(3))
    assert all(np.abs(gradient).max() > 0.1 for gradient in gradients)


@pytest.mark.slow_cases("shapes by values-*")
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("side_lengths", [(5.0,), (11.0, 5.5, 2.75, 1.375), (2.0, 9.0, 3.0)])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_three_layers_for_any_grids(num_dimensions, side_lengths, masked):
    positions, states, mask = system(num_dimensions)
    layer = make_layer(num_dimensions, side_lengths=side_lengths, pool_size=2)
    assert_equals_three_layers(layer, positions, states, mask if masked else None)


@pytest.mark.parametrize(
    ("num_dimensions", "options"),
    [
        (2, {"bins": 7, "kernel_size": 4, "pool_size": 2}),
        (2, {"bins": 6, "kernel_size": 3, "strides": 2}),
        (3, {"bins": 5, "kernel_size": 2, "pool_size": 2}),
    ],
)
def test_equals_the_loops(num_dimensions, options):
    positions, states, mask = system(num_dimensions)
    layer = make_layer(num_dimensions, **options)
    pooled = references.stacked_pooling(positions, states, mask, layer.bins, layer.side_lengths)
    kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    result = np.asarray(layer(positions, states, mask))
    for b, i in itertools.product(range(2), range(7)):
        convolved = references.convolution(pooled[b, i], kernel, bias, layer.strides)
        expected = references.max_pooling(convolved, layer.pool_size)
        np.testing.assert_allclose(result[b, i], expected, atol=2e-5)


@pytest.mark.parametrize("seed", range(3))
def test_has_the_gradients_of_keras_max_pooling(seed):
    def keras_max_pooling(grids, pool_size, num_dimensions):
        return keras.layers.MaxPooling2D(pool_size)(grids)

    layer = make_layer(2, pool_size=2, seed=seed)
    assert_equals_three_layers(layer, *system(2, seed=seed), keras_max_pooling)


def test_the_states_of_two_neighbors_in_one_bin_add_up():
    layer = make_layer(2, channels=1, bins=2, side_lengths=(8.0,), filters=1, kernel_size=1)
    layer.kernel.assign([[[[2.0]]]])
    layer.bias.assign([0.5])
    positions = tf.constant([[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]])
    result = layer(positions, tf.constant([[[1.0], [10.0], [100.0]]]))
    assert np.asarray(result)[0, 0, ..., 0].tolist() == [[0.5, 0.5], [0.5, 220.5]]


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_states_of_zero_give_the_bias(num_dimensions):
    positions, states, mask = system(num_dimensions)
    layer = make_layer(num_dimensions, pool_size=2)
    result = layer(positions, tf.zeros_like(states), mask)
    np.testing.assert_array_equal(result, np.broadcast_to(layer.bias, result.shape))
    _, gradients = assert_equals_three_layers(layer, positions, tf.zeros_like(states), mask)
    assert not gradients[1].numpy().any()


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_nobody_in_sight_gives_the_bias(num_dimensions):
    positions, states, mask = system(num_dimensions)
    layer = make_layer(num_dimensions, pool_size=2)
    expected, gradients = assert_equals_three_layers(layer, positions * 1000, states, mask)
    np.testing.assert_array_equal(expected, np.broadcast_to(layer.bias, expected.shape))
    assert not gradients[0].numpy().any()


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_lone_particle_gives_the_bias(num_dimensions):
    positions, states, _ = system(num_dimensions, num_particles=1)
    layer = make_layer(num_dimensions, pool_size=2)
    expected, _ = assert_equals_three_layers(layer, positions, states, None)
    np.testing.assert_array_equal(expected, np.broadcast_to(layer.bias, expected.shape))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_coincident_particles(num_dimensions):
    positions, states, mask = system(num_dimensions)
    layer = make_layer(num_dimensions, pool_size=2)
    assert_equals_three_layers(layer, tf.zeros_like(positions), states, mask)


def test_many_pairs():
    positions, states, mask = system(2, num_particles=40, num_systems=3)
    layer = make_layer(2, side_lengths=(12.0, 6.0, 5.0), kernel_size=4, pool_size=2)
    assert_equals_three_layers(layer, positions, states, mask)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_far_from_the_origin(num_dimensions):
    positions, states, mask = system(num_dimensions)
    layer = make_layer(num_dimensions, pool_size=2)
    far = positions + tf.constant([1e4, -1e4, 1e4][:num_dimensions])
    expected, _ = assert_equals_three_layers(layer, far, states, mask)
    assert np.abs(expected - layer.bias).max() > 0.1


@pytest.mark.slow_cases("shapes by values-*", "static shapes-3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_any_number_of_systems_and_particles_in_one_graph(num_dimensions):
    layer = make_layer(num_dimensions, pool_size=2)
    signature = [
        tf.TensorSpec((None, None, width), "float32", name) for width, name in ((num_dimensions, "p"), (3, "s"))
    ]
    traces = []

    @tf.function(input_signature=[*signature, tf.TensorSpec((None, None), "float32", "mask")])
    def graph(positions, states, mask):
        traces.append(1)
        return value_and_sum_gradient(layer, positions, states, mask)

    for num_systems, num_particles in ((2, 7), (1, 1), (3, 4)):
        example = system(num_dimensions, num_particles, num_systems)
        for result, expected in zip(graph(*example), value_and_sum_gradient(layer, *example), strict=True):
            np.testing.assert_allclose(result, expected, atol=1e-5)
    assert traces == [1]


def value_and_sum_gradient(layer, positions, states, mask):
    with tf.GradientTape() as tape:
        tape.watch(states)
        value = layer(positions, states, mask)
        total = tf.reduce_sum(tf.sin(value))
    return value, tape.gradient(total, states)


def test_renumbered_particles_give_renumbered_results():
    positions, states, mask = system(2)
    order = np.random.default_rng(1).permutation(7)
    layer = make_layer(2, pool_size=2)
    result = layer(positions, states, mask)
    renumbered = layer(*(tf.gather(array, order, axis=1) for array in (positions, states, mask)))
    np.testing.assert_allclose(renumbered, tf.gather(result, order, axis=1), atol=1e-5)


def crowd(num_dimensions, spread, num_particles=300):
    """More particles than are searched pair by pair, a third of them padding in the second system."""
    positions, states, _ = system(num_dimensions, num_particles, channels=2, spread=spread)
    real = np.ones((2, num_particles), "float32")
    real[1, 1::3] = 0
    return positions, states, tf.constant(real)


@pytest.mark.slow_cases("shapes by values-*")
@pytest.mark.parametrize(
    ("num_dimensions", "spread", "place"),
    [(2, 6.0, 0.0), (2, 40.0, -300.0), (3, 3.0, 0.0), (3, 9.0, 1e4), (2, 0.0, 5.0), (2, 1e4, 0.0)],
)
@pytest.mark.parametrize("masked", [False, True])
def test_a_crowd(num_dimensions, spread, place, masked):
    positions, states, mask = crowd(num_dimensions, spread)
    layer = make_layer(num_dimensions, channels=2, bins=4, side_lengths=(3.0, 1.5), kernel_size=2)
    mask = mask if masked else None
    result = layer(positions + place, states, mask)
    expected = three_layers(layer, positions + place, states, mask, layer.kernel.value, layer.bias.value)
    np.testing.assert_allclose(result, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_crowd_in_a_graph_that_serves_few_as_well():
    layer = make_layer(2, channels=2, bins=4, side_lengths=(3.0, 1.5), kernel_size=2)
    shapes = ((None, None, 2), (None, None, 2), (None, None))
    graph = tf.function(layer.call, input_signature=[tf.TensorSpec(shape, "float32") for shape in shapes])
    for num_particles in (3, 300):
        example = crowd(2, 6.0, num_particles)
        np.testing.assert_allclose(graph(*example), layer(*example), atol=1e-4)
