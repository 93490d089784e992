"""Mixtures of normal distributions around 0."""

import numpy as np
from scipy.special import logsumexp

ROUNDS = 100
_FIRST_QUANTILES = (0.99, 0.25)
_SMALLEST = 1e-9
_TINY = 1e-60


def normal_mixture(errors, num_components, rounds=ROUNDS):
    """Weights and standard deviations, widest first, of a mixture of K normal distributions around 0.

    Expectation maximization.

    Args:
        errors: `[M, D]`; the components are isotropic.
        num_components: K.
        rounds: Number of its rounds.

    Returns:
        Two arrays `[K]`.
    """
    size = errors.shape[-1]
    squares = np.sum(errors**2, axis=-1) / size
    smallest = max(_SMALLEST**2 * squares.mean(), _TINY)
    variances = np.geomspace(*np.maximum(np.quantile(squares, _FIRST_QUANTILES), smallest), num_components)
    weights = np.full(num_components, 1 / num_components)
    for _ in range(rounds):
        logs = _log_densities(squares, weights, variances, size)
        shares = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        counts = shares.sum(axis=0)
        variances = np.maximum(squares @ shares / np.maximum(counts, _TINY), smallest)
        weights = np.maximum(counts / len(squares), _SMALLEST)
    order = np.argsort(-variances)
    return weights[order] / weights.sum(), np.sqrt(variances[order])


def mean_log_likelihood(errors, weights, deviations):
    """Mean over errors `[M, D]` of the logarithm of the density of such a mixture, up to a constant of D."""
    size = errors.shape[-1]
    return logsumexp(_log_densities(np.mean(errors**2, axis=-1), weights, deviations**2, size), axis=1).mean()


def _log_densities(squares, weights, variances, size):
    """Logarithms of the densities of the components `[M, K]`, up to a constant, at mean squares `[M]` over D axes."""
    return np.log(weights) - size / 2 * (np.log(variances) + squares[:, None] / variances)
