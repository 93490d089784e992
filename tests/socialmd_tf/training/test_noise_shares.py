import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.config import preset
from socialmd_tf.layers.pairs.radial_pulls import radial_functions
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training.noise_shares import fit_noise_shares

CUTOFF, STEPS = 2.0, 40
SHARES = np.array([[0.3, 0.1], [0.1, -0.05]], "float32")


def sharing_model(num_dimensions, centered):
    config = dataclasses.replace(
        preset("langevin"),
        num_dimensions=num_dimensions,
        num_features=1,
        rollout_steps=STEPS,
        cutoff=CUTOFF,
        pair_channels=2,
        pair_units=2,
        time_constants=(3.0,),
        move_scale=0.02,
        centered=centered,
        shared_noise=True,
    )
    return build_model(config)


def paths(model, shares, num_systems=24):
    """A batch of random walks whose noise is shared; the last particle of the second system is padding."""
    rollout, generator = rollout_layer(model), np.random.default_rng(0)
    rollout.head.noise_shares.assign(shares)
    shape = (num_systems, 8)
    mask = np.ones(shape, "float32")
    mask[1, -1] = 0
    size = rollout.head.layout.num_dimensions
    inputs = {
        "positions": (0.8 * generator.normal(size=(num_systems, 3, 8, size)) * mask[:, None, :, None]).astype(
            "float32"
        ),
        "features": generator.normal(size=(*shape, 1)).astype("float32"),
        "mask": mask,
    }
    inputs["positions"][:] = inputs["positions"][:, :1]
    normal = generator.normal(size=(STEPS, *shape, size)).astype("float32")
    position, targets = tf.constant(inputs["positions"][:, -1]), []
    state = rollout.get_initial_state(position)
    for step in range(STEPS):
        parameters, state = rollout.step(position, inputs["features"], mask, state)
        seen = {"positions": position, "mask": mask}
        position = rollout.draw(parameters, np.zeros(shape, "float32"), normal[step], seen) * mask[..., None]
        targets.append(position)
    return inputs, np.stack(targets, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("num_dimensions", "centered"), [(2, True), (3, False)])
def test_the_correlations_of_true_noise_are_found_and_drawn(num_dimensions, centered):
    model = sharing_model(num_dimensions, centered)
    batch = paths(model, SHARES)
    head = rollout_layer(model).head
    head.noise_shares.assign(np.zeros_like(SHARES))
    along, across = fit_noise_shares(model, [batch])
    assert along > 0.3 and 0.05 < across < 0.3
    np.testing.assert_allclose(curves(head.noise_shares), curves(SHARES), atol=0.04)


@pytest.mark.slow
def test_independent_noise_is_shared_by_nearly_none():
    model = sharing_model(2, False)
    batch = paths(model, np.zeros_like(SHARES))
    fit_noise_shares(model, [batch])
    np.testing.assert_allclose(curves(rollout_layer(model).head.noise_shares), 0.0, atol=0.03)


def test_the_root_of_the_covariance_and_its_inverse():
    model = sharing_model(3, True)
    head, generator = rollout_layer(model).head, np.random.default_rng(3)
    head.deviations.bias.assign([2.0, 0.5])
    positions, vectors = (generator.normal(size=(1, 5, 3)).astype("float32") for _ in range(2))
    parameters, _ = rollout_layer(model).step(
        positions,
        np.zeros((1, 5, 1), "float32"),
        np.ones((1, 5), "float32"),
        rollout_layer(model).get_initial_state(tf.constant(positions)),
    )
    once = head.along_root(parameters, positions, vectors, 1)
    twice = head.along_root(parameters, positions, once, 1)
    expected = np.einsum("bnij,bnj->bni", head.layout.covariance(parameters), vectors)
    np.testing.assert_allclose(twice, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(head.along_root(parameters, positions, once, -1), vectors, rtol=1e-4, atol=1e-5)


def test_particles_out_of_reach_are_drawn_as_if_noise_were_not_shared():
    model = sharing_model(2, False)
    rollout, generator = rollout_layer(model), np.random.default_rng(4)
    rollout.head.noise_shares.assign(SHARES)
    positions = np.array([[[0.0, 0.0], [0.5, 0.0], [50.0, 0.0]]], "float32")
    mask = np.ones((1, 3), "float32")
    state = rollout.get_initial_state(tf.constant(positions))
    parameters, _ = rollout.step(positions, np.zeros((1, 3, 1), "float32"), mask, state)
    uniform, normal = mask, generator.normal(size=positions.shape).astype("float32")
    together = rollout.draw(parameters, uniform, normal, {"positions": positions, "mask": mask})
    alone = rollout.head.layout.draw(parameters, uniform, normal)
    apart = np.abs(together - alone).max(axis=-1)[0]
    assert apart[2] < 1e-6 and np.all(apart[:2] > 1e-4)


def curves(shares):
    """a(d) and b(d) at some distances, `[2, 5]`."""
    distances = np.linspace(0.2, 0.9, 5)
    return np.asarray(shares) @ np.asarray(radial_functions(distances, SHARES.shape[-1])).T


def test_shares_are_the_only_further_weights():
    with_shares, without = (
        sharing_model(2, True),
        build_model(dataclasses.replace(sharing_model(2, True).config, shared_noise=False)),
    )
    assert with_shares.count_params() - without.count_params() == SHARES.size
