import numpy as np
import pytest

from socialmd_tf.training.error_sources import ErrorSources, LikelySources

DEVIATION = 0.02


def test_variances_are_those_of_simulated_errors():
    errors, accelerations = growing_errors(1.0, 2.0)
    errors += errors_of_measurement(0.3)
    found = ErrorSources(1.0, 2.0, (0.3 / DEVIATION) ** 2).variances(accelerations)
    scaled = errors / np.sqrt(found)[..., None] / DEVIATION
    np.testing.assert_allclose(np.square(scaled).mean(axis=(0, 2)), np.ones(10), rtol=0.06)


def growing_errors(exponent, threshold):
    """Errors of 2 000 paths of 10 frames by the definition, one acceleration after the other; and the accelerations."""
    rng = np.random.default_rng(2)
    accelerations = rng.lognormal(sigma=1.5, size=(2000, 10))
    noise = rng.normal(scale=DEVIATION, size=(2000, 10, 2))
    noise *= (1 + accelerations[..., None] / threshold) ** exponent
    return noise.cumsum(axis=1).cumsum(axis=1), accelerations


def errors_of_measurement(deviation):
    """Errors of 2 000 straight paths that are continued from two noisy positions, at 10 noisy positions."""
    noise = np.random.default_rng(3).normal(scale=deviation, size=(2000, 12, 2))
    last, move = noise[:, 1], noise[:, 1] - noise[:, 0]
    return last[:, None] + np.arange(1, 11)[:, None] * move[:, None] - noise[:, 2:]


@pytest.mark.parametrize(("exponent", "threshold"), [(1.5, 1.0), (2.0, 3.0)])
def test_growing_noise_is_recovered(exponent, threshold):
    errors, accelerations = growing_errors(exponent, threshold)
    found = LikelySources(errors, accelerations, 1).growing(ErrorSources())
    known = ErrorSources(exponent, threshold)
    expected, factors = ((1 + accelerations / each.threshold) ** each.exponent for each in (known, found))
    ratios = factors / expected
    # Exponent and threshold make up for each other, and the grid is coarse.
    assert np.quantile(ratios, [0.05, 0.95]) / np.median(ratios) == pytest.approx(1, abs=0.35)


@pytest.mark.slow
def test_noise_that_is_constant_does_not_grow():
    errors, accelerations = growing_errors(0.0, 1.0)
    assert LikelySources(errors, accelerations, 3).growing(ErrorSources()) == ErrorSources()
    assert LikelySources(errors, 0 * accelerations, 3).growing(ErrorSources()) == ErrorSources()


@pytest.mark.slow_cases("True")
@pytest.mark.parametrize("growing", [False, True])
def test_noise_of_observed_positions_is_recovered(growing):
    errors, accelerations = growing_errors(1.5 * growing, 1.0)
    likely = LikelySources(errors + errors_of_measurement(1.0), accelerations, 1)
    found = likely.measured(likely.growing(ErrorSources()), growing)
    share = found.measurement / np.median(found.variances(accelerations)[:, 0])
    known = ErrorSources(1.5 * growing, 1.0, DEVIATION**-2.0)
    expected = known.measurement / np.median(known.variances(accelerations)[:, 0])
    assert share == pytest.approx(expected, rel=0.5)  # the grid's values are factors of 3 apart


@pytest.mark.slow
def test_without_noise_of_observed_positions_none_is_found():
    errors, accelerations = growing_errors(1.5, 1.0)
    likely = LikelySources(errors, accelerations, 3)
    sources = likely.growing(ErrorSources())
    assert likely.measured(sources, True) == sources
