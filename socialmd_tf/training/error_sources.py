"""Where the errors of rollouts come from: accelerations that are a little wrong, and noise of observed positions."""

import dataclasses
import itertools
import operator

import numpy as np

from socialmd_tf.training.normal_mixture import ROUNDS, mean_log_likelihood, normal_mixture

_ROUNDS = 15
_MOST_PATHS = 200
_EXPONENTS = (0.5, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
_THRESHOLDS, _NUM_THRESHOLDS, _SMALLEST_THRESHOLD = (0.05, 0.95), 6, 1e-3
_SHARES = np.geomspace(1e-3, 1e3, 13)
_LEAST_GAIN, _LEAST_GAIN_OF_NOISE = 0.01, 0.002


@dataclasses.dataclass(frozen=True)
class ErrorSources:
    """The sources of the errors of paths under a law."""

    exponent: float = 0.0
    """p."""
    threshold: float = 1.0
    """a_0."""
    measurement: float = 0.0
    """R, the variance of the noise of observed positions, where that of a particle without acceleration is 1."""

    def variances(self, accelerations):
        """Variances V_n `[M, T']` of the errors of positions, up to a factor, of accelerations `[M, T']`.

        V_n = n^2 q_1 + (n - 1)^2 q_2 + ... + q_n + (2 n^2 + 2 n + 2) R, with q = (1 + |a| / a_0)^(2 p): independent
        errors of accelerations, and of the last two observed positions, which give position and velocity, and of the
        position that is compared.
        """
        noise = (1 + accelerations / self.threshold) ** (2 * self.exponent)
        num_steps = accelerations.shape[1]
        return noise @ _of_accelerations(num_steps).T + self.measurement * _of_measurements(num_steps)


class LikelySources:
    """The sources of a grid under which the errors of rollouts are most likely.

    Errors divided by the root of V_n are described by a mixture of K normal distributions, which is fitted to them, of
    at most 200 random paths.

    Args:
        errors: `[M, T', D]`.
        accelerations: Their sizes `[M, T']`, in the unit that a_0 shall have, of the order of 1.
        num_components: K.
    """

    def __init__(self, errors, accelerations, num_components):
        chosen = np.random.default_rng(0).permutation(len(errors))[:_MOST_PATHS]
        self._errors, self._accelerations = errors[chosen], accelerations[chosen]
        self._num_components = num_components
        smallest, largest = np.maximum(np.quantile(self._accelerations, _THRESHOLDS), _SMALLEST_THRESHOLD)
        self._thresholds = np.geomspace(smallest, largest, _NUM_THRESHOLDS)

    def growing(self, sources):
        """`sources` with another p and a_0; p is 0 if they gain less than 0.01 nats per position."""
        plain = dataclasses.replace(sources, exponent=0.0, threshold=1.0)
        pairs = itertools.product(_EXPONENTS, self._thresholds)
        choices = [dataclasses.replace(plain, exponent=p, threshold=a) for p, a in pairs]
        return self._better(plain, choices, _LEAST_GAIN)

    def measured(self, sources, growing):
        """`sources` with another R, and if `growing` also p and a_0; R is 0 if it gains less than 0.002 nats."""
        found = self._measured(sources)
        return self._measured(self.growing(found)) if growing and found.measurement else found

    def _measured(self, sources):
        plain = dataclasses.replace(sources, measurement=0.0)
        unit = np.median(plain.variances(self._accelerations) / _of_measurements(self._errors.shape[1]))
        choices = [dataclasses.replace(plain, measurement=unit * share) for share in _SHARES]
        return self._better(plain, choices, _LEAST_GAIN_OF_NOISE)

    def _better(self, plain, others, least_gain):
        likelihood, best = max(((self._likelihood(each), each) for each in others), key=operator.itemgetter(0))
        return best if likelihood > self._likelihood(plain) + least_gain else plain

    def _likelihood(self, sources):
        variances = sources.variances(self._accelerations)
        return mixture_of_scaled(self._errors, variances, self._num_components, _ROUNDS)[0]


def mixture_of_scaled(errors, variances, num_components, rounds=ROUNDS):
    """The mixture of K normal distributions that describes errors divided by the roots of their variances.

    Args:
        errors: `[M, T', D]`.
        variances: V_n `[M, T']`.
        num_components: K.
        rounds: As for `normal_mixture`.

    Returns:
        Mean over positions of the log density of the errors, up to a constant of D, and the weights and standard
        deviations of the mixture, each `[K]`.
    """
    scaled = (errors / np.sqrt(variances)[..., None]).reshape(-1, errors.shape[-1])
    weights, deviations = normal_mixture(scaled, num_components, rounds)
    jacobian = errors.shape[-1] / 2 * np.log(variances).mean()
    return mean_log_likelihood(scaled, weights, deviations) - jacobian, weights, deviations


def _of_accelerations(num_steps):
    """What errors of the acceleration of frame k add to the variance of frame n, `[T', T']`."""
    steps = np.arange(num_steps)
    return np.tril(steps[:, None] - steps + 1) ** 2


def _of_measurements(num_steps):
    """What noise of observed positions of variance 1 adds to the variance of frame n, `[T']`."""
    steps = np.arange(1, num_steps + 1)
    return 2 * steps**2 + 2 * steps + 2
