"""The spread around a fitted law before it is trained: that of the errors of rollouts, or of single frames."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from socialmd_tf.fitting.trajectories import is_large
from socialmd_tf.model import rollout_layer
from socialmd_tf.training.error_sources import ErrorSources, LikelySources, mixture_of_scaled

_SMALLEST = 1e-9
_CURVATURES = (1e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
_SHARES = (1.0, 0.3, 0.1, 0.03)
_TRIALS = len(_CURVATURES) + len(_SHARES) - 1
_WINDOWS, _FEW_WINDOWS = 64, 16
_PARTICLES, _FEW_PARTICLES = 4096, 1024
"""In all windows of large systems together."""


def num_spread_windows(num_particles):
    """Number of windows that set the spread: 64, or of large systems as many as have 4096 particles together."""
    return max(1, _PARTICLES // num_particles) if is_large(num_particles) else _WINDOWS


def num_few_windows(num_particles):
    """Of these, those that choose the numbers of `MeasurementNoise`: 16, or as many as have 1024 particles together."""
    return max(1, _FEW_PARTICLES // num_particles) if is_large(num_particles) else _FEW_WINDOWS


def num_rollouts(num_particles, has_measurement_noise):
    """Number of windows that `set_spread` rolls out, each as often as it does, where noise has to be looked for."""
    count = num_spread_windows(num_particles)
    return count + has_measurement_noise * (_TRIALS * num_few_windows(num_particles) + count)


def set_spread(model, batches):
    """Set the head's spread, of which it learns the rest, from the errors of rollouts.

    Errors divided by the root of V_n, see `ErrorSources`, are described by a mixture of K normal distributions, which
    becomes that of the density, the same for all particles. Noise that grows and noise of observed positions are
    looked for if the head has weights for them.

    Where there is noise of observed positions, the head estimates positions and velocities from more than two frames.
    Of six values of kappa, see `MeasurementNoise`, that counts with which the errors of new rollouts of a few windows
    (`num_few_windows`) are most likely, and then of four deviations of accelerations. The mixture is then that of the
    errors of new rollouts, divided by the deviations that the head predicts for them. If they are less likely than
    those of the rollouts before, the noise is taken as 0.

    Args:
        model: A model whose head is a `KinematicHead`.
        batches: Batches of (inputs, true positions `[B, T', N, D]`).

    Returns:
        Standard deviation of the noise of observed positions, r.m.s. over the mixture, in units of length.
    """
    head = rollout_layer(model).head
    batches = list(batches)
    # Of `keras.Model.predict`, several workers would have the results of all.
    run = tf.function(model, autograph=False)
    errors, accelerations, _ = _rollouts(run, head, batches)
    growing, measured = (getattr(head, f"has_{name}_noise", False) for name in ("growing", "measurement"))
    likely = LikelySources(errors, accelerations, head.layout.num_components)
    sources = likely.growing(ErrorSources()) if growing else ErrorSources()
    likelihood, *_ = _set_sources(head, errors, accelerations, sources)
    noisy = likely.measured(sources, growing) if measured else sources
    if not noisy.measurement:
        return 0.0
    before = head.get_weights()
    unit = _set_sources(head, errors, accelerations, noisy)[2][0]
    now, deviation = _set_measurement(run, head, batches, unit, math.sqrt(noisy.measurement) * unit)
    if now < likelihood:
        head.set_weights(before)
        return 0.0
    return deviation


def _set_measurement(run, head, batches, unit, noise):
    """Set the filter of observed positions, and spread and mixture to those of the errors of rollouts with it.

    `unit` and `noise` are the standard deviations of accelerations and of observed positions, in units of length.

    Returns:
        The log likelihood of these errors, and the deviation of observed positions, r.m.s. over the mixture.
    """

    def rollouts(batches, curvature, share):
        head.measurement.set_noise(noise, curvature)
        _set_deviation(head, share * unit)
        errors, _, variances = _rollouts(run, head, batches)
        return errors, variances

    few = _first_windows(batches)

    @functools.cache
    def likelihood_of(curvature, share):
        return mixture_of_scaled(*rollouts(few, curvature, share), head.layout.num_components)[0]

    curvature = max(_CURVATURES, key=lambda each: likelihood_of(each, 1.0))
    share = max(_SHARES, key=lambda each: likelihood_of(curvature, each))
    likelihood, weights, deviations = _set_mixture(head, *rollouts(batches, curvature, share), share * unit)
    deviation = math.sqrt(weights @ deviations**2)
    head.measurement.set_noise(noise * deviations[0], curvature, deviations[0] / deviation)
    return likelihood, noise * deviation


def _first_windows(batches):
    """Batches of as many windows as needed, or a few more."""
    sizes = np.cumsum([len(targets) for _, targets in batches])
    num_particles = batches[0][1].shape[2]
    return batches[: np.searchsorted(sizes, num_few_windows(num_particles)) + 1]


def _set_sources(head, errors, accelerations, sources):
    """Set growth, spread and mixture to these sources; returns as of `_set_mixture`."""
    if getattr(head, "has_growing_noise", False):
        head.growth.exponent.assign(_inverse_softplus(sources.exponent))
        head.growth.threshold.assign(math.log(sources.threshold))
    return _set_mixture(head, errors, sources.variances(accelerations), 1.0)


def _set_mixture(head, errors, variances, unit):
    """Set spread and mixture to those of errors `[M, T', D]` divided by the roots of variances `[M, T']`.

    `unit` is the standard deviation of the noise to which the variances belong, in units of length.

    Returns:
        Log likelihood, weights and standard deviations as of `mixture_of_scaled`.
    """
    likelihood, weights, deviations = mixture_of_scaled(errors, variances, head.layout.num_components)
    _set_deviation(head, unit * deviations[0])
    if len(weights) > 1:
        # The head's own widths are 1, 1/4, 1/16, ... times softplus(bias + log(e - 1)).
        widths = deviations / deviations[0] * 4.0 ** np.arange(len(weights))
        head.mixture.bias.assign([*np.log(weights), *(_inverse_softplus(widths) - math.log(math.e - 1))])
    return likelihood, weights, deviations


def _set_deviation(head, deviation):
    """Set the standard deviation of the noise of accelerations of the widest component, in units of length."""
    bias = keras.ops.convert_to_numpy(head.scale.bias).copy()
    bias[: head.layout.num_dimensions] = _inverse_softplus(deviation / head.acceleration_scale)
    head.scale.bias.assign(bias)


def _rollouts(run, head, batches):
    """Errors `[M, T', D]` of the M real particles of batches, and per frame `[M, T']` numbers of their predictions.

    These are the size of the acceleration, in acceleration scales, and the variance of the widest component.
    """
    found = [_rollout(run, head, inputs, targets) for inputs, targets in batches]
    return tuple(np.concatenate(values) for values in zip(*found, strict=True))


def _rollout(run, head, inputs, targets):
    parameters = run(inputs, training=False)
    means = np.asarray(head.mean(parameters), np.float64)
    observed = np.asarray(inputs["positions"], np.float64)
    before = (
        observed[:, -1] - np.asarray(inputs["velocities"][:, -1]) if "velocities" in inputs else observed[:, -2:][:, 0]
    )
    path = np.concatenate([before[:, None], observed[:, -1:], means], axis=1)
    sizes = np.linalg.norm(np.diff(path, 2, axis=1), axis=-1) / head.acceleration_scale
    factors = head.layout.scale_tril(head.layout.split(parameters)[2])[..., 0, :, :]
    variances = np.sum(np.asarray(factors, np.float64) ** 2, axis=(-2, -1)) / means.shape[-1]
    real = np.asarray(inputs["mask"]) > 0
    return tuple(np.moveaxis(values, 1, 2)[real] for values in (means - np.asarray(targets), sizes, variances))


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


def _inverse_softplus(values):
    values = np.maximum(values, _SMALLEST)
    return values + np.log(-np.expm1(-values))
