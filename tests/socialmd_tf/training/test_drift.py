import dataclasses

import numpy as np
import pytest

from socialmd_tf.config import preset
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training import drift
from tests import references

SCALE = 0.2


def langevin_model():
    config = dataclasses.replace(
        preset("langevin"),
        num_features=3,
        rollout_steps=10,
        anchor_start=1,
        cutoff=1.5,
        pair_channels=2,
        pair_units=2,
        time_constants=(3.0,),
        move_scale=SCALE,
    )
    return build_model(config)


def paths(coefficients, model, num_frames=13, noise=0.02):
    """Batches of paths that a model with these coefficients draws with little noise; the last particle is padding."""
    rollout, generator = rollout_layer(model), np.random.default_rng(0)
    rollout.head.coefficients.kernel.assign(coefficients)
    for _ in range(2):
        shape = (9, 6)
        mask = np.ones(shape, "float32")
        mask[1, -1] = 0
        kinds, anchors = (generator.random((*shape, 1)) < 0.5).astype("float32"), generator.normal(size=(*shape, 2))
        inputs = {
            "positions": (generator.normal(size=(9, 3, 6, 2)) * mask[:, None, :, None]).astype("float32"),
            "features": np.concatenate([kinds, anchors], axis=-1).astype("float32"),
            "mask": mask,
        }
        shocks = noise * generator.normal(size=(num_frames, *shape, 2)).astype("float32")
        _, path = rollout.run(
            inputs,
            num_frames - 3,
            lambda parameters, step, shocks=shocks: rollout.head.mean(parameters) + shocks[int(step)],
        )
        yield inputs, np.asarray(path)


@pytest.fixture(scope="module")
def fitted():
    """True coefficients, those that were found, the model and the batches."""
    model = langevin_model()
    kernel = rollout_layer(model).head.coefficients.kernel
    true = np.random.default_rng(1).normal(scale=0.05, size=kernel.shape)
    batches = list(paths(true, model))
    rollout_layer(model).head.coefficients.kernel.assign(np.zeros(kernel.shape))
    drift.fit_drift(model, batches)
    return true, np.asarray(kernel), model, batches


def mean_moves(model, inputs, targets):
    rollout = rollout_layer(model)
    frames = {**inputs, "positions": np.concatenate([inputs["positions"], targets[:, :-1]], axis=1)}
    rollout.validation_steps = 0
    means = np.asarray(rollout.head.mean(rollout(frames)))
    return means[np.broadcast_to((inputs["mask"] > 0)[:, None], means.shape[:-1])]


@pytest.mark.slow
def test_the_true_mean_moves_are_found(fitted):
    true, found, model, batches = fitted
    means = [mean_moves(model, *batch) for batch in batches]
    rollout_layer(model).head.coefficients.kernel.assign(true)
    expected = [mean_moves(model, *batch) for batch in batches]
    rollout_layer(model).head.coefficients.kernel.assign(np.zeros_like(true))
    still = [mean_moves(model, *batch) for batch in batches]
    wrong, size = (np.square(np.concatenate(values) - np.concatenate(still)) for values in (means, expected))
    error = np.mean(np.square(np.concatenate(means) - np.concatenate(expected)))
    assert error < 0.02 * size.mean() and wrong.mean() > 0.5 * size.mean()
    rollout_layer(model).head.coefficients.kernel.assign(found)


def test_the_noise_begins_at_its_size(fitted):
    _, _, model, _ = fitted
    deviation = SCALE * references.softplus(np.asarray(rollout_layer(model).head.deviations.bias))
    np.testing.assert_allclose(deviation, 0.02, rtol=0.15)


def test_equals_the_solution_of_the_problem_as_it_is_stated(fitted):
    """The gradient of mean square plus penalty vanishes, with columns made frame by frame."""
    _, found, model, batches = fitted
    head, rows, moves = rollout_layer(model).head, [], []
    for inputs, targets in batches:
        frames = np.concatenate([inputs["positions"], targets], axis=1)
        state = head.get_initial_state(frames[:, 0])
        for step in range(frames.shape[1] - 1):
            before = frames[:, max(step - 1, 0)]
            seen = {"positions": frames[:, step], "velocities": frames[:, step] - before, "mask": inputs["mask"]}
            seen |= {"features": inputs["features"][..., :1], "anchors": inputs["features"][..., 1:]}
            columns = np.asarray(head.columns(seen, state), np.float64)
            state = head.remember(seen, state)
            if step >= inputs["positions"].shape[1] - 1:
                for b, i in zip(*np.nonzero(inputs["mask"]), strict=True):
                    for d in range(2):
                        kinds = np.array([inputs["features"][b, i, 0], 1.0])
                        rows.append(np.outer(kinds, columns[b, i, d]).ravel())
                        moves.append((frames[b, step + 1, i, d] - frames[b, step, i, d]) / head.move_scale)
    rows, moves = np.array(rows), np.array(moves)
    sizes = np.sqrt(np.mean(rows**2, axis=0))
    scaled, of_scaled = rows / sizes, found.ravel() * sizes
    penalty = 0.01 * of_scaled * (np.arange(len(of_scaled)) < found.shape[1])
    gradient = scaled.T @ (scaled @ of_scaled - moves) / len(moves) + penalty
    np.testing.assert_allclose(gradient, 0, atol=2e-5)
    assert np.abs(scaled.T @ moves / len(moves)).max() > 1e-2


def test_only_the_noise_is_trained(fitted):
    *_, model, _ = fitted
    names = {weight.path.split("/")[-2] for weight in model.trainable_variables}
    assert names == {"hidden_0", "hidden_1", "deviations"}
