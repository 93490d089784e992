"""Sampled paths against the densities of the rollout.

The two must agree where means are linear in the positions and the noise is the same in every frame. They differ where
the covariance of a head contracts deviations and its means do not.
"""

import keras
import numpy as np
import pytest
import scipy.stats

from socialmd_tf.config import ModelConfig
from socialmd_tf.export.signatures import Signatures
from socialmd_tf.model import build_model, rollout_layer
from tests import references

NUM_PATHS, HORIZON, KEPT = 4000, 4, 0.8
THRESHOLD = 1.63 / np.sqrt(NUM_PATHS)  # the 1 % point of Kolmogorov and Smirnov
SMALL = {
    "num_features": 1,
    "rollout_steps": HORIZON,
    "interaction": "none",
    "units": 2,
    "input_embedding": 3,
    "num_components": 3,
    "scale_floor": 1e-6,
    "substeps": 1,
    "charges": 1,
}


def build(head):
    """A model whose density of a frame after an observed one is always the same, around its mean."""
    keras.utils.set_random_seed(0)
    model = build_model(ModelConfig(head=head, **SMALL))
    layer = rollout_layer(model).head
    if head != "absolute":
        layer.scale.bias.assign([0.3, -0.5, 0.8])
        layer.mixture.bias.assign([-0.5, 0.4, 0.0, 0.3, 0.0, -0.3])
    return model, layer


def pull_to_the_origin(model, head):
    """Make a displacement head forget a share of each deviation, in its covariance and in its means."""
    head.memory.kernel.assign(np.zeros(head.memory.kernel.shape))
    head.memory.bias.assign([np.log(KEPT / (1 - KEPT))])
    embedding = rollout_layer(model).cell.input_embedding
    embedding.kernel.assign(np.eye(3)[:, :3])  # the first two numbers of alpha are the position
    kernel = np.zeros(head.acceleration.kernel.shape)
    kernel[SMALL["units"] : SMALL["units"] + 2] = -(1 - KEPT) * np.eye(2)
    head.acceleration.kernel.assign(kernel)


def marginals(model):
    """Densities of the rollout `[T', P]` and sampled positions `[T', paths, D]`, after frames at rest at the origin."""
    signatures = Signatures(model, HORIZON)
    positions, features = np.zeros((NUM_PATHS, 3, 1, 2), np.float32), np.zeros((NUM_PATHS, 1, 1), np.float32)
    mask = np.ones((1, 1), np.float32)
    densities = signatures.density(positions=positions[:1], features=features[:1], mask=mask, horizon=HORIZON)
    sampled = signatures.sample(positions=positions, features=features, horizon=HORIZON, seed=[3, 4])
    return np.asarray(densities["parameters"])[0, :, 0], np.asarray(sampled["positions"])[:, :, 0].swapaxes(0, 1)


def distance(layout, parameters, positions):
    """Distance of Kolmogorov and Smirnov between first coordinates of positions `[paths, D]` and their mixture."""
    weights, means, covariances = references.unpack_density(parameters, 2, layout.num_components, layout.correlated)
    components = list(zip(weights, means[:, 0], np.sqrt(covariances[:, 0, 0]), strict=True))
    return scipy.stats.kstest(
        positions[:, 0], lambda x: sum(weight * scipy.stats.norm.cdf(x, *moments) for weight, *moments in components)
    ).statistic


@pytest.mark.slow_cases(all_but=["displacement"])
@pytest.mark.parametrize("head", ["kinematic", "verlet", "displacement"])
def test_sampled_paths_have_the_densities_of_the_rollout(head):
    model, layer = build(head)
    if head == "displacement":
        pull_to_the_origin(model, layer)
    densities, sampled = marginals(model)
    assert np.trace(layer.layout.covariance(densities[-1])) > 2 * np.trace(layer.layout.covariance(densities[0]))
    for parameters, positions in zip(densities, sampled, strict=True):
        assert distance(layer.layout, parameters, positions) < THRESHOLD


@pytest.mark.slow
def test_a_component_drawn_anew_for_every_frame_would_thin_the_tails():
    """Why a path keeps its component: sums of components drawn anew are nearer to one Gaussian than the density."""
    model, layer = build("kinematic")
    densities, _ = marginals(model)
    generator = np.random.default_rng(0)
    position = velocity = np.zeros((NUM_PATHS, 2), np.float32)
    distances = []
    for parameters in densities:
        uniform = generator.random(NUM_PATHS, np.float32)
        normal = generator.normal(size=(NUM_PATHS, 2)).astype(np.float32)
        acceleration = layer.layout.draw(np.repeat(densities[:1], NUM_PATHS, axis=0), uniform, normal)
        velocity = velocity + np.asarray(acceleration)
        position = position + velocity
        distances.append(distance(layer.layout, parameters, position))
    assert distances[0] < THRESHOLD and min(distances[1:]) > 2 * THRESHOLD


@pytest.mark.slow
def test_the_first_frame_is_drawn_from_its_density_whatever_the_head():
    model, layer = build("absolute")
    densities, sampled = marginals(model)
    assert distance(layer.layout, densities[0], sampled[0]) < THRESHOLD


@pytest.mark.slow
def test_a_displacement_head_whose_means_do_not_contract_samples_random_walks():
    """Its covariance forgets deviations and its means do not: documented in the class."""
    model, layer = build("displacement")
    pull_to_the_origin(model, layer)
    layer.acceleration.kernel.assign(np.zeros(layer.acceleration.kernel.shape))
    densities, sampled = marginals(model)
    variances = np.trace(np.asarray(layer.layout.covariance(densities)), axis1=-2, axis2=-1)
    found = sampled.var(axis=1).sum(axis=-1)
    np.testing.assert_allclose(found, variances[0] * np.arange(1, HORIZON + 1), rtol=0.15)
    np.testing.assert_allclose(variances, variances[0] * np.cumsum(KEPT ** (2 * np.arange(HORIZON))), rtol=1e-3)
