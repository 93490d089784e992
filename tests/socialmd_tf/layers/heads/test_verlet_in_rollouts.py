import itertools

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import KinematicHead, VerletHead
from socialmd_tf.layers.forces import SumOfTerms
from tests.socialmd_tf.layers import periodic
from tests.socialmd_tf.layers.heads.verlet_systems import (
    FLOOR,
    SCALE,
    WIDTH,
    attracting,
    circling,
    draw,
    free,
    integrate,
    make,
    observed_states,
    slow_motion,
    system,
)


def test_two_frames_give_the_velocity_of_free_particles_exactly():
    inputs, velocities = system()
    frames = [inputs["positions"] + k * velocities for k in range(4)]
    states = observed_states(free(), frames, inputs)
    assert not np.any(states[0][-1])
    for state in states[1:]:
        np.testing.assert_array_equal(state[-1], velocities)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_two_frames_give_the_velocity_under_a_constant_acceleration(num_dimensions):
    # x + v + a / 2 is what comes, and x + a / 2 what is predicted: the error is v.
    head = free(num_dimensions=num_dimensions)
    head.substeps = 1
    inputs, velocities = system(num_dimensions)
    acceleration = draw(2, 5, num_dimensions, seed=5)
    head.force.on = lambda pairs, positions, charges: acceleration
    frames = [inputs["positions"] + k * velocities + k**2 / 2 * acceleration for k in range(3)]
    for k, state in enumerate(observed_states(head, frames, inputs)):
        expected = velocities + k * acceleration if k else np.zeros_like(velocities)
        np.testing.assert_allclose(state[-1], expected, atol=1e-5)


@pytest.mark.slow
def test_every_observed_frame_makes_the_velocity_better_where_forces_change():
    # Each leaves about omega^2 / 3 of the error, with omega the angle of the orbit that a frame covers.
    head = attracting(substeps=16)
    inputs, velocities = circling()
    motion = [(inputs["positions"], velocities)]
    for _ in range(4):
        motion.append(integrate(head, {**inputs, "positions": motion[-1][0]}, motion[-1][1]))
    states = observed_states(head, [x for x, _ in motion], inputs)
    errors = [np.abs(state[-1] - v).max() for state, (_, v) in zip(states, motion, strict=True)]
    assert errors[0] == 0.5
    assert all(later < 0.5 * earlier for earlier, later in itertools.pairwise(errors)), errors


def test_positions_taken_for_observed_move_the_velocity_by_what_they_are_off():
    head = make()
    inputs, velocities = system()
    state = (*head.get_initial_state(inputs["positions"])[:3], inputs["positions"], velocities)
    _, state = head(draw(2, 5, WIDTH), inputs, state)
    noise = draw(2, 5, 2, seed=6)
    *covariances, predicted, moved = head.observe(state, state[3] + noise)
    assert not any(np.any(covariance) for covariance in covariances)
    np.testing.assert_allclose(predicted, state[3] + noise)
    np.testing.assert_allclose(moved - state[4], noise, atol=1e-6)


@pytest.mark.slow_cases(all_but=["1"])
@pytest.mark.parametrize("num_components", [1, 3])
def test_feeding_back_the_mean_is_one_long_integration(num_components):
    head = make(num_components=num_components)
    inputs, velocities = system()
    state = (*head.get_initial_state(inputs["positions"])[:3], inputs["positions"], velocities)
    x = inputs["positions"]
    for _ in range(3):
        parameters, state = head(draw(2, 5, WIDTH), {**inputs, "positions": x}, state)
        x = head.layout.mean(parameters)
        np.testing.assert_allclose(x, state[3], atol=1e-5)
    expected = slow_motion(head, inputs, velocities, 4, num_frames=3)
    np.testing.assert_allclose(x, expected[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(state[4], expected[1], rtol=1e-3, atol=1e-3)


def test_the_correction_is_added_to_position_and_velocity():
    head = make()
    inputs, velocities = system()
    state = (*head.get_initial_state(inputs["positions"])[:3], inputs["positions"], velocities)
    outputs = draw(2, 5, WIDTH)
    before = head(outputs, inputs, state)[1]
    kernel = draw(WIDTH, 2, seed=7)
    head.acceleration.kernel.assign(kernel)
    parameters, after = head(outputs, inputs, state)
    for index in (3, 4):
        np.testing.assert_allclose(after[index] - before[index], SCALE * outputs @ kernel, atol=1e-5)
    np.testing.assert_allclose(head.layout.mean(parameters), after[3], atol=1e-6)


@pytest.mark.slow_cases(all_but=["2-3"])
@pytest.mark.parametrize("num_components", [1, 3])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_density_around_the_mean_is_the_kinematic_head_s(num_dimensions, num_components):
    head = make(num_dimensions, num_components)
    kinematic = KinematicHead(num_dimensions, num_components, FLOOR, SCALE)
    kinematic.build((None, None, WIDTH))
    for layer, own in ((kinematic.scale, head.scale), (kinematic.mixture, head.mixture)):
        layer.set_weights(own.get_weights())
    inputs, velocities = system(num_dimensions)
    inputs["velocities"] = velocities
    state, kinematic_state = (layer.get_initial_state(inputs["positions"]) for layer in (head, kinematic))
    for step in range(3):
        outputs = draw(2, 5, WIDTH, seed=step)
        parameters, state = head(outputs, inputs, state)
        expected, kinematic_state = kinematic(outputs, inputs, kinematic_state)
        for found, wanted in zip((parameters, expected), (expected, parameters), strict=True):
            for part in (0, 2):  # all but the means
                np.testing.assert_array_equal(head.layout.split(found)[part], head.layout.split(wanted)[part])
    for found, wanted in zip(state[:3], kinematic_state, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_more_steps_can_be_taken_with_the_same_weights():
    coarse, fine = make(substeps=1), make(substeps=64)
    fine.set_weights(coarse.get_weights())
    inputs, velocities = system()
    found = integrate(fine, inputs, velocities)
    for values, wanted in zip(found, slow_motion(coarse, inputs, velocities, 64), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=1e-3)


def test_turned_and_moved_systems_have_turned_and_moved_means():
    head = make()
    inputs, velocities = system()
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], "float32")
    x, v = integrate(head, inputs, velocities)
    turned = integrate(head, {**inputs, "positions": inputs["positions"] @ turn.T + 8}, velocities @ turn.T)
    np.testing.assert_allclose(turned[0], x @ turn.T + 8, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(turned[1], v @ turn.T, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("form")
def test_padding_does_nothing():
    head = make(step_fraction=0.1)
    inputs, velocities = system()
    alone = {name: values[1:, :-1] for name, values in inputs.items()}
    for with_it, without in zip(
        integrate(head, inputs, velocities), integrate(head, alone, velocities[1:, :-1]), strict=True
    ):
        np.testing.assert_allclose(with_it[1:, :-1], without, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(integrate(head, inputs, velocities)[1][1, -1], velocities[1, -1])


@pytest.mark.slow_cases(all_but=["1.0-10000.0"])
@pytest.mark.parametrize("distance", [0.0, 1e-6, 1.0, 1e4])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e6])
def test_finite_for_any_distance_and_outputs_of_any_size(distance, size, monkeypatch):
    monkeypatch.setattr("socialmd_tf.layers.heads.adaptive_steps._MAX_STEPS", 20)
    head = make(num_components=2, softening=0.02, step_fraction=0.1)
    inputs, velocities = system()
    start = tf.constant(inputs["positions"] * distance), tf.constant(velocities)
    outputs = tf.constant(size * draw(2, 5, WIDTH))
    with tf.GradientTape() as tape:
        tape.watch([outputs, *start])
        state = (*head.get_initial_state(start[0])[:3], *start)
        parameters, state = head(outputs, {**inputs, "positions": start[0]}, state)
        total = tf.reduce_sum(tf.sin(parameters)) + tf.reduce_sum(tf.sin(state[4]))
    assert np.isfinite(parameters).all() and all(np.isfinite(values).all() for values in state)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(total, [outputs, *start]))


def test_what_follows_does_not_depend_on_the_weights_of_the_mixture():
    head = make(num_components=3)
    inputs, velocities = system()
    inputs = {**inputs, "velocities": velocities}
    with tf.GradientTape() as tape:
        parameters, _ = head(draw(2, 5, WIDTH, seed=4), inputs, head.get_initial_state(inputs["positions"]))
        following = head.mean(parameters)
    np.testing.assert_allclose(following, head.layout.mean(parameters), atol=1e-6)
    gradients = tape.gradient(following, head.mixture.trainable_variables, unconnected_gradients="zero")
    assert all(not np.any(gradient) for gradient in gradients)


def test_the_motion_is_that_of_the_force_and_of_the_learned_acceleration():
    head = make(num_components=3)
    of_motion = {weight.path for layer in head.motion_layers for weight in layer.weights}
    of_spread = {weight.path for layer in (head.scale, head.mixture) for weight in layer.weights}
    assert of_motion | of_spread == {weight.path for weight in head.weights} and not of_motion & of_spread


@pytest.mark.slow_cases(all_but=["triclinic"])
@pytest.mark.parametrize("box", periodic.BOXES.values(), ids=periodic.BOXES)
def test_forces_cross_the_faces_of_a_periodic_box(box):
    """Equal steps under the forces of all images, which move with their particles.

    Moves are short, so that no pair passes the cutoff within a frame: pairs are determined once per frame.
    """
    boxes, positions, mask = periodic.system(box)
    size, count = len(box), positions.shape[1]
    head = make(size, cutoff=periodic.CUTOFF)
    head.force.acceleration_scale = 0.002
    features, velocities = draw(2, count, 2), 0.002 * draw(2, count, size, seed=2)

    def acceleration(x):
        images, *repeated = periodic.all_images(boxes, periodic.wrapped(np.asarray(x), boxes), features, mask)
        return head.force(images, *repeated)[:, :count]

    x, v, a = positions, velocities, acceleration(positions)
    for _ in range(head.substeps):
        x = x + v / head.substeps + a / (2 * head.substeps**2)
        following = acceleration(x)
        v, a = v + (a + following) / (2 * head.substeps), following
    inputs = {"positions": positions, "features": features, "mask": mask}
    free, _ = head.integrate(inputs, velocities)
    for given in (positions, periodic.other_images(positions, boxes)):
        moved, found = head.integrate({**inputs, "positions": given, "box": boxes}, velocities)
        np.testing.assert_allclose(moved - given, x - positions, rtol=1e-3, atol=3e-6)
        np.testing.assert_allclose(found, v, rtol=1e-3, atol=3e-6)
        assert np.abs(moved - given - (free - positions)).max() > 1e-4


@pytest.mark.slow
def test_steps_are_short_when_a_pair_meets_across_a_face():
    boxes = np.diag([6.0, 6.0])[None].astype("float32")
    features, velocities = draw(1, 2, 2), np.array([[[0.5, 0.0], [-0.5, 0.0]]], "float32")
    head = attracting(softening=0.2, cutoff=3.0, step_fraction=0.05, substeps=1)
    inside = np.array([[[3.0, 1.0], [3.5, 1.1]]], "float32")
    across = np.array([[[5.9, 1.0], [0.4, 1.1]]], "float32")
    known = {"features": features, "mask": None, "box": boxes}
    (x, v), (y, w) = (head.integrate({**known, "positions": given}, velocities) for given in (inside, across))
    np.testing.assert_allclose(v, w, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(x - inside, y - across, rtol=1e-3, atol=1e-4)


def test_an_observed_velocity_replaces_the_estimate():
    head = make()
    state = head.observe(head.get_initial_state(draw(1, 3, 2)), draw(1, 3, 2, seed=2))
    velocities = draw(1, 3, 2, seed=3)
    *others, found = head.observe_velocities(state, velocities)
    np.testing.assert_array_equal(found, velocities)
    for one, other in zip(others, state[:-1], strict=True):
        np.testing.assert_array_equal(one, other)


def damped_oscillator(substeps):
    """A head under which particles are pulled to the origin with friction: x'' = -STIFFNESS x - GAMMA x'."""
    factor = {"powers": (), "indicates": ()}
    terms = {
        "pairs": (),
        "num_bond_types": 0,
        "fields": (factor,),
        "frictions": (factor,),
        **{"num_knots": 4, "nearest": 1.0, "farthest": 2.0, "core": 1.0, "cutoff": 0.0, "limit": 0.0},
    }
    head = VerletHead(2, 1, FLOOR, SCALE, SumOfTerms(terms, 2, SCALE, name="force"), substeps, 0.1, is_corrected=False)
    head.build((None, None, WIDTH), {"positions": (None, None, 2), "features": (None, None, 2)})
    coefficients = np.zeros(head.force.field.coefficients.shape)
    for axis in range(2):
        coefficients[0, axis, head.force.field.exponents.index((1 - axis, axis))] = -STIFFNESS / SCALE
    head.force.field.coefficients.assign(coefficients)
    head.force.friction.gamma.assign([GAMMA])
    return head


STIFFNESS, GAMMA = 2.0, 0.8


@pytest.mark.slow
@pytest.mark.usefixtures("form")
def test_friction_is_integrated_to_second_order():
    inputs, velocities = system()
    decay, frequency = np.exp(-GAMMA / 2), np.sqrt(STIFFNESS - GAMMA**2 / 4)
    x, v = inputs["positions"].astype("float64"), velocities.astype("float64")
    sine, cosine = np.sin(frequency), np.cos(frequency)
    expected = (
        decay * (x * cosine + (v + GAMMA / 2 * x) / frequency * sine),
        decay * (v * cosine - (GAMMA / 2 * v + STIFFNESS * x) / frequency * sine),
    )
    errors = []
    real = inputs["mask"] > 0
    for substeps in (4, 8):
        found = integrate(damped_oscillator(substeps), inputs, velocities)
        errors.append([np.abs(values - wanted)[real].max() for values, wanted in zip(found, expected, strict=True)])
    ratios = np.array(errors[0]) / np.array(errors[1])
    assert ((ratios > 3.3) & (ratios < 4.8)).all(), (errors, ratios)
    assert np.min(errors) > 1e-5  # above the rounding
