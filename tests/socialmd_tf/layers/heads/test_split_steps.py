"""Steps of two lengths: by their definition, in order, in cost, and where they must not differ."""

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.heads import verlet
from socialmd_tf.layers.pairs.few_or_many import few_or_many
from tests.socialmd_tf.layers.heads.verlet_systems import SCALE, attracting, circling, draw, energy, system

SPLIT, SOFT = 2.0, 0.1


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    """Systems of a few particles are split as those of many are."""
    monkeypatch.setattr(verlet, "few_or_many", lambda number, few, many: many())


def run(head, inputs, velocities):
    """Positions and velocities a frame later, by one graph."""
    inputs = {name: tf.constant(values, "float32") for name, values in inputs.items()}
    return [np.asarray(values) for values in tf.function(head.integrate)(inputs, tf.constant(velocities))]


def alone(inputs, velocities, row):
    return {name: values[row : row + 1] for name, values in inputs.items()}, velocities[row : row + 1]


def closeness(distance):
    z = np.clip((distance**2 - SPLIT**2 / 4) / (SPLIT**2 - SPLIT**2 / 4), 0, 1)
    return 1 - 10 * z**3 + 15 * z**4 - 6 * z**5


def accelerations(x, weight):
    """Of real particles of one system, pair by pair."""
    total = np.zeros_like(x)
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                apart = x[j] - x[i]
                distance = np.sqrt(apart @ apart)
                total[i] += SCALE * weight(distance) * apart / (distance**2 + SOFT**2) ** 1.5
    return total


def slow_frame(x, v, substeps, inner=100):
    """The scheme with many small steps of the fast part, in float64."""

    def fast(x, v, duration):
        h = duration / inner
        for _ in range(inner):
            v = v + h / 2 * accelerations(x, closeness)
            x = x + h * v
            v = v + h / 2 * accelerations(x, closeness)
        return x, v

    def slow(x):
        return accelerations(x, lambda distance: 1 - closeness(distance))

    h = 1 / substeps
    for _ in range(substeps):
        x, v = fast(x, v, h / 2)
        v = v + h * slow(x)
        x, v = fast(x, v, h / 2)
    return x, v


def gentle(num_dimensions):
    """Six particles about 1.2 apart, which move by a tenth of that, and one pair 0.4 apart; of the second system, the
    last one is padding."""
    inputs, velocities = system(num_dimensions, 6)
    grid = 1.2 * np.stack(np.unravel_index(np.arange(6), (3, 2, 1)[:num_dimensions]), -1)
    positions = (grid + 0.05 * inputs["positions"]).astype("float32")
    positions[:, 1] = positions[:, 0] + 0.4 / np.sqrt(num_dimensions)
    inputs |= {"positions": positions, "features": np.ones_like(inputs["features"])}
    return inputs, 0.1 * velocities


@pytest.mark.slow
@pytest.mark.parametrize(("num_dimensions", "substeps"), [(2, 1), (3, 2)])
def test_a_frame_is_the_scheme_by_a_slow_loop(num_dimensions, substeps):
    head = attracting(num_dimensions=num_dimensions, softening=SOFT, substeps=substeps, step_fraction=0.02)
    head.split_distance = SPLIT
    inputs, velocities = gentle(num_dimensions)
    found = run(head, inputs, velocities)
    for b in range(2):
        real = inputs["mask"][b] > 0
        wanted = slow_frame(inputs["positions"][b][real].astype("float64"), velocities[b][real], substeps)
        for values, expected in zip(found, wanted, strict=True):
            np.testing.assert_allclose(values[b][real], expected, atol=2e-4)


@pytest.mark.slow
def test_the_error_is_of_second_order_in_the_steps_of_far_pairs():
    inputs, velocities = gentle(2)
    heads = {n: attracting(softening=SOFT, substeps=n, step_fraction=0.02) for n in (2, 4, 16)}
    for head in heads.values():
        head.split_distance = SPLIT
    moved = {n: run(head, inputs, velocities)[0] for n, head in heads.items()}
    errors = [np.abs(moved[n] - moved[16]).max() for n in (2, 4)]
    assert 5.5 * errors[1] > errors[0] > 3.5 * errors[1] > 0, errors


@pytest.mark.slow
def test_close_encounters_do_not_cost_evaluations_of_far_pairs(monkeypatch):
    head = attracting(softening=0.01, substeps=4, step_fraction=0.05)
    inputs, velocities = gentle(2)
    inputs["positions"][:, 1] = inputs["positions"][:, 0] + 0.05
    whole = run(head, inputs, velocities)
    far, by_pairs = [], head.force.by_pairs
    monkeypatch.setattr(head.force, "by_pairs", lambda *args: far.append(1) or by_pairs(*args))
    head.split_distance = 0.5
    split = run(head, inputs, velocities)
    # In the graph: once, and none for short steps.
    assert len(far) == 1
    np.testing.assert_allclose(split[0][:, 2:], whole[0][:, 2:], atol=5e-3)


@pytest.mark.slow
def test_energy_is_kept_over_thirty_turns():
    inputs, velocities = circling()
    head = attracting(softening=0.3, substeps=8, step_fraction=0.1)
    head.split_distance = 0.8
    step = tf.function(head.integrate)
    x, v = tf.constant(inputs["positions"]), tf.constant(velocities)
    first, errors = energy(inputs, x.numpy(), v.numpy()), []
    for _ in range(100):
        x, v = step({"positions": x, "features": tf.ones((1, 2, 2)), "mask": tf.ones((1, 2))}, v)
        errors.append(energy(inputs, x.numpy(), v.numpy()) - first)
    assert np.abs(errors).max() < 0.01 * abs(first), errors


@pytest.mark.slow
def test_systems_of_a_batch_do_not_see_each_other():
    head = attracting(softening=SOFT, substeps=1, step_fraction=0.05)
    head.split_distance = SPLIT
    inputs, velocities = gentle(2)
    together = run(head, inputs, velocities)
    for row in range(2):
        for values, wanted in zip(together, run(head, *alone(inputs, velocities, row)), strict=True):
            np.testing.assert_allclose(values[row], wanted[0], atol=1e-5)


@pytest.mark.slow
def test_gradients_are_slopes():
    head = attracting(softening=0.2, substeps=1, step_fraction=0.05)
    head.split_distance = SPLIT
    inputs, velocities = gentle(2)
    inputs = {name: tf.constant(values) for name, values in inputs.items()}
    bias = head.force.range.bias

    @tf.function
    def loss():
        with tf.GradientTape() as tape:
            tape.watch(bias.value)
            x, v = head.integrate(inputs, tf.constant(velocities))
            value = tf.reduce_sum(x * x + tf.sin(v))
        return value, tape.gradient(value, bias.value)

    gradient = loss()[1].numpy()
    start, slopes = bias.numpy(), []
    for k in range(3):
        ends = []
        for sign in (1, -1):
            bias.assign(start + sign * 0.02 * np.eye(3)[k])
            ends.append(float(loss()[0]))
        slopes.append((ends[0] - ends[1]) / 0.04)
    bias.assign(start)
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_allclose(gradient, slopes, rtol=2e-2, atol=2e-3)


@pytest.mark.slow
def test_close_pairs_far_apart_are_none():
    """A batch without any close pair moves as under the slow part alone."""
    positions = 2.0 * np.arange(12, dtype="float32").reshape(1, 6, 2)
    inputs = {"positions": positions, "features": draw(1, 6, 2), "mask": np.ones((1, 6), "float32")}
    head = attracting(softening=SOFT, substeps=1, step_fraction=0.1)
    whole = run(head, inputs, np.zeros_like(positions))
    head.split_distance = 0.1
    for values, wanted in zip(run(head, inputs, np.zeros_like(positions)), whole, strict=True):
        np.testing.assert_allclose(values, wanted, atol=1e-5)


@pytest.mark.slow
def test_systems_of_few_particles_take_steps_of_one_length(monkeypatch):
    monkeypatch.setattr(verlet, "few_or_many", few_or_many)
    head = attracting(softening=SOFT, substeps=2, step_fraction=0.1)
    inputs, velocities = gentle(2)
    whole = run(head, inputs, velocities)
    head.split_distance = SPLIT
    for values, wanted in zip(run(head, inputs, velocities), whole, strict=True):
        np.testing.assert_array_equal(values, wanted)
