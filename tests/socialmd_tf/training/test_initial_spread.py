import dataclasses

import numpy as np
import pytest

from socialmd_tf.config import preset
from socialmd_tf.config.terms import Factor, Terms
from socialmd_tf.mixture import NegativeLogLikelihood
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training.initial_spread import noise_growth, normal_mixture, set_noise, set_spread

DEVIATION, SCALE = 0.02, 5.0


def normal_accelerations(num_components):
    """Straight motion as the law, and particles with independent normal accelerations; half of them are padding."""
    config = dataclasses.replace(
        preset("forces"),
        units=4,
        interaction="none",
        num_components=num_components,
        num_features=0,
        rollout_steps=6,
        acceleration_scale=SCALE,
    )
    accelerations = np.random.default_rng(0).normal(scale=DEVIATION, size=(8, 10, 20, 2))
    accelerations[:, 0] = 0
    frames = accelerations.cumsum(axis=1).cumsum(axis=1).astype("float32")
    frames[:, 5:, 10:] += 100
    mask = np.ones((8, 20), "float32")
    mask[:, 10:] = 0
    inputs = {"positions": frames[:, :4], "features": np.zeros((8, 20, 0), "float32"), "mask": mask}
    return build_model(config), inputs, frames[:, 4:]


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


@pytest.mark.parametrize("num_components", [1, 3])
def test_the_likelihood_is_that_of_the_true_deviations(num_components):
    model, inputs, targets = normal_accelerations(num_components)
    set_spread(model, [(inputs, targets)])
    parameters = model.predict_on_batch(inputs)
    values = NegativeLogLikelihood(rollout_layer(model).head.layout).call(targets, parameters)
    variances = DEVIATION**2 * np.cumsum(np.arange(1, 7) ** 2)
    expected = np.mean(np.log(2 * np.pi * variances) + 1)
    assert np.mean(np.asarray(values)[:, :, :10]) == pytest.approx(expected, abs=0.05)


def test_a_mixture_is_recovered():
    rng = np.random.default_rng(1)
    deviations = rng.choice([1.0, 0.05, 0.001], p=[0.1, 0.3, 0.6], size=20_000)
    weights, found = normal_mixture(rng.normal(size=(20_000, 2)) * deviations[:, None], 3)
    np.testing.assert_allclose(weights, [0.1, 0.3, 0.6], atol=0.02)
    np.testing.assert_allclose(found, [1.0, 0.05, 0.001], rtol=0.05)


def test_errors_of_zero_have_a_mixture():
    weights, deviations = normal_mixture(np.zeros((10, 2)), 3)
    assert np.isfinite(weights).all() and (deviations > 0).all()


def growing_errors(exponent, threshold):
    """Errors of 2 000 paths of 10 frames by the definition, one acceleration after the other; and the accelerations."""
    rng = np.random.default_rng(2)
    accelerations = rng.lognormal(sigma=1.5, size=(2000, 10))
    noise = rng.normal(scale=DEVIATION, size=(2000, 10, 2))
    noise *= (1 + accelerations[..., None] / threshold) ** exponent
    return noise.cumsum(axis=1).cumsum(axis=1), accelerations


@pytest.mark.parametrize(("exponent", "threshold"), [(1.5, 1.0), (2.0, 3.0)])
def test_growing_noise_is_recovered(exponent, threshold):
    errors, accelerations = growing_errors(exponent, threshold)
    found = noise_growth(errors, accelerations, 1)
    expected, factors = ((1 + accelerations / a) ** p for p, a in ((exponent, threshold), found))
    ratios = factors / expected
    # Exponent and threshold make up for each other, and the grid is coarse.
    assert np.quantile(ratios, [0.05, 0.95]) / np.median(ratios) == pytest.approx(1, abs=0.35)


def test_noise_that_is_constant_does_not_grow():
    errors, accelerations = growing_errors(0.0, 1.0)
    assert noise_growth(errors, accelerations, 3)[0] == 0
    assert noise_growth(errors, 0 * accelerations, 3)[0] == 0


def accelerated_half():
    """A field that accelerates particles of feature 1, half of them, whose accelerations scatter ten times as much."""
    terms = Terms(fields=(Factor(indicates=(0, 1.0)),))
    config = dataclasses.replace(
        preset("forces"),
        units=4,
        interaction="none",
        num_components=1,
        num_features=1,
        rollout_steps=6,
        acceleration_scale=SCALE,
        terms=terms,
    )
    model = build_model(config)
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


def test_noise_grows_by_the_accelerations_that_the_head_predicts():
    """A head in a field of acceleration 2 for half of the particles, whose errors are 10 times those of the others."""
    model, inputs, targets = accelerated_half()
    set_spread(model, [(inputs, targets)])
    growth = np.asarray(rollout_layer(model).head.growth(np.array([[[0.0, 0.0], [2.0, 0.0]]], "float32")))
    assert growth[0, 1] / growth[0, 0] == pytest.approx(10, rel=0.25)
