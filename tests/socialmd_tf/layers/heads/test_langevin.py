import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import LangevinHead, MemorylessCell, PlainLSTMCell, Rollout
from socialmd_tf.layers.pairs.radial_pulls import radial_pulls
from socialmd_tf.layers.static_shapes import static_shapes
from tests import references
from tests.socialmd_tf.layers import periodic

FLOOR, SCALE, CUTOFF, TIMES = 1e-2, 0.2, 2.5, (2.0, 5.0)


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def frame(num_dimensions=3, num_particles=5, anchors=True, seed=0):
    """Two systems, the second padded."""
    shape = (2, num_particles, num_dimensions)
    mask = np.ones(shape[:2], "float32")
    mask[1, -1] = 0
    inputs = {
        "positions": draw(*shape, seed=seed),
        "velocities": 0.2 * draw(*shape, seed=seed + 10),
        "features": draw(*shape[:2], 2, seed=20),
        "mask": mask,
    }
    return {**inputs, "anchors": draw(*shape, seed=30)} if anchors else inputs


def make(inputs, is_centered=True, width=3, is_random=True):
    """A head with weights for such inputs; random ones keep coefficients of about 1."""
    head = LangevinHead(inputs["positions"].shape[-1], FLOOR, SCALE, CUTOFF, 3, 4, TIMES, is_centered)
    head.build((None, None, width), {name: np.shape(value) for name, value in inputs.items()})
    if is_random:
        generator = np.random.default_rng(3)
        head.set_weights([generator.normal(scale=0.4, size=weight.shape) for weight in head.weights])
    return head


def moments(head, parameters):
    return np.asarray(head.layout.mean(parameters)), np.asarray(head.layout.covariance(parameters))


def orthogonal(num_dimensions):
    """A matrix that turns, and in the first dimension mirrors, columns."""
    return np.linalg.qr(draw(num_dimensions, num_dimensions, seed=9).astype(np.float64))[0]


@pytest.mark.slow_cases(all_but=["2-False-True", "3-True-False"])
@pytest.mark.parametrize(("is_centered", "anchors"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_the_definition_over_several_frames(num_dimensions, is_centered, anchors):
    inputs = frame(num_dimensions, anchors=anchors)
    head = make(inputs, is_centered)
    weights = references.weights_by_name(head)
    state = expected_state = head.get_initial_state(inputs["positions"])
    for seed in range(3):
        moved = frame(num_dimensions, anchors=anchors, seed=seed)
        outputs = draw(2, 5, 3, seed=40 + seed)
        *expected, expected_state = references.langevin_step(moved, outputs, expected_state, weights, head)
        parameters, state = head(outputs, moved, state)
        assert np.abs(expected[0] - moved["positions"]).max() > 0.1
        for values, wanted in zip(moments(head, parameters), expected, strict=True):
            np.testing.assert_allclose(values, wanted, rtol=2e-4, atol=2e-5)
        for values, wanted in zip(state, expected_state, strict=True):
            np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-6)


def test_particles_without_features_see_each_other():
    inputs = frame(anchors=False)
    inputs["features"] = inputs["features"][..., :0]
    head = make(inputs)
    state, weights = head.get_initial_state(inputs["positions"]), references.weights_by_name(head)
    *expected, _ = references.langevin_step(inputs, draw(2, 5, 3), state, weights, head)
    for values, wanted in zip(moments(head, head(draw(2, 5, 3), inputs, state)[0]), expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=2e-4, atol=2e-5)
    assert all(0 not in weight.shape for weight in head.weights)


@pytest.mark.parametrize("anchors", [True, False])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_density_turns_with_the_system(num_dimensions, anchors):
    turn = orthogonal(num_dimensions)
    inputs = frame(num_dimensions, anchors=anchors)
    vectors = ("positions", "velocities", "anchors")
    turned = {name: (value @ turn).astype("float32") if name in vectors else value for name, value in inputs.items()}
    head, outputs = make(inputs), draw(2, 5, 3)
    state = draw(2, 5, num_dimensions), draw(2, 5, 2, num_dimensions), np.full((2, 5, 1), 3.0, "float32")
    turned_state = *((value @ turn).astype("float32") for value in state[:2]), state[2]
    mean, covariance = moments(head, head(outputs, inputs, state)[0])
    found, found_covariance = moments(head, head(outputs, turned, turned_state)[0])
    assert np.abs(mean - inputs["positions"]).max() > 0.1 and np.abs(mean - found).max() > 0.1
    np.testing.assert_allclose(found, mean @ turn, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found_covariance, turn.T @ covariance @ turn, rtol=1e-3, atol=1e-5)


def test_without_a_centre_it_does_not_matter_where_the_system_is():
    inputs, shift = frame(), np.array([3.0, -2.0, 1.0], "float32")
    head, outputs, state = make(inputs, is_centered=False), draw(2, 5, 3), (draw(2, 5, 3), draw(2, 5, 2, 3))
    age = np.full((2, 5, 1), 3.0, "float32")
    here, covariance = moments(head, head(outputs, inputs, (*state, age))[0])
    moved = {**inputs, "positions": inputs["positions"] + shift, "anchors": inputs["anchors"] + shift}
    there, same_covariance = moments(head, head(outputs, moved, (state[0], state[1] + shift, age))[0])
    np.testing.assert_allclose(there - shift, here, atol=1e-4)
    np.testing.assert_allclose(same_covariance, covariance, rtol=1e-5, atol=1e-9)


def test_new_weights_are_a_random_walk():
    inputs = frame()
    head = make(inputs, is_random=False)
    mean, covariance = moments(head, head(draw(2, 5, 3), inputs, head.get_initial_state(inputs["positions"]))[0])
    np.testing.assert_allclose(mean, inputs["positions"], atol=1e-6)
    variance = (SCALE * np.log(1 + np.e)) ** 2 + FLOOR**2
    np.testing.assert_allclose(
        covariance, np.broadcast_to(variance * np.eye(3), covariance.shape), rtol=1e-4, atol=1e-7
    )


def test_averages_are_means_until_their_time_constant_and_then_forget():
    inputs = frame(2)
    head, state, path = make(inputs), head_state(inputs), []
    for step in range(6):
        path.append(np.full((2, 5, 2), float(step**2), "float32"))
        _, state = head(draw(2, 5, 3), {**inputs, "positions": path[-1]}, state)
        assert np.all(np.asarray(state[2]) == step + 1)
    # 0, 1, 4, 9, 16, 25: the mean of the first two, then half of the newest; the mean of five, then a fifth.
    fast = 0.5 * 25 + 0.25 * 16 + 0.125 * 9 + 0.0625 * 4 + 0.0625 * 0.5
    np.testing.assert_allclose(state[1][..., 0, :], fast, rtol=1e-6)
    np.testing.assert_allclose(state[1][..., 1, :], 6.0 + (25 - 6.0) / 5, rtol=1e-6)


def head_state(inputs):
    return make(inputs).get_initial_state(inputs["positions"])


@pytest.mark.slow
def test_observed_and_drawn_frames_are_remembered_alike():
    """A path that was drawn once and then observed leads to the same state and density."""
    inputs = frame()
    rollout = Rollout(MemorylessCell(), make(inputs, width=0), 2, anchor_start=2)
    features = np.concatenate([inputs["features"], inputs["anchors"]], axis=-1)
    rest = {"features": features, "mask": inputs["mask"]}
    frames = draw(2, 3, 5, 3, seed=5) * inputs["mask"][:, None, :, None]
    noise = draw(4, 2, 5, 3, seed=6) * SCALE
    found, drawn = rollout.run(
        {"positions": frames, **rest}, 3, lambda parameters, step: rollout.head.mean(parameters) + noise[int(step)]
    )
    path = np.concatenate([frames, drawn[:, :2]], axis=1)
    np.testing.assert_allclose(rollout.run({"positions": path, **rest}, 1)[0][:, 0], found[:, 2], rtol=1e-4, atol=1e-5)


@pytest.mark.slow_cases(all_but=["2D"])
@pytest.mark.parametrize("box", [periodic.BOXES["slab"], periodic.BOXES["triclinic"]], ids=["2D", "3D"])
def test_in_a_box_any_image_of_an_anchor_will_do(box):
    boxes, positions, mask = periodic.system(box)
    inputs = {**frame(len(box), positions.shape[1]), "positions": positions, "mask": mask, "box": boxes}
    head = make(inputs, is_centered=False)
    outputs, state = draw(2, 7, 3), head.get_initial_state(positions)
    elsewhere = {**inputs, "anchors": periodic.other_images(inputs["anchors"], boxes)}
    found, expected = (head(outputs, values, state)[0] for values in (elsewhere, inputs))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    open_system = {name: value for name, value in inputs.items() if name != "box"}
    assert np.abs(head(outputs, open_system, state)[0] - expected).max() > 1e-3


def test_particles_at_the_centre_and_at_rest_have_finite_densities_and_gradients():
    inputs = {name: np.zeros_like(value) if name != "mask" else value for name, value in frame().items()}
    head = make(inputs)
    with tf.GradientTape() as tape:
        parameters, _ = head(draw(2, 5, 3), inputs, head.get_initial_state(inputs["positions"]))
        total = tf.reduce_sum(parameters)
    assert np.isfinite(total)
    assert all(np.all(np.isfinite(gradient)) for gradient in tape.gradient(total, head.trainable_variables))


@pytest.mark.slow
def test_xla_compiles_it_and_its_gradient():
    inputs = frame()
    rollout = Rollout(MemorylessCell(), make(inputs, width=0), 2, anchor_start=2)
    features = np.concatenate([inputs["features"], inputs["anchors"]], axis=-1)
    arguments = {"features": features, "mask": inputs["mask"], "positions": draw(2, 4, 5, 3, seed=5)}
    rollout.training_steps = 0

    def gradients():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.sin(rollout(arguments, training=True)))
        return total, tape.gradient(total, rollout.trainable_variables)

    expected = gradients()
    with static_shapes():
        found = tf.function(gradients, jit_compile=True, autograph=False)()
    for values, wanted in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [MemorylessCell(), PlainLSTMCell((4,), (3,), (3,), 0.0)], ids=["none", "plain"])
@pytest.mark.parametrize("extras", [(), ("box", "velocities")], ids=["open", "box"])
def test_true_frames_are_predicted_at_once_as_one_after_the_other(cell, extras):
    """Teacher forcing: densities, and gradients of all weights, are those of `run`, the definition."""
    inputs = frame()
    inputs = {**inputs, "features": np.concatenate([inputs["features"], inputs["anchors"]], axis=-1)}
    extra = {"box": np.tile(6 * np.eye(3, dtype="float32"), (2, 1, 1)), "velocities": 0.3 * draw(2, 4, 5, 3, seed=8)}
    arguments = {
        "features": inputs["features"],
        "mask": inputs["mask"],
        "positions": draw(2, 8, 5, 3, seed=5) * inputs["mask"][:, None, :, None],
        **{name: extra[name] for name in extras},
    }
    rollout = Rollout(cell, LangevinHead(3, FLOOR, SCALE, CUTOFF, 3, 4, TIMES, True), 4, anchor_start=2)
    rollout.build({name: np.shape(value) for name, value in arguments.items()})
    generator = np.random.default_rng(3)
    rollout.set_weights([generator.normal(scale=0.4, size=weight.shape) for weight in rollout.weights])
    rollout.validation_steps = 0

    def densities_and_gradients(predict):
        with tf.GradientTape() as tape:
            parameters = predict(arguments)
            total = tf.reduce_sum(tf.sin(parameters))
        return parameters, tape.gradient(total, rollout.trainable_variables)

    expected = densities_and_gradients(lambda inputs: rollout.run(inputs, 1, num_kept=4)[0])
    found = densities_and_gradients(rollout)
    assert found[0].shape == (2, 4, 5, rollout.head.layout.size)
    for values, wanted in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=2e-4)


@pytest.mark.slow
def test_the_neighbours_of_many_particles_are_found_frame_by_frame(monkeypatch):
    """At once, their number would be that of all frames together."""
    inputs = frame(anchors=False)
    rollout = Rollout(MemorylessCell(), make(inputs, width=0), 2)
    rollout.validation_steps = 0
    arguments = {**inputs, "positions": draw(2, 4, 5, 3, seed=5)}
    del arguments["velocities"]
    largest = []
    monkeypatch.setattr(
        "socialmd_tf.layers.heads.langevin.radial_pulls",
        lambda positions, *rest: largest.append(len(positions)) or radial_pulls(positions, *rest),
    )
    together = rollout(arguments)
    monkeypatch.setattr("socialmd_tf.layers.pairs.few_or_many.LIMIT", 4)
    np.testing.assert_allclose(rollout(arguments), together, rtol=1e-4, atol=1e-5)
    assert largest[0] == 2 * 2 and set(largest[1:]) == {2}
