"""The spread around a fitted law before it is trained: that of the errors of rollouts, or of single frames."""

import itertools
import math

import keras
import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from socialmd_tf.model import rollout_layer

_ROUNDS, _FEW_ROUNDS = 100, 20
_MOST_PATHS = 500
_EXPONENTS = (0.5, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
_THRESHOLDS, _NUM_THRESHOLDS, _SMALLEST_THRESHOLD = (0.05, 0.95), 6, 1e-3
_LEAST_GAIN = 0.01
_FIRST_QUANTILES = (0.99, 0.25)
_SMALLEST = 1e-9
_TINY = 1e-60


def set_spread(model, batches):
    """Set the biases of the head's spread from the errors of rollouts.

    With independent errors of the acceleration of variances q_1, q_2, ..., the error of frame n has the variance

        V_n = n^2 q_1 + (n - 1)^2 q_2 + ... + q_n.

    Errors divided by its root are described by a mixture of K normal distributions, which becomes that of the density,
    the same for all particles. q is 1, or grows with the acceleration as in `NoiseGrowth` if the head has that: the
    exponent and the threshold are those of a grid under which the errors are most likely.

    Args:
        model: A model whose head is a `KinematicHead`.
        batches: Batches of (inputs, true positions `[B, T', N, D]`).
    """
    head = rollout_layer(model).head
    # Of `keras.Model.predict`, several workers would have the results of all.
    run = tf.function(model, autograph=False)
    found = [_errors_and_accelerations(run, head, inputs, targets) for inputs, targets in batches]
    errors, accelerations = (np.concatenate(values) for values in zip(*found, strict=True))
    growth, accelerations = (0.0, 1.0), accelerations / head.acceleration_scale
    if getattr(head, "has_growing_noise", False):
        growth = noise_growth(errors, accelerations, head.layout.num_components)
        head.growth.exponent.assign(_inverse_softplus(growth[0]))
        head.growth.threshold.assign(math.log(growth[1]))
    scaled = errors / np.sqrt(_variances(accelerations, *growth))[..., None]
    weights, deviations = normal_mixture(scaled.reshape(-1, errors.shape[-1]), head.layout.num_components)
    bias = keras.ops.convert_to_numpy(head.scale.bias).copy()
    bias[: head.layout.num_dimensions] = _inverse_softplus(deviations[0] / head.acceleration_scale)
    head.scale.bias.assign(bias)
    if len(weights) > 1:
        # The head's own widths are 1, 1/4, 1/16, ... times softplus(bias + log(e - 1)).
        widths = deviations / deviations[0] * 4.0 ** np.arange(len(weights))
        head.mixture.bias.assign([*np.log(weights), *(_inverse_softplus(widths) - math.log(math.e - 1))])


def _errors_and_accelerations(run, head, inputs, targets):
    """Errors `[M, T', D]` of the M real particles of a batch, and their predicted accelerations `[M, T']`."""
    means = np.asarray(head.mean(run(inputs, training=False)), np.float64)
    observed = np.asarray(inputs["positions"], np.float64)
    before = (
        observed[:, -1] - np.asarray(inputs["velocities"][:, -1]) if "velocities" in inputs else observed[:, -2:][:, 0]
    )
    path = np.concatenate([before[:, None], observed[:, -1:], means], axis=1)
    sizes = np.linalg.norm(np.diff(path, 2, axis=1), axis=-1)
    real = np.asarray(inputs["mask"]) > 0
    return np.moveaxis(means - np.asarray(targets), 1, 2)[real], np.moveaxis(sizes, 1, 2)[real]


def _variances(accelerations, exponent, threshold):
    """V_n for q = (1 + |a| / a_0)^(2 p), `[M, T']`, of accelerations of the same shape."""
    steps = np.arange(accelerations.shape[1])
    weights = np.tril(steps[:, None] - steps + 1) ** 2
    return (1 + accelerations / threshold) ** (2 * exponent) @ weights.T


def noise_growth(errors, accelerations, num_components):
    """Exponent p and threshold a_0 of the growth of noise under which the errors of rollouts are most likely.

    Args:
        errors: `[M, T', D]`.
        accelerations: Their sizes `[M, T']`, in the unit that a_0 shall have, of the order of 1.
        num_components: K, of the mixture of normal distributions, fitted to each pair of values.

    Returns:
        The values of a grid; an exponent of 0 if they gain less than 0.01 nats per position over constant noise.
    """
    step = max(1, len(errors) // _MOST_PATHS)
    errors, accelerations = errors[::step], accelerations[::step]
    size = errors.shape[-1]
    smallest, largest = np.maximum(np.quantile(accelerations, _THRESHOLDS), _SMALLEST_THRESHOLD)

    def likelihood(growth):
        variances = _variances(accelerations, *growth)
        scaled = (errors / np.sqrt(variances)[..., None]).reshape(-1, size)
        weights, deviations = normal_mixture(scaled, num_components, rounds=_FEW_ROUNDS)
        logs = _log_densities(np.mean(scaled**2, axis=-1), weights, deviations**2, size)
        return logsumexp(logs, axis=1).mean() - size / 2 * np.log(variances).mean()

    constant, thresholds = (0.0, 1.0), np.geomspace(smallest, largest, _NUM_THRESHOLDS)
    found = {growth: likelihood(growth) for growth in (constant, *itertools.product(_EXPONENTS, thresholds))}
    best = max(found, key=found.get)
    return best if found[best] > found[constant] + _LEAST_GAIN else constant


def set_noise(model, batches):
    """Set the deviations, and the size of corrections, of a `LangevinHead` with a law to the error of single frames.

    Args:
        model: A model with this head.
        batches: As for `set_spread`.
    """
    head = rollout_layer(model).head
    squares = np.concatenate([_one_frame_squares(model, inputs, targets) for inputs, targets in batches])
    deviation = np.sqrt(squares.mean()) / head.move_scale
    head.correction_scale.assign(deviation)
    head.deviations.bias.assign(np.full(head.deviations.bias.shape, _inverse_softplus(deviation)))


def _one_frame_squares(model, inputs, targets):
    """Mean squares over coordinates of the errors of single frames after true ones, of real particles `[M]`."""
    rollout = rollout_layer(model)
    frames = np.concatenate([inputs["positions"], targets[:, :-1]], axis=1)
    parameters = rollout.run({**inputs, "positions": frames}, 1, num_kept=targets.shape[1])[0]
    squares = np.square(np.asarray(rollout.head.mean(parameters) - targets, np.float64)).mean(axis=-1)
    return squares[np.broadcast_to((np.asarray(inputs["mask"]) > 0)[:, None], squares.shape)]


def normal_mixture(errors, num_components, rounds=_ROUNDS):
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


def _log_densities(squares, weights, variances, size):
    """Logarithms of the densities of the components `[M, K]`, up to a constant, at mean squares `[M]` over D axes."""
    return np.log(weights) - size / 2 * (np.log(variances) + squares[:, None] / variances)


def _inverse_softplus(values):
    values = np.maximum(values, _SMALLEST)
    return values + np.log(-np.expm1(-values))
