"""The spread around a fitted law before it is trained: that of the errors of rollouts, or of single frames."""

import math

import keras
import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from socialmd_tf.model import rollout_layer

_ROUNDS = 100
_FIRST_QUANTILES = (0.99, 0.25)
_SMALLEST = 1e-9
_TINY = 1e-60


def set_spread(model, batches):
    """Set the biases of the head's spread from the errors of rollouts.

    With independent errors of the acceleration of variance s^2, the error of frame n has the variance
    s^2 (1 + 4 + ... + n^2). Errors divided by the root of this sum are described by a mixture of K normal
    distributions, which becomes that of the density, the same for all particles.

    Args:
        model: A model whose head is a `KinematicHead`.
        batches: Batches of (inputs, true positions `[B, T', N, D]`).
    """
    head = rollout_layer(model).head
    # Of `keras.Model.predict`, several workers would have the results of all.
    run = tf.function(model, autograph=False)
    errors = np.concatenate([_errors(run, head, inputs, targets) for inputs, targets in batches])
    weights, deviations = normal_mixture(errors, head.layout.num_components)
    bias = keras.ops.convert_to_numpy(head.scale.bias).copy()
    bias[: head.layout.num_dimensions] = _inverse_softplus(deviations[0] / head.acceleration_scale)
    head.scale.bias.assign(bias)
    if len(weights) > 1:
        # The head's own widths are 1, 1/4, 1/16, ... times softplus(bias + log(e - 1)).
        widths = deviations / deviations[0] * 4.0 ** np.arange(len(weights))
        head.mixture.bias.assign([*np.log(weights), *(_inverse_softplus(widths) - math.log(math.e - 1))])


def _errors(run, head, inputs, targets):
    """Errors of the real particles of a batch at all steps, divided by the root of the sum `[M, D]`."""
    means = np.asarray(head.mean(run(inputs, training=False)), np.float64)
    steps = np.arange(1, means.shape[1] + 1)
    errors = (means - np.asarray(targets)) / np.sqrt(np.cumsum(steps**2))[:, None, None]
    return errors[np.broadcast_to((np.asarray(inputs["mask"]) > 0)[:, None], means.shape[:-1])]


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


def normal_mixture(errors, num_components):
    """Weights and standard deviations, widest first, of a mixture of K normal distributions around 0.

    Expectation maximization.

    Args:
        errors: `[M, D]`; the components are isotropic.
        num_components: K.

    Returns:
        Two arrays `[K]`.
    """
    size = errors.shape[-1]
    squares = np.sum(errors**2, axis=-1) / size
    smallest = max(_SMALLEST**2 * squares.mean(), _TINY)
    variances = np.geomspace(*np.maximum(np.quantile(squares, _FIRST_QUANTILES), smallest), num_components)
    weights = np.full(num_components, 1 / num_components)
    for _ in range(_ROUNDS):
        logs = np.log(weights) - size / 2 * (np.log(variances) + squares[:, None] / variances)
        shares = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        counts = shares.sum(axis=0)
        variances = np.maximum(squares @ shares / np.maximum(counts, _TINY), smallest)
        weights = np.maximum(counts / len(squares), _SMALLEST)
    order = np.argsort(-variances)
    return weights[order] / weights.sum(), np.sqrt(variances[order])


def _inverse_softplus(values):
    values = np.maximum(values, _SMALLEST)
    return values + np.log(-np.expm1(-values))
