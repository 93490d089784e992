import dataclasses

import numpy as np
import pytest

from socialmd_tf.config import preset
from socialmd_tf.mixture import NegativeLogLikelihood
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training.initial_spread import normal_mixture, set_noise, set_spread

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
