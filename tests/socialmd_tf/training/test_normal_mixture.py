import numpy as np

from socialmd_tf.training.normal_mixture import mean_log_likelihood, normal_mixture


def test_a_mixture_is_recovered():
    rng = np.random.default_rng(1)
    deviations = rng.choice([1.0, 0.05, 0.001], p=[0.1, 0.3, 0.6], size=20_000)
    weights, found = normal_mixture(rng.normal(size=(20_000, 2)) * deviations[:, None], 3)
    np.testing.assert_allclose(weights, [0.1, 0.3, 0.6], atol=0.02)
    np.testing.assert_allclose(found, [1.0, 0.05, 0.001], rtol=0.05)


def test_errors_of_zero_have_a_mixture():
    weights, deviations = normal_mixture(np.zeros((10, 2)), 3)
    assert np.isfinite(weights).all() and (deviations > 0).all()


def test_the_likelihood_is_that_of_the_density():
    """Up to the constant log(2 pi) of two dimensions."""
    errors = np.random.default_rng(2).normal(size=(50, 2))
    weights, deviations = np.array([0.3, 0.7]), np.array([2.0, 0.5])
    squares = np.sum(errors**2, axis=-1)
    density = sum(
        w / (2 * np.pi * s**2) * np.exp(-squares / s**2 / 2) for w, s in zip(weights, deviations, strict=True)
    )
    expected = np.log(density).mean() + np.log(2 * np.pi)
    np.testing.assert_allclose(mean_log_likelihood(errors, weights, deviations), expected)
