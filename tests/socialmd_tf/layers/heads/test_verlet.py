import itertools

import numpy as np
import pytest
import tensorflow as tf

from pipelines.nbody.box_integrator import reflect
from pipelines.nbody.verlet import velocity_verlet
from socialmd_tf.layers import KinematicHead, PairForce, VerletHead
from socialmd_tf.layers.forces import SumOfTerms
from tests import references
from tests.socialmd_tf.layers import periodic

FLOOR, SCALE, SOFTENING, WIDTH = 1e-3, 0.2, 0.3, 4


def make(num_dimensions=2, num_components=1, seed=0, **options):
    """A head with random weights, but for its correction, which is zero, and steps of a quarter of a frame."""
    force = PairForce(3, options.pop("softening", SOFTENING), options.pop("cutoff", 20.0), SCALE, name="force")
    defaults = {"substeps": 4, "step_fraction": 1e9, "is_corrected": True}
    head = VerletHead(num_dimensions, num_components, FLOOR, SCALE, force, **{**defaults, **options})
    shape = (None, None, num_dimensions)
    head.build((None, None, WIDTH), {"positions": shape, "features": (None, None, 2)})
    generator = np.random.default_rng(seed)
    head.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in head.weights])
    head.acceleration.kernel.assign(np.zeros(head.acceleration.kernel.shape))
    return head


def attracting(**options):
    """A head under which all particles of features 1 attract each other by one inverse-square force."""
    head = make(**options)
    for layers, last in ((head.force.responses, 1.0), (head.force.sources, 1.0)):
        layers[-1].kernel.assign(np.zeros(layers[-1].kernel.shape))
        layers[-1].bias.assign([last, 0.0, 0.0])
    head.force.range.kernel.assign(np.zeros(head.force.range.kernel.shape))
    head.force.range.bias.assign(np.ones(3))
    return head


def free(**options):
    """A head without forces."""
    head = make(**options)
    head.force.responses[-1].kernel.assign(np.zeros(head.force.responses[-1].kernel.shape))
    head.force.responses[-1].bias.assign(np.zeros(3))
    return head


def draw(*shape, seed=1):
    """Multiples of 1 / 256."""
    return (np.round(np.random.default_rng(seed).normal(size=shape) * 256) / 256).astype("float32")


def system(num_dimensions=2, num_particles=5):
    """Inputs of two systems, the second padded, and velocities."""
    mask = np.ones((2, num_particles), "float32")
    mask[1, -1] = 0
    positions = draw(2, num_particles, num_dimensions) * mask[..., None]
    return {"positions": positions, "features": draw(2, num_particles, 2, seed=2), "mask": mask}, draw(
        2, num_particles, num_dimensions, seed=3
    )


def integrate(head, inputs, velocities):
    moved = head.integrate(inputs, velocities)
    return [np.asarray(values) for values in moved]


def slow_motion(head, inputs, velocities, substeps, num_frames=1):
    """Positions and velocities after some frames, by the reference integrator and the reference force."""
    weights = references.weights_by_name(head)
    force = head.force.softening, head.force.cutoff, head.force.acceleration_scale

    def acceleration(system):
        features, mask = (inputs[name][system : system + 1] for name in ("features", "mask"))
        return lambda x: references.pair_force(x[None], features, mask, weights, *force)[0]

    moved = [
        velocity_verlet(x.astype("float64"), v.astype("float64"), acceleration(k), 1 / substeps, substeps * num_frames)
        for k, (x, v) in enumerate(zip(inputs["positions"], velocities, strict=True))
    ]
    return [np.stack(values) for values in zip(*moved, strict=True)]


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_frame_is_velocity_verlet_under_the_pair_force(num_dimensions):
    head = make(num_dimensions)
    inputs, velocities = system(num_dimensions)
    found = integrate(head, inputs, velocities)
    expected = slow_motion(head, inputs, velocities, 4)
    assert np.abs(expected[1] - velocities).max() > 0.1  # there are forces
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-4)


def passing(distance):
    """Two particles that meet at some distance in the middle of the frame, and pull at each other."""
    positions = np.array([[[-0.5, 0.0], [0.5, distance]]], "float32")
    velocities = np.array([[[1.0, 0.0], [-1.0, 0.0]]], "float32")
    return {"positions": positions, "features": np.ones((1, 2, 2), "float32"), "mask": np.ones((1, 2))}, velocities


def steps_taken(head, inputs, velocities):
    """Positions and velocities a frame later, and how many steps they took."""
    calls, on = [], head.force.on
    head.force.on = lambda *args: calls.append(1) or on(*args)
    try:
        return [*integrate(head, inputs, velocities), len(calls) - 1]
    finally:
        head.force.on = on


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_steps_follow_the_closest_pair_as_in_a_slow_loop(num_dimensions):
    head = make(num_dimensions, step_fraction=0.2, substeps=2)
    inputs, velocities = system(num_dimensions)
    weights = references.weights_by_name(head)
    force = head.force.softening, head.force.cutoff, head.force.acceleration_scale
    counts = []
    for b in range(2):
        alone = {name: values[b : b + 1] for name, values in inputs.items()}

        def acceleration(x, alone=alone):
            return references.pair_force(x[None], alone["features"], alone["mask"], weights, *force)[0]

        real = np.flatnonzero(alone["mask"][0])
        *slow, count = references.adaptive_verlet(
            alone["positions"][0], velocities[b], acceleration, real, SOFTENING, 0.2, 2
        )
        *found, taken = steps_taken(head, alone, velocities[b : b + 1])
        assert taken == count > 4
        counts.append(count)
        for values, together, wanted in zip(found, integrate(head, inputs, velocities), slow, strict=True):
            np.testing.assert_allclose(values[0][real], wanted[real], rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(together[b], values[0], rtol=1e-4, atol=1e-4)  # not with the others' steps
    assert counts[0] != counts[1]


def test_a_batch_costs_at_most_twice_the_steps_of_its_systems():
    head = make(step_fraction=0.05, substeps=2)
    far, velocities = passing(9.0)
    near, _ = passing(0.1)
    counts = [steps_taken(head, inputs, velocities)[-1] for inputs in (far, near)]
    assert counts[1] > 4 * counts[0]
    batch = {name: np.concatenate([far[name]] * 7 + [near[name]]) for name in far}
    sizes, on = [], head.force.on
    head.force.on = lambda pairs, x, charges: sizes.append(len(x)) or on(pairs, x, charges)
    together = integrate(head, batch, np.repeat(velocities, 8, axis=0))
    assert sizes[0] == 8
    assert sizes[-1] == 1
    assert sum(sizes) <= 2 * (7 * counts[0] + counts[1])
    for row, inputs in ((0, far), (7, near)):
        for values, wanted in zip(together, integrate(head, inputs, velocities), strict=True):
            np.testing.assert_allclose(values[row], wanted[0], rtol=1e-5, atol=1e-5)


def test_gradients_of_a_batch_are_the_sums_of_those_of_its_systems():
    head = make(step_fraction=0.1, substeps=2)
    (far, velocities), (near, _), (middle, _) = (passing(distance) for distance in (9.0, 0.1, 0.5))
    systems = [{**inputs, "features": draw(1, 2, 2, seed=seed)} for seed, inputs in enumerate((far, near, middle))]
    assert len({steps_taken(head, inputs, velocities)[-1] for inputs in systems}) == 3

    @tf.function(reduce_retracing=True)
    def gradients(positions, features, velocities):
        with tf.GradientTape() as tape:
            x, v = head.integrate({"positions": positions, "features": features, "mask": None}, velocities)
            loss = tf.reduce_sum(x * x + tf.sin(v))
        return tape.gradient(loss, head.force.trainable_variables)

    def of(inputs, velocities):
        return gradients(*(tf.constant(a) for a in (inputs["positions"], inputs["features"], velocities)))

    batch = {name: np.concatenate([inputs[name] for inputs in systems]) for name in far}
    together = of(batch, np.repeat(velocities, 3, axis=0))
    alone = zip(*(of(inputs, velocities) for inputs in systems), strict=True)
    assert any(np.abs(gradient).max() > 0.1 for gradient in together)
    for found, parts in zip(together, alone, strict=True):
        np.testing.assert_allclose(found, sum(parts), rtol=1e-3, atol=1e-4)


def test_an_encounter_is_resolved_and_costs_nothing_where_there_is_none():
    inputs, velocities = passing(0.05)
    exact = slow_motion(attracting(softening=0.01), inputs, velocities, 20_000)
    *coarse, few = steps_taken(attracting(softening=0.01), inputs, velocities)
    *fine, more = steps_taken(attracting(softening=0.01, step_fraction=0.03), inputs, velocities)
    errors = [np.abs(found[0] - exact[0]).max() for found in (coarse, fine)]
    assert errors[1] < 0.01 < 0.1 < errors[0], errors
    assert few == 4 < more < 1000
    assert steps_taken(attracting(softening=0.01, step_fraction=0.03), *passing(18.0))[2] == 4


def test_a_frame_ends_however_close_two_particles_are(monkeypatch):
    monkeypatch.setattr("socialmd_tf.layers.heads.verlet._MAX_STEPS", 50)
    head = free(softening=1e-6, step_fraction=1e-3)
    inputs, velocities = passing(0.0)
    x, v, count = steps_taken(head, {**inputs, "positions": inputs["positions"] * 1e-3}, velocities)
    assert count == 50
    np.testing.assert_allclose(x, inputs["positions"] * 1e-3 + velocities, rtol=1e-5)
    np.testing.assert_array_equal(v, velocities)


def test_which_pairs_are_in_range_is_seen_at_the_frame():
    head = attracting(cutoff=1.0, substeps=2)
    inputs = {"positions": np.array([[[0, 0], [1.25, 0]]], "float32"), "features": draw(1, 2, 2), "mask": None}
    approaching = np.array([[[0.5, 0], [-0.5, 0]]], "float32")
    np.testing.assert_array_equal(integrate(head, inputs, approaching)[1], approaching)
    inputs["positions"][0, 1, 0] = 1.0
    assert np.abs(integrate(head, inputs, -approaching)[1] + approaching).max() > 0.01  # they part, and feel it


def test_time_can_be_reversed():
    head = make()
    inputs, velocities = system()
    x, v = integrate(head, inputs, velocities)
    assert np.abs(v - velocities).max() > 0.1
    x, v = integrate(head, {**inputs, "positions": x}, -v)
    np.testing.assert_allclose(x, inputs["positions"], atol=1e-5)
    np.testing.assert_allclose(-v, velocities, atol=1e-5)


def circling():
    """Inputs and velocities of two particles that circle around each other."""
    positions = np.array([[[0.25, 0.0], [-0.25, 0.0]]], "float32")
    velocities = np.array([[[0.0, 0.5], [0.0, -0.5]]], "float32")
    return {"positions": positions, "features": np.ones((1, 2, 2), "float32"), "mask": np.ones((1, 2))}, velocities


def test_walls_turn_a_free_particle_around():
    """By hand, walls at +-1: from 3/4 with velocity 1/2, one wall; from (-7/8, 7/8) with (-1/4, 1/2), two at once."""
    positions = np.array([[[0.75, 0.0], [-0.875, 0.875]]], "float32")
    inputs = {"positions": positions, "features": np.ones((1, 2, 2), "float32"), "mask": np.ones((1, 2), "float32")}
    velocities = np.array([[[0.5, 0.25], [-0.25, 0.5]]], "float32")
    moved = integrate(free(walls=1.0), inputs, velocities)
    np.testing.assert_array_equal(moved[0], [[[0.75, 0.25], [-0.875, 0.625]]])
    np.testing.assert_array_equal(moved[1], [[[-0.5, 0.25], [0.25, -0.5]]])


def test_between_walls_motion_is_that_of_kicks_and_drifts():
    """The box's integrator, half a kick ahead: started and read half a kick off, it goes the same way."""
    inputs, velocities = system(num_particles=4)
    inputs["features"], inputs["mask"] = np.ones_like(inputs["features"]), np.ones_like(inputs["mask"])
    head, substeps, half_width = attracting(substeps=16, walls=1.5), 16, 1.5
    inputs["positions"] = np.clip(inputs["positions"], -1.4, 1.4)

    def force(x):
        return np.asarray(head.force(x[None].astype("float32"), inputs["features"][:1]))[0].astype("float64")

    x, v = inputs["positions"][0].astype("float64"), velocities[0].astype("float64")
    v = v - force(x) / (2 * substeps)
    hits = 0
    for _ in range(substeps):
        v = v + force(x) / substeps
        hits += np.sum(np.abs(x + v / substeps) > half_width)
        x, v = reflect(x + v / substeps, v, half_width)
    assert hits > 0
    moved = integrate(head, inputs, velocities)
    np.testing.assert_allclose(moved[0][0], x, atol=1e-5)
    np.testing.assert_allclose(moved[1][0], v + force(x) / (2 * substeps), atol=1e-4)


def test_walls_far_away_change_nothing():
    inputs, velocities = system()
    for moved, expected in zip(
        integrate(make(walls=1e3), inputs, velocities), integrate(make(), inputs, velocities), strict=True
    ):
        np.testing.assert_allclose(moved, expected, rtol=1e-6, atol=1e-7)


def test_the_error_is_of_second_order_in_the_step():
    inputs, velocities = circling()
    exact = slow_motion(attracting(), inputs, velocities, 512)
    errors = []
    for substeps in (2, 4, 8):
        found = integrate(attracting(substeps=substeps), inputs, velocities)
        errors.append([np.abs(values - wanted).max() for values, wanted in zip(found, exact, strict=True)])
    ratios = np.array(errors)[:-1] / np.array(errors)[1:]
    assert ((ratios > 3.3) & (ratios < 4.8)).all(), ratios
    assert np.min(errors) > 1e-4  # above the rounding


def energy(inputs, x, v):
    """Energy of two particles of mass 1 with U = -SCALE / sqrt(r^2 + SOFTENING^2)."""
    distance = x[0, 0] - x[0, 1]
    return (v**2).sum() / 2 - SCALE / np.sqrt(distance @ distance + SOFTENING**2)


def test_energy_is_kept_over_many_frames():
    worst = []
    for substeps in (4, 8):
        head = attracting(substeps=substeps)
        inputs, v = circling()
        start, x, changes = energy(inputs, inputs["positions"], v), inputs["positions"], []
        for _ in range(20):
            x, v = integrate(head, {**inputs, "positions": x}, v)
            changes.append(abs(energy(inputs, x, v) - start))
        worst.append(max(changes))
        assert max(changes[10:]) < 1.5 * max(changes[:10])  # it swings, and does not drift
    assert worst[1] < 0.01 and 3 < worst[0] / worst[1] < 5


def test_the_center_of_mass_moves_straight_on():
    head = attracting()
    inputs, velocities = circling()
    velocities = velocities + np.float32([0.25, 0.5])
    x, v = integrate(head, inputs, velocities)
    np.testing.assert_allclose(x.mean(axis=1), [[0.25, 0.5]], atol=1e-6)
    np.testing.assert_allclose(v.mean(axis=1), [[0.25, 0.5]], atol=1e-6)


def observed_states(head, frames, inputs):
    """States with which the head reads observed frames `[T, B, N, D]`."""
    state, states = head.get_initial_state(frames[0]), []
    for frame in frames:
        state = head.observe(state, frame)
        states.append(state)
        outputs = np.zeros((*frame.shape[:2], WIDTH), "float32")
        state = head(outputs, {**inputs, "positions": frame}, state)[1]
    return states


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


def test_padding_does_nothing():
    head = make(step_fraction=0.1)
    inputs, velocities = system()
    alone = {name: values[1:, :-1] for name, values in inputs.items()}
    for with_it, without in zip(
        integrate(head, inputs, velocities), integrate(head, alone, velocities[1:, :-1]), strict=True
    ):
        np.testing.assert_allclose(with_it[1:, :-1], without, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(integrate(head, inputs, velocities)[1][1, -1], velocities[1, -1])


@pytest.mark.parametrize("distance", [0.0, 1e-6, 1.0, 1e4])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e6])
def test_finite_for_any_distance_and_outputs_of_any_size(distance, size, monkeypatch):
    monkeypatch.setattr("socialmd_tf.layers.heads.verlet._MAX_STEPS", 20)
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
