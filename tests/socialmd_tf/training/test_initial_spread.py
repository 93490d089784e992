import dataclasses
import itertools

import numpy as np
import pytest

from socialmd_tf.config import preset
from socialmd_tf.config.terms import Factor, Terms
from socialmd_tf.mixture import NegativeLogLikelihood
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training import initial_spread
from socialmd_tf.training.initial_spread import num_few_windows, num_spread_windows, set_noise, set_spread

DEVIATION, SCALE = 0.02, 5.0


def model_of_forces(num_components, rollout_steps, **changes):
    """A small model; without terms, its law is straight motion."""
    settings = {"units": 4, "interaction": "none", "num_features": 0, "acceleration_scale": SCALE, **changes}
    settings |= {"num_components": num_components, "rollout_steps": rollout_steps}
    return build_model(dataclasses.replace(preset("forces"), **settings))


def normal_accelerations(num_components):
    """Straight motion as the law, and particles with independent normal accelerations; half of them are padding."""
    accelerations = np.random.default_rng(0).normal(scale=DEVIATION, size=(8, 10, 20, 2))
    accelerations[:, 0] = 0
    frames = accelerations.cumsum(axis=1).cumsum(axis=1).astype("float32")
    frames[:, 5:, 10:] += 100
    mask = np.ones((8, 20), "float32")
    mask[:, 10:] = 0
    inputs = {"positions": frames[:, :4], "features": np.zeros((8, 20, 0), "float32"), "mask": mask}
    return model_of_forces(num_components, 6), inputs, frames[:, 4:]


def test_noise_is_as_wide_as_single_frames_err():
    """Straight motion, the law without terms, and normal accelerations; with padding that moves more."""
    config = dataclasses.replace(preset("langevin"), force="basis", num_features=0, rollout_steps=6, move_scale=SCALE)
    frames = np.random.default_rng(0).normal(scale=DEVIATION, size=(8, 10, 20, 2)).cumsum(axis=1).cumsum(axis=1)
    frames = frames.astype("float32")
    frames[:, 5:, 10:] += 100
    mask = np.ones((8, 20), "float32")
    mask[:, 10:] = 0
    model = build_model(config)
    inputs = {"positions": frames[:, :4], "features": np.zeros((8, 20, 0), "float32"), "mask": mask}
    set_noise(model, [(inputs, frames[:, 4:])])
    head = rollout_layer(model).head
    found = np.log1p(np.exp(np.asarray(head.deviations.bias)))
    np.testing.assert_allclose(found * SCALE, [DEVIATION, DEVIATION], rtol=0.1)
    assert float(head.correction_scale) == pytest.approx(found[0], rel=1e-4)


def test_one_component_is_as_wide_as_accelerations_err():
    model, inputs, targets = normal_accelerations(1)
    set_spread(model, [(inputs, targets)])
    found = np.log1p(np.exp(np.asarray(rollout_layer(model).head.scale.bias)[:2])) * SCALE
    np.testing.assert_allclose(found, DEVIATION, rtol=0.1)


def test_large_systems_need_fewer_windows():
    numbers = (2, 256, 257, 1000, 4096, 100_000)
    counts = {number: (num_spread_windows(number), num_few_windows(number)) for number in numbers}
    expected = {2: (64, 16), 256: (64, 16), 257: (15, 3), 1000: (4, 1), 4096: (1, 1), 100_000: (1, 1)}
    assert counts == expected


@pytest.mark.slow
@pytest.mark.parametrize("num_components", [1, 3])
def test_the_likelihood_is_that_of_the_true_deviations(num_components):
    model, inputs, targets = normal_accelerations(num_components)
    set_spread(model, [(inputs, targets)])
    parameters = model.predict_on_batch(inputs)
    values = NegativeLogLikelihood(rollout_layer(model).head.layout).call(targets, parameters)
    variances = DEVIATION**2 * np.cumsum(np.arange(1, 7) ** 2)
    expected = np.mean(np.log(2 * np.pi * variances) + 1)
    assert np.mean(np.asarray(values)[:, :, :10]) == pytest.approx(expected, abs=0.05)


def accelerated_half():
    """A field that accelerates particles of feature 1, half of them, whose accelerations scatter ten times as much."""
    model = model_of_forces(1, 6, num_features=1, terms=Terms(fields=(Factor(indicates=(0, 1.0)),)))
    field = rollout_layer(model).head.force.field
    coefficients = np.zeros(field.coefficients.shape)
    coefficients[0, 0, field.exponents.index((0, 0))] = 2 / SCALE
    field.coefficients.assign(coefficients)
    pulled = np.tile([0.0, 1.0], 10)
    accelerations = np.random.default_rng(0).normal(scale=DEVIATION, size=(32, 10, 20, 2))
    accelerations *= (1 + 9 * pulled)[:, None]
    accelerations[..., 0] += 2 * pulled
    accelerations[:, 0] = 0
    frames = accelerations.cumsum(axis=1).cumsum(axis=1).astype("float32")
    features = np.broadcast_to(pulled[:, None], (32, 20, 1)).astype("float32")
    return (
        model,
        {"positions": frames[:, :4], "features": features, "mask": np.ones((32, 20), "float32")},
        frames[:, 4:],
    )


@pytest.mark.slow
def test_noise_grows_by_the_accelerations_that_the_head_predicts():
    """A head in a field of acceleration 2 for half of the particles, whose errors are 10 times those of the others."""
    model, inputs, targets = accelerated_half()
    set_spread(model, [(inputs, targets)])
    growth = np.asarray(rollout_layer(model).head.growth(np.array([[[0.0, 0.0], [2.0, 0.0]]], "float32")))
    assert growth[0, 1] / growth[0, 0] == pytest.approx(10, rel=0.25)


def measured_lines(deviation, num_observed=5, num_components=3):
    """Straight motion, the law without terms, whose positions are observed with noise; 20 particles, 16 windows.

    `deviation` is that of all noise, or of that of each particle `[20, 1]`.
    """
    generator = np.random.default_rng(4)
    start, velocity = generator.normal(size=(2, 16, 1, 20, 2))
    lines = start + velocity * np.arange(num_observed + 10)[:, None, None]
    frames = (lines + generator.normal(scale=deviation, size=lines.shape)).astype("float32")
    inputs = {
        "positions": frames[:, :num_observed],
        "features": np.zeros((16, 20, 0), "float32"),
        "mask": np.ones((16, 20), "float32"),
    }
    model = model_of_forces(num_components, 10, move_scale=float(np.abs(velocity).mean()))
    return model, inputs, frames[:, num_observed:]


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [DEVIATION, DEVIATION * np.array([[4.0], *[[0.5]] * 19])])
def test_after_one_observed_frame_the_spread_is_that_of_typical_moves(deviation):
    """Also if the noise of few particles makes the widest component far wider than the mixture."""
    model, inputs, targets = measured_lines(deviation)
    set_spread(model, [(inputs, targets)])
    parameters = model.predict_on_batch({**inputs, "positions": inputs["positions"][:, :1]})
    predicted = np.asarray(rollout_layer(model).head.layout.covariance(parameters))[..., 0, 0].mean(axis=(0, 2))
    np.testing.assert_allclose(predicted, np.arange(1, 11) ** 2, rtol=0.15)


@pytest.mark.slow
def test_noise_of_observed_positions_is_found_and_averaged_over_all_frames():
    """The variance of the error of frame n is that of a line of least squares through 5 frames."""
    model, inputs, targets = measured_lines(DEVIATION)
    found = set_spread(model, [(inputs, targets)])
    assert found == pytest.approx(DEVIATION, rel=0.2)  # the grid is coarse
    layout = rollout_layer(model).head.layout
    parameters = model.predict_on_batch(inputs)
    design = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    ahead = np.stack([np.ones(10), np.arange(5.0, 15.0)], axis=1)
    variances = DEVIATION**2 * (1 + np.einsum("ni,ij,nj->n", ahead, np.linalg.inv(design.T @ design), ahead))
    errors = np.asarray(layout.mean(parameters)) - targets
    np.testing.assert_allclose(np.square(errors).mean(axis=(0, 2, 3)), variances, rtol=0.2)
    predicted = np.asarray(layout.covariance(parameters))[..., 0, 0].mean(axis=(0, 2))
    np.testing.assert_allclose(predicted, variances, rtol=0.2)


@pytest.mark.slow
def test_errors_of_accelerations_are_not_taken_for_noise_of_observed_positions():
    model, inputs, targets = normal_accelerations(3)
    assert set_spread(model, [(inputs, targets)]) == 0.0
    logarithm, curvature = map(float, rollout_layer(model).head.measurement.trainable_weights)
    assert logarithm == curvature == -20


@pytest.mark.slow
def test_noise_without_which_errors_are_as_likely_is_not_kept(monkeypatch):
    """Where the grid has only a law that is useless with a filter, the model is that without noise."""
    expected, inputs, targets = measured_lines(DEVIATION)
    rollout_layer(expected).head.has_measurement_noise = False
    assert set_spread(expected, [(inputs, targets)]) == 0.0
    model, inputs, targets = measured_lines(DEVIATION)
    likelihoods, mixture = itertools.count(0, -1), initial_spread.mixture_of_scaled
    monkeypatch.setattr(initial_spread, "mixture_of_scaled", lambda *known: (next(likelihoods), *mixture(*known)[1:]))
    assert set_spread(model, [(inputs, targets)]) == 0.0
    for found, wanted in zip(rollout_layer(model).head.weights, rollout_layer(expected).head.weights, strict=False):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, err_msg=found.path)
