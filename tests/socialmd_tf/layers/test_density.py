import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import DensityLayout
from socialmd_tf.mixture import distribution
from tests import references

LAYOUTS = [
    DensityLayout(num_dimensions, num_components, correlated)
    for num_dimensions in (2, 3)
    for num_components in (1, 3)
    for correlated in (False, True)
]


def random_parameters(layout, shape=(4, 2), seed=0):
    """Parameters `[..., P]` whose factors have positive diagonals."""
    generator = np.random.default_rng(seed)
    logits, loc, scales = layout.split(generator.normal(size=(*shape, layout.size)).astype("float32"))
    return np.asarray(layout.join(logits, 3 * loc, abs(np.asarray(scales)) + 0.2))


@pytest.mark.parametrize(
    ("num_dimensions", "num_components", "correlated", "size"),
    [
        (2, 1, True, 5),
        (2, 5, False, 25),
        (3, 1, True, 9),
        (2, 1, False, 4),
        (3, 2, True, 20),
        (2, 3, True, 18),
    ],
)
def test_size(num_dimensions, num_components, correlated, size):
    assert DensityLayout(num_dimensions, num_components, correlated).size == size


def test_order_of_one_gaussian():
    layout = DensityLayout(2, 1, True)
    logits, loc, scales = layout.split(tf.constant([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    assert logits.numpy().tolist() == [[0.0]]
    assert loc.numpy().tolist() == [[[1.0, 2.0]]]
    assert scales.numpy().tolist() == [[[3.0, 4.0, 5.0]]]


def test_order_of_a_mixture():
    logits, loc, scales = DensityLayout(2, 2, False).split(tf.range(10.0))
    assert logits.numpy().tolist() == [0.0, 1.0]
    assert loc.numpy().tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert scales.numpy().tolist() == [[6.0, 7.0], [8.0, 9.0]]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_join_is_the_inverse_of_split(layout):
    parameters = random_parameters(layout)
    np.testing.assert_array_equal(layout.join(*layout.split(parameters)), parameters)


@pytest.mark.parametrize(
    ("layout", "scales", "factor"),
    [
        (DensityLayout(2, 1, False), [1, 2], [[1, 0], [0, 2]]),
        (DensityLayout(2, 1, True), [1, 2, 3], [[1, 0], [2, 3]]),
        (DensityLayout(3, 1, False), [1, 2, 3], [[1, 0, 0], [0, 2, 0], [0, 0, 3]]),
        (DensityLayout(3, 1, True), [1, 2, 3, 4, 5, 6], [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
    ],
    ids=str,
)
def test_factor(layout, scales, factor):
    assert layout.scale_tril(tf.constant(scales, "float32")).numpy().tolist() == factor


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_moments_by_formula(layout):
    parameters = random_parameters(layout)
    mean, covariance = np.asarray(layout.mean(parameters)), np.asarray(layout.covariance(parameters))
    for index in np.ndindex(4, 2):
        weights, means, covariances = references.unpack_density(
            parameters[index], layout.num_dimensions, layout.num_components, layout.correlated
        )
        expected_mean = sum(w * m for w, m in zip(weights, means, strict=True))
        second = sum(w * (c + np.outer(m, m)) for w, m, c in zip(weights, means, covariances, strict=True))
        np.testing.assert_allclose(mean[index], expected_mean, rtol=1e-4, atol=1e-5)
        expected = second - np.outer(expected_mean, expected_mean)
        np.testing.assert_allclose(covariance[index], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_moments_are_those_of_the_distribution(layout):
    parameters = random_parameters(layout)
    samples = distribution(parameters, layout).sample(40_000, seed=(0, 1)).numpy().astype("float64")
    covariance = np.asarray(layout.covariance(parameters))
    deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    error = (samples.mean(axis=0) - layout.mean(parameters)) / deviation
    assert np.abs(error).max() < 5 / np.sqrt(40_000)
    offset = samples - samples.mean(axis=0)
    estimate = np.einsum("s...i,s...j->...ij", offset, offset) / 40_000
    scale = deviation[..., :, None] * deviation[..., None, :]
    np.testing.assert_allclose(estimate / scale, covariance / scale, atol=0.04)


def test_moments_of_a_mixture_by_hand():
    # Two equal components at x = -1 and x = 1 with variance 4: mean 0, variance 4 + 1 along x, 4 along y.
    layout = DensityLayout(2, 2, False)
    parameters = tf.constant([0.7, 0.7, -1.0, 3.0, 1.0, 3.0, 2.0, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(layout.mean(parameters), [0.0, 3.0], atol=1e-6)
    np.testing.assert_allclose(layout.covariance(parameters), [[5.0, 0.0], [0.0, 4.0]], atol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_covariance_does_not_depend_on_where_the_density_is(layout):
    parameters = random_parameters(layout)
    logits, loc, scales = layout.split(np.round(parameters * 256) / 256)
    moved = layout.covariance(layout.join(logits, loc + 1024, scales))
    expected = layout.covariance(layout.join(logits, loc, scales))
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_draws_have_the_moments_of_the_mixture(layout):
    parameters = np.repeat(random_parameters(layout, (1,)), 20_000, axis=0)
    generator = np.random.default_rng(5)
    normal = generator.normal(size=(20_000, layout.num_dimensions)).astype("float32")
    drawn = np.asarray(layout.draw(parameters, generator.random(20_000, "float32"), normal), np.float64)
    covariance = np.asarray(layout.covariance(parameters))[0]
    error = 4 * np.sqrt(np.diagonal(covariance) / 20_000)
    assert (np.abs(drawn.mean(axis=0) - np.asarray(layout.mean(parameters))[0]) < error).all()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.06 * covariance.max())


def test_the_component_is_the_first_whose_cumulative_weight_exceeds_the_number():
    layout = DensityLayout(2, 3, False)
    parameters = layout.join(np.log([[0.5, 0.25, 0.25]]), np.arange(6.0).reshape(1, 3, 2), np.ones((1, 3, 2)))
    uniform = np.array([0.0, 0.499, 0.501, 0.749, 0.751, 0.999])
    drawn = layout.draw(np.repeat(parameters, 6, axis=0), uniform, np.zeros((6, 2)))
    assert np.asarray(drawn)[:, 0].tolist() == [0.0, 0.0, 2.0, 2.0, 4.0, 4.0]


def test_a_draw_is_the_mean_and_the_factor_times_the_noise():
    layout = DensityLayout(2, 1, True)
    drawn = layout.draw(tf.constant([[1.0, 2.0, 3.0, 4.0, 5.0]]), tf.constant([0.7]), tf.constant([[10.0, 100.0]]))
    assert drawn.numpy().tolist() == [[1 + 30, 2 + 40 + 500]]
