import numpy as np
import pytest
import tensorflow as tf

from pipelines.nbody.box_integrator import reflect
from tests import references
from tests.socialmd_tf.layers.heads.verlet_systems import (
    SOFTENING,
    attracting,
    circling,
    draw,
    energy,
    free,
    integrate,
    make,
    passing,
    slow_motion,
    steps_taken,
    system,
)


@pytest.mark.slow_cases("*-3")
@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_frame_is_velocity_verlet_under_the_pair_force(num_dimensions):
    head = make(num_dimensions)
    inputs, velocities = system(num_dimensions)
    found = integrate(head, inputs, velocities)
    expected = slow_motion(head, inputs, velocities, 4)
    assert np.abs(expected[1] - velocities).max() > 0.1  # there are forces
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.slow_cases("2")
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.usefixtures("form")
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


@pytest.mark.slow
def test_an_encounter_is_resolved_and_costs_nothing_where_there_is_none():
    inputs, velocities = passing(0.05)
    exact = slow_motion(attracting(softening=0.01), inputs, velocities, 20_000)
    *coarse, few = steps_taken(attracting(softening=0.01), inputs, velocities)
    *fine, more = steps_taken(attracting(softening=0.01, step_fraction=0.03), inputs, velocities)
    errors = [np.abs(found[0] - exact[0]).max() for found in (coarse, fine)]
    assert errors[1] < 0.01 < 0.1 < errors[0], errors
    assert few == 4 < more < 1000
    assert steps_taken(attracting(softening=0.01, step_fraction=0.03), *passing(18.0))[2] == 4


@pytest.mark.slow
def test_a_frame_ends_however_close_two_particles_are(monkeypatch):
    monkeypatch.setattr("socialmd_tf.layers.heads.adaptive_steps._MAX_STEPS", 50)
    head = free(softening=1e-6, step_fraction=1e-3)
    inputs, velocities = passing(0.0)
    x, v, count = steps_taken(head, {**inputs, "positions": inputs["positions"] * 1e-3}, velocities)
    assert count == 50
    np.testing.assert_allclose(x, inputs["positions"] * 1e-3 + velocities, rtol=1e-5)
    np.testing.assert_array_equal(v, velocities)


@pytest.mark.slow_cases("static shapes")
@pytest.mark.usefixtures("form")
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


@pytest.mark.slow_cases("static shapes")
@pytest.mark.usefixtures("form")
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


@pytest.mark.slow
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


@pytest.mark.slow
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
