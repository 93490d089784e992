import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from socialmd_tf.layers import DensityLayout
from socialmd_tf.mixture import NegativeLogLikelihood, density_level, distribution
from tests import references

LAYOUTS = [
    DensityLayout(2, 1, True),
    DensityLayout(2, 1, False),
    DensityLayout(2, 5, False),
    DensityLayout(2, 3, True),
    DensityLayout(3, 1, True),
    DensityLayout(3, 2, True),
]


def random_parameters(layout, shape, spread=1.0, seed=0):
    """Parameters `[..., P]` whose factors have positive diagonals."""
    generator = np.random.default_rng(seed)
    logits, loc, scales = layout.split(generator.normal(size=(*shape, layout.size)).astype("float32"))
    return np.asarray(layout.join(logits, spread * loc, abs(np.asarray(scales)) + 0.3))


def explicit(parameters, layout, positions):
    """log p by formula, in float64."""
    kind = (layout.num_dimensions, layout.num_components, layout.correlated)
    result = np.zeros(positions.shape[:-1])
    for index in np.ndindex(result.shape):
        density = references.unpack_density(parameters[index], *kind)
        result[index] = references.mixture_log_density(positions[index], *density)
    return result


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_log_density_is_the_formula(layout, scale):
    parameters = random_parameters(layout, (3, 4))
    positions = scale * np.random.default_rng(1).normal(size=(3, 4, layout.num_dimensions)).astype("float32")
    result = distribution(parameters, layout).log_prob(positions)
    np.testing.assert_allclose(result, explicit(parameters, layout, positions), rtol=1e-4, atol=1e-4)


def test_log_density_of_the_correlated_gaussian_of_the_thesis():
    # Section 2.5, eq. 18: N(mean, standard deviations, correlation), written out.
    x, y, mean_x, mean_y, first, second, correlation = 0.3, -0.8, 0.1, 0.4, 0.5, 1.5, -0.6
    u, v = (x - mean_x) / first, (y - mean_y) / second
    remaining = 1 - correlation**2
    expected = -(u**2 + v**2 - 2 * correlation * u * v) / (2 * remaining)
    expected -= np.log(2 * np.pi * first * second * np.sqrt(remaining))
    factor = [first, correlation * second, np.sqrt(remaining) * second]
    parameters = tf.constant([mean_x, mean_y, *factor], "float32")
    result = distribution(parameters, DensityLayout(2, 1, True)).log_prob([x, y])
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_far_outliers_have_finite_values_and_gradients(layout):
    parameters = tf.constant(random_parameters(layout, (4,)))
    positions = tf.fill((4, layout.num_dimensions), 1e4)
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        value = distribution(parameters, layout).log_prob(positions)
    np.testing.assert_allclose(value, explicit(parameters.numpy(), layout, positions.numpy()), rtol=1e-4)
    assert value.numpy().max() < -1e6
    assert np.isfinite(tape.gradient(value, parameters)).all()


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_coordinates_may_be_large(layout):
    logits, loc, scales = layout.split(np.round(random_parameters(layout, (4,)) * 64) / 64)
    positions = np.round(np.random.default_rng(1).normal(size=(4, layout.num_dimensions)) * 64) / 64
    near = distribution(layout.join(logits, loc, scales), layout).log_prob(positions.astype("float32"))
    far = distribution(layout.join(logits, loc + 1e4, scales), layout).log_prob(np.float32(positions + 1e4))
    np.testing.assert_allclose(far, near, atol=1e-4)


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.num_dimensions == 2], ids=str)
def test_density_integrates_to_one(layout):
    parameters = random_parameters(layout, ())
    axis = np.linspace(-15, 15, 301, dtype="float32")
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    density = np.exp(distribution(parameters, layout).log_prob(grid).numpy().astype("float64"))
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-3)


@pytest.mark.slow_cases(all_but=["DensityLayout(num_dimensions=3*"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_levels_are_uniform_under_the_true_density(layout):
    parameters = np.repeat(random_parameters(layout, (1,), spread=2.0), 2000, axis=0)
    positions = distribution(parameters, layout).sample(seed=(3, 4))
    levels = np.asarray(density_level(parameters, layout, positions, num_samples=256))
    assert scipy.stats.kstest(levels, "uniform").statistic < 1.63 / np.sqrt(2000) + 1 / 256  # the 1 % point


@pytest.mark.slow
@pytest.mark.slow_cases(all_but=["DensityLayout(num_dimensions=3*"])
@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.num_components > 1], ids=str)
def test_level_of_a_mixture_is_the_share_of_denser_samples(layout):
    parameters = random_parameters(layout, (50,), spread=2.0)
    density = distribution(parameters, layout)
    positions = density.sample(seed=(3, 4))
    expected = np.mean(density.log_prob(density.sample(20_000, seed=(5, 6))) > density.log_prob(positions), axis=0)
    levels = np.asarray(density_level(parameters, layout, positions, num_samples=5_000))
    np.testing.assert_allclose(levels, expected, atol=0.02)


@pytest.mark.slow
def test_shares_of_levels_are_exact_where_one_component_outweighs_the_others():
    layout = DensityLayout(2, 2, False)
    one = layout.join(np.float32([[20, -20]]), np.zeros((1, 2, 2), "float32"), np.ones((1, 2, 2), "float32"))
    parameters = np.repeat(one, 50_000, axis=0)
    levels = density_level(parameters, layout, distribution(parameters, layout).sample(seed=(3, 4)))
    for share in (0.05, 0.5, 0.9):
        error = np.sqrt(share * (1 - share) / 50_000)
        assert np.mean(np.asarray(levels) <= share + 1e-6) == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_level_is_zero_at_the_mode_and_one_far_away(layout):
    logits, loc, scales = layout.split(random_parameters(layout, (3,)))
    loc = np.repeat(np.asarray(loc)[:, :1], layout.num_components, axis=1)  # so that the mode is known
    parameters = layout.join(logits, loc, scales)
    assert np.asarray(density_level(parameters, layout, loc[:, 0])).tolist() == [0.0, 0.0, 0.0]
    assert np.asarray(density_level(parameters, layout, loc[:, 0] + 100)).tolist() == [1.0, 1.0, 1.0]


def test_level_of_one_gaussian_by_hand():
    # In 2D the region within r standard deviations has probability 1 - exp(-r^2 / 2).
    parameters = tf.constant([[1.0, 2.0, 3.0, 3.0]] * 3)
    radii = np.array([0.5, 1.0, 2.0])
    positions = tf.constant(np.stack([1 + 3 * radii, np.full(3, 2.0)], axis=-1), "float32")
    levels = density_level(parameters, DensityLayout(2, 1, False), positions)
    np.testing.assert_allclose(levels, 1 - np.exp(-(radii**2) / 2), atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_loss_is_the_mean_negative_log_density(layout):
    parameters = random_parameters(layout, (2, 3, 4))
    positions = np.random.default_rng(1).normal(size=(2, 3, 4, layout.num_dimensions)).astype("float32")
    loss = NegativeLogLikelihood(layout)
    expected = -explicit(parameters, layout, positions)
    np.testing.assert_allclose(loss.call(positions, parameters), expected, rtol=1e-4, atol=1e-4)
    assert float(loss(positions, parameters)) == pytest.approx(expected.mean(), rel=1e-4)


def test_padding_with_weight_zero_is_left_out_of_the_loss():
    layout = DensityLayout(2, 1, True)
    parameters = random_parameters(layout, (2, 3, 4))
    positions = np.random.default_rng(1).normal(size=(2, 3, 4, 2)).astype("float32")
    mask = np.array([[1, 1, 1, 1], [1, 0, 0, 0]], "float32")
    real = np.broadcast_to(mask[:, None] > 0, (2, 3, 4))
    expected = -explicit(parameters, layout, positions)[real].mean()
    weights = np.where(real, real.size / real.sum(), 0)  # of mean one, as in training
    loss = NegativeLogLikelihood(layout)
    assert float(loss(positions, parameters, sample_weight=weights)) == pytest.approx(expected, rel=1e-4)
    elsewhere = np.where(real[..., None], positions, 100).astype("float32")
    assert float(loss(elsewhere, parameters, sample_weight=weights)) == pytest.approx(expected, rel=1e-4)


def test_loss_round_trip():
    loss = NegativeLogLikelihood(DensityLayout(3, 2, True), name="nll")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(again, NegativeLogLikelihood)
    assert again.get_config() == loss.get_config()
    assert again.layout == loss.layout == DensityLayout(3, 2, True)
