import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import (
    AbsoluteHead,
    DensityLayout,
    PairForce,
    PairwiseInteraction,
    Rollout,
    SocialLSTMCell,
    StackedPoolingInteraction,
    VerletHead,
)
from tests import references

GRIDS = {"bins": 4, "side_lengths": (8.0, 3.0)}
FLOOR = 1e-3


def make_rollout(num_dimensions=2, rollout_steps=3, head=None, seed=0):
    """A built rollout with random weights, the same for every number of steps."""
    interaction = StackedPoolingInteraction(**GRIDS, filters=(3,), kernel_size=3, state_embedding=4, embedding=6)
    head = head or AbsoluteHead(num_dimensions, 1, True, FLOOR)
    rollout = Rollout(SocialLSTMCell(5, 3, interaction), head, rollout_steps)
    rollout.build({"positions": (None, None, None, num_dimensions), "features": (None, None, 2)})
    generator = np.random.default_rng(seed)
    rollout.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in rollout.weights])
    return rollout


def example(num_dimensions=2, num_steps=3, num_particles=5, seed=0):
    """Inputs of two systems, the second padded."""
    generator = np.random.default_rng(seed)
    mask = np.ones((2, num_particles), "float32")
    mask[1, -2:] = 0
    positions = generator.uniform(-2, 2, (2, num_steps, num_particles, num_dimensions))
    return {
        "positions": tf.constant(positions * mask[:, None, :, None], "float32"),
        "features": tf.constant(generator.normal(size=(2, num_particles, 2)), "float32"),
        "mask": tf.constant(mask),
    }


def slow_rollout(rollout, inputs, horizon, choose):
    """Parameters and what followed, by one `step` after another."""
    features, mask = inputs["features"], inputs["mask"]
    frames = tf.unstack(inputs["positions"], axis=1)
    state = rollout.get_initial_state(frames[0])
    for frame in frames:
        state = rollout.observe(frame, True, state)
        parameters, state = rollout.step(frame, features, mask, state)
    densities, following = [parameters], []
    for index in range(horizon):
        following.append(choose(densities[-1], index) * mask[..., None])
        parameters, state = rollout.step(following[-1], features, mask, state)
        densities.append(parameters)
    return tf.stack(densities[:-1], axis=1), tf.stack(following, axis=1)


@pytest.mark.slow_cases(all_but=["1-1-2", "1-1-3"])
@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("num_steps", [1, 3])
@pytest.mark.parametrize("horizon", [1, 3])
def test_equals_a_loop_of_steps(num_dimensions, num_steps, horizon):
    rollout = make_rollout(num_dimensions)
    inputs = example(num_dimensions, num_steps)
    mean = rollout.head.layout.mean
    result = rollout.run(inputs, horizon)
    expected = slow_rollout(rollout, inputs, horizon, lambda parameters, index: mean(parameters))
    assert result[0].shape == (2, horizon, 5, rollout.head.layout.size)
    for values, wanted in zip(result, expected, strict=True):
        np.testing.assert_allclose(values, wanted, atol=1e-5)


def test_with_no_step_to_predict_every_frame_is_predicted_from_the_true_ones_before_it():
    rollout, inputs = make_rollout(rollout_steps=3), example(num_steps=5)
    rollout.training_steps = 0
    found = rollout(inputs, training=True)
    for k in range(3):
        seen = {**inputs, "positions": inputs["positions"][:, : k + 3]}
        np.testing.assert_allclose(found[:, k], rollout.run(seen, 1)[0][:, 0], atol=1e-5)


@pytest.mark.slow
def test_with_no_step_to_predict_weights_have_the_gradients_of_single_predictions():
    """Gradients with respect to the frames, which are not computed then, do not matter to the weights."""
    rollout, inputs = make_rollout(rollout_steps=2), example(num_steps=3)
    rollout.training_steps = 0
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.sin(rollout(inputs, training=True)))
    found = tape.gradient(total, rollout.trainable_variables)
    with tf.GradientTape() as tape:
        seen = [{**inputs, "positions": inputs["positions"][:, :number]} for number in (2, 3)]
        total = sum(tf.reduce_sum(tf.sin(rollout.run(frames, 1)[0])) for frames in seen)
    expected = tape.gradient(total, rollout.trainable_variables)
    for gradient, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_validation_steps_of_zero_predict_single_frames_outside_training_only():
    rollout, inputs = make_rollout(rollout_steps=2), example(num_steps=3)
    free = rollout(inputs)
    rollout.validation_steps = 0
    forced = rollout(inputs)
    np.testing.assert_allclose(forced[:, 1], rollout.run(inputs, 1)[0][:, 0], atol=1e-5)
    assert np.abs(forced - free).max() > 1e-3
    np.testing.assert_array_equal(rollout(inputs, training=True), free)


@pytest.mark.slow
def test_unrolled_training_gives_the_loop_s_values_and_gradients():
    rollout, inputs = make_rollout(), example()
    results = []
    for unroll in (False, True):
        rollout.unroll = unroll
        graph = tf.function(lambda: rollout(inputs, training=True)).get_concrete_function().graph
        assert any("While" in node.type for node in graph.get_operations()) != unroll
        with tf.GradientTape() as tape:
            parameters = rollout(inputs, training=True)
            total = tf.reduce_sum(tf.sin(parameters))
        results.append([parameters, *tape.gradient(total, rollout.trainable_variables)])
    for looped, unrolled in zip(*results, strict=True):
        np.testing.assert_allclose(unrolled, looped, rtol=1e-4, atol=1e-5)


def test_equals_the_thesis_in_numpy():
    rollout = make_rollout()
    inputs = example(num_steps=2)
    weights = references.weights_by_name(rollout)
    features, mask = (np.asarray(inputs[name], np.float64) for name in ("features", "mask"))
    frames = [np.asarray(frame, np.float64) for frame in tf.unstack(inputs["positions"], axis=1)]
    state = [np.zeros((2, 5, 5))] * 2
    expected = []
    for step in range(4):
        outputs, *state = references.cell_step(frames[step], features, *state, mask, weights, **GRIDS)
        means, covariances = references.head_step(outputs, weights, FLOOR)
        if step >= 1:
            expected.append((means, covariances))
            frames.append(means * mask[..., None])
    layout, parameters = rollout.head.layout, rollout(inputs)
    means, covariances = (np.stack(frames, axis=1) for frames in zip(*expected, strict=True))
    np.testing.assert_allclose(layout.mean(parameters), means, atol=1e-4)
    np.testing.assert_allclose(layout.covariance(parameters), covariances, atol=1e-4)


@pytest.mark.slow
def test_a_longer_rollout_begins_with_the_shorter():
    inputs = example()
    shorter, longer = make_rollout(rollout_steps=3)(inputs), make_rollout(rollout_steps=4)(inputs)
    np.testing.assert_allclose(longer[:, :3], shorter, atol=1e-6)
    assert longer.shape[1] == 4


@pytest.mark.slow_cases(all_but=["2"])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_padding_changes_no_real_particle(num_dimensions):
    rollout = make_rollout(num_dimensions)
    inputs = example(num_dimensions)
    alone = {
        "positions": inputs["positions"][1:, :, :3],
        "features": inputs["features"][1:, :3],
        "mask": tf.ones((1, 3)),
    }
    np.testing.assert_allclose(rollout(inputs)[1:, :, :3], rollout(alone), atol=1e-5)


@pytest.mark.slow
def test_what_stands_in_the_padding_does_not_matter():
    rollout = make_rollout()
    inputs = example()
    padding = 1 - inputs["mask"]
    other = {
        **inputs,
        "positions": inputs["positions"] + 0.3 * padding[:, None, :, None],
        "features": inputs["features"] + padding[..., None],
    }
    real = inputs["mask"][:, None, :, None]
    np.testing.assert_allclose(rollout(other) * real, rollout(inputs) * real, atol=1e-6)


def test_renumbered_particles_give_renumbered_results():
    rollout = make_rollout()
    inputs = example()
    order = np.random.default_rng(1).permutation(5)
    renumbered = {
        "positions": tf.gather(inputs["positions"], order, axis=2),
        "features": tf.gather(inputs["features"], order, axis=1),
        "mask": tf.gather(inputs["mask"], order, axis=1),
    }
    np.testing.assert_allclose(rollout(renumbered), tf.gather(rollout(inputs), order, axis=2), atol=1e-5)


@pytest.mark.slow
def test_systems_of_a_batch_do_not_see_each_other():
    rollout = make_rollout()
    inputs = example()
    first = tf.nest.map_structure(lambda value: value[:1], inputs)
    np.testing.assert_allclose(rollout(inputs)[:1], rollout(first), atol=1e-6)


@pytest.mark.slow
def test_the_observed_frames_are_all_read():
    rollout = make_rollout()
    inputs = example()
    result = rollout(inputs)
    for frame in range(3):
        bump = tf.one_hot(frame, 3)[None, :, None, None] * inputs["mask"][:, None, :, None]
        other = rollout({**inputs, "positions": inputs["positions"] + 0.5 * bump})
        assert np.abs(other - result)[:, 0].max() > 1e-3


@pytest.mark.slow
def test_the_horizon_may_be_a_tensor():
    rollout = make_rollout()
    inputs = example()
    run = tf.function(rollout.run)
    for horizon in (1, 4):
        for values, wanted in zip(run(inputs, tf.constant(horizon)), rollout.run(inputs, horizon), strict=True):
            assert values.shape[1] == horizon
            np.testing.assert_allclose(values, wanted, atol=1e-5)
    assert run.experimental_get_tracing_count() == 1


@pytest.mark.slow
def test_the_positions_that_follow_can_be_chosen():
    rollout = make_rollout()
    inputs = example()

    def choose(parameters, index):
        number = tf.cast(index, "float32")
        return tf.stack([tf.fill(parameters.shape[:2], 0.5 * number), parameters[..., 3]], axis=-1)

    parameters, following = rollout.run(inputs, 4, choose)
    for values, wanted in zip((parameters, following), slow_rollout(rollout, inputs, 4, choose), strict=True):
        np.testing.assert_allclose(values, wanted, atol=1e-5)
    assert following[0, :, 0, 0].numpy().tolist() == [0.0, 0.5, 1.0, 1.5]
    assert not following[1, :, -2:].numpy().any()  # padding stays at the origin
    assert np.abs(parameters - rollout.run(inputs, 4)[0])[:, 1:].max() > 1e-3


class CountingHead(keras.layers.Layer):
    """Every parameter is the number of predictions since the last observed frame."""

    layout = DensityLayout(2, 1, False)

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        pass

    def mean(self, parameters):
        return self.layout.mean(parameters)

    def get_initial_state(self, positions):
        return (tf.zeros_like(positions[..., 0]),)

    def observe(self, state, positions):
        return self.get_initial_state(positions)

    def call(self, outputs, inputs, state):
        count = state[0] + 1
        return tf.repeat(count[..., None], self.layout.size, axis=-1), (count,)


@pytest.mark.slow
def test_the_state_of_the_head_starts_anew_after_an_observed_frame():
    rollout = make_rollout(head=CountingHead())
    inputs = example()
    assert rollout(inputs)[0, :, 0, 0].numpy().tolist() == [1.0, 2.0, 3.0]
    chosen, _ = rollout.run(inputs, 3, lambda parameters, index: parameters[..., :2])
    assert chosen[0, :, 0, 0].numpy().tolist() == [1.0, 1.0, 1.0]


class VelocityHead(keras.layers.Layer):
    """Predicts the next position at constant velocity."""

    layout = DensityLayout(2, 1, False)

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        pass

    def mean(self, parameters):
        return self.layout.mean(parameters)

    def get_initial_state(self, positions):
        return ()

    def observe(self, state, positions):
        return ()

    def call(self, outputs, inputs, state):
        positions = inputs["positions"]
        return tf.concat([positions + inputs["velocities"], tf.ones_like(positions)], axis=-1), ()


def test_velocities_are_moves_since_the_last_frame():
    inputs = example(num_steps=2)
    _, following = make_rollout(head=VelocityHead()).run(inputs, 4)
    first, last = tf.unstack(inputs["positions"], axis=1)
    expected = tf.stack([last + k * (last - first) for k in (1.0, 2.0, 3.0, 4.0)], axis=1)
    np.testing.assert_allclose(following, expected, atol=1e-5)


def test_the_first_move_is_zero():
    inputs = example(num_steps=1)
    _, following = make_rollout(head=VelocityHead()).run(inputs, 2)
    np.testing.assert_array_equal(following, tf.repeat(inputs["positions"], 2, axis=1))


def verlet_rollout():
    force = PairForce(2, 0.3, 2.0, 0.2, name="force")
    head = VerletHead(2, 1, FLOOR, 0.2, force, substeps=2, step_fraction=1e9, is_corrected=False)
    cell = SocialLSTMCell(5, 3, PairwiseInteraction(2.0, 0.3, 4, 2, 0.5), velocity_scale=0.5, expose_interaction=True)
    rollout = Rollout(cell, head, 3)
    rollout.build({"positions": (None, None, None, 2), "features": (None, None, 2)})
    generator = np.random.default_rng(0)
    rollout.set_weights([generator.normal(scale=0.4, size=weight.shape) for weight in rollout.weights])
    return rollout


def with_velocities(inputs, seed=7):
    shape = inputs["positions"].shape
    return {**inputs, "velocities": tf.constant(np.random.default_rng(seed).normal(size=shape), "float32")}


@pytest.mark.slow
def test_a_periodic_rollout_does_not_depend_on_the_images_given():
    rollout, inputs = verlet_rollout(), example()
    boxes = np.stack([np.diag([4.0, 4.5]), [[4.5, 0.0], [1.0, 4.5]]]).astype("float32")
    turns = np.random.default_rng(1).integers(-2, 3, (2, 5, 2)) * inputs["mask"].numpy()[..., None]
    shift = np.einsum("bna,bad->bnd", turns, boxes).astype("float32")[:, None]
    given = {**inputs, "box": tf.constant(boxes)}
    moved = {**given, "positions": inputs["positions"] + shift}
    mean = rollout.head.mean
    expected = mean(rollout(given))
    np.testing.assert_allclose(mean(rollout(moved)) - shift, expected, rtol=1e-3, atol=2e-4)
    assert np.abs(expected - mean(rollout(inputs))).max() > 1e-2


@pytest.mark.slow
def test_observed_velocities_are_those_of_the_cell_and_the_head():
    """At every observed frame; what was predicted has velocities of its own."""
    rollout, inputs = verlet_rollout(), with_velocities(example())
    seen = []
    rollout.cell.call, call = (
        lambda given, states: seen.append(given["velocities"]) or call(given, states),
        rollout.cell.call,
    )
    observe, kept = rollout.head.observe_velocities, []
    rollout.head.observe_velocities = lambda state, velocities: kept.append(velocities) or observe(state, velocities)
    frames, state = tf.unstack(inputs["positions"], axis=1), None
    state = rollout.get_initial_state(frames[0])
    for index, frame in enumerate(frames):
        state = rollout.observe(frame, True, state)
        moving = {"observed_velocities": inputs["velocities"][:, index], "is_observed": True}
        parameters, state = rollout.step(frame, inputs["features"], inputs["mask"], state, **moving)
        np.testing.assert_array_equal(seen[-1], inputs["velocities"][:, index])
        np.testing.assert_array_equal(kept[-1], inputs["velocities"][:, index])
    np.testing.assert_allclose(rollout(inputs)[:, 0], parameters, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_only_the_last_observed_velocity_moves_a_verlet_head():
    """Forces do not depend on the past, and the velocity of the last frame is given."""
    rollout, inputs = verlet_rollout(), with_velocities(example())
    changed = inputs["velocities"] + tf.constant([1.0, 1.0, 0.0])[:, None, None]
    mean = rollout.head.mean
    expected = mean(rollout(inputs))
    np.testing.assert_allclose(mean(rollout({**inputs, "velocities": changed})), expected, atol=1e-5)
    changed = inputs["velocities"] + tf.constant([0.0, 0.0, 1.0])[:, None, None]
    real = inputs["mask"].numpy()[:, None, :, None]
    found = np.asarray(mean(rollout({**inputs, "velocities": changed}))) * real
    assert np.abs(found - expected * real).max() > 0.5


@pytest.mark.slow
def test_a_given_velocity_brings_the_first_frame_nearer_to_the_truth():
    """Free particles with noise on their observed positions: the velocity is exact."""
    rollout = verlet_rollout()
    rollout.head.force.responses[-1].kernel.assign(tf.zeros_like(rollout.head.force.responses[-1].kernel))
    rollout.head.force.responses[-1].bias.assign(tf.zeros_like(rollout.head.force.responses[-1].bias))
    generator = np.random.default_rng(0)
    start, velocity = generator.normal(size=(2, 2, 1, 4, 2))
    true = start + velocity * np.arange(4)[None, :, None, None]
    noise = 0.05 * generator.normal(size=true.shape)
    observed = {"positions": (true + noise)[:, :3].astype("float32"), "mask": np.ones((2, 4), "float32")}
    inputs = {name: tf.constant(value) for name, value in observed.items()} | {"features": tf.zeros((2, 4, 2))}
    given = {**inputs, "velocities": tf.constant(np.broadcast_to(velocity, (2, 3, 4, 2)), "float32")}
    without, with_given = (
        np.abs(rollout.head.mean(rollout(each))[:, 0] - true[:, 3]).mean() for each in (inputs, given)
    )
    assert with_given < 0.6 * without


@pytest.mark.slow
def test_teacher_forcing_uses_the_velocities_of_the_observed_frames_only():
    rollout, inputs = verlet_rollout(), with_velocities(example(num_steps=5))
    inputs["velocities"] = inputs["velocities"][:, :3]
    rollout.training_steps = 0
    forced = rollout(inputs, training=True)
    frames = tf.unstack(inputs["positions"], axis=1)
    state, expected = rollout.get_initial_state(frames[0]), []
    for index, frame in enumerate(frames):
        state = rollout.observe(frame, True, state)
        moving = {"observed_velocities": inputs["velocities"][:, min(index, 2)], "is_observed": index < 3}
        parameters, state = rollout.step(frame, inputs["features"], inputs["mask"], state, **moving)
        expected.append(parameters)
    np.testing.assert_allclose(forced, tf.stack(expected[-3:], axis=1), rtol=1e-4, atol=1e-5)


def test_bonds_reach_the_cell_and_the_head():
    rollout, inputs = verlet_rollout(), example()
    seen = []
    call = rollout.head.call
    rollout.head.call = lambda outputs, given, state: seen.append(given["edges"]) or call(outputs, given, state)
    edges = np.random.default_rng(0).integers(0, 3, (2, 5, 5)).astype("int32")
    rollout.step(
        inputs["positions"][:, 0],
        inputs["features"],
        inputs["mask"],
        rollout.get_initial_state(inputs["positions"][:, 0]),
        edges=edges,
    )
    np.testing.assert_array_equal(seen[0], edges)
    assert seen[0].dtype == "int32"


class AnchoredHead(VelocityHead):
    """Predicts that a particle goes to its anchor."""

    def call(self, outputs, inputs, state):
        return tf.concat([inputs["anchors"], inputs["features"]], axis=-1), state


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 1, 2])
def test_cell_and_head_get_anchors_apart_from_the_other_features(start):
    inputs = example()
    generator = np.random.default_rng(3)
    anchors = tf.constant(generator.normal(size=(2, 5, 2)), "float32")
    features = inputs["features"]
    with_anchors = {**inputs, "features": tf.concat([features[..., :start], anchors, features[..., start:]], axis=-1)}
    plain = make_rollout()
    rollout = Rollout(plain.cell, plain.head, 3, anchor_start=start)
    np.testing.assert_array_equal(rollout(with_anchors), plain(inputs))
    assert Rollout.from_config(rollout.get_config()).anchor_start == start
    rollout = Rollout(plain.cell, AnchoredHead(), 1, anchor_start=start)
    found = rollout(with_anchors)[:, 0]
    np.testing.assert_array_equal(found, tf.concat([anchors, features], axis=-1))
