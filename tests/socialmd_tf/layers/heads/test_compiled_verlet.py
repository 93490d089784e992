"""The Verlet head compiled by XLA: values and gradients are those without XLA."""

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import VerletHead
from socialmd_tf.layers.heads import adaptive_steps
from socialmd_tf.layers.static_shapes import static_shapes
from tests.socialmd_tf.fitting.systems import trajectories
from tests.socialmd_tf.layers.forces.test_sum_of_terms import inputs_of, layer_of, random_law
from tests.socialmd_tf.layers.heads.verlet_systems import FLOOR, SCALE, WIDTH, draw, make, system


def between_walls():
    inputs, velocities = system()
    inputs["positions"] = np.clip(inputs["positions"], -1.4, 1.4)
    return make(walls=1.5, step_fraction=0.2), inputs, velocities


def under_a_law(**options):
    """Pairs, bonds, friction and, without a box, a field and a limit."""
    data = trajectories(2, **options)
    force = layer_of(random_law(data, limit=np.inf if options else 2.0), 2)
    for weight in force.trainable_variables:
        weight.assign(0.1 * weight)  # the motion is not to be chaotic
    inputs = inputs_of(data, data.positions[:, 0])
    head = VerletHead(2, 1, FLOOR, SCALE, force, 3, 0.2, is_corrected=True)
    head.build((2, 5, WIDTH), {name: values.shape for name, values in inputs.items()})
    return head, inputs, (data.positions[:, 1] - data.positions[:, 0]).astype("float32")


CASES = {
    "walls": between_walls,
    "bonds, field and friction": under_a_law,
    "box": lambda: under_a_law(is_periodic=True),
}


def values_and_gradients(head, inputs, velocities, is_static):
    """Parameters, the new state, and gradients of what they depend on."""
    outputs = draw(len(velocities), velocities.shape[1], WIDTH)

    @tf.function(jit_compile=is_static)
    def function(positions, velocities):
        with static_shapes(is_static), tf.GradientTape() as tape:
            tape.watch([positions, velocities])
            state = (*head.get_initial_state(positions)[:4], velocities)
            parameters, state = head(outputs, {**inputs, "positions": positions}, state)
            total = tf.reduce_sum(tf.sin(head.mean(parameters))) + tf.reduce_sum(tf.sin(state[4]))
        sources = [positions, velocities, *head.trainable_variables]
        return parameters, *state, *tape.gradient(total, sources, unconnected_gradients="zero")

    return function(tf.constant(inputs["positions"]), tf.constant(velocities))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_do_not_change(case, monkeypatch):
    if case == "walls":  # the system that arrives last is then moved alone
        monkeypatch.setattr(adaptive_steps, "_CROWD", 2)
        monkeypatch.setattr(adaptive_steps, "_SHARE", 2)
    head, inputs, velocities = CASES[case]()
    expected = values_and_gradients(head, inputs, velocities, False)
    assert sum(np.abs(gradient).max() > 1e-2 for gradient in expected[6:]) > 3
    for found, wanted in zip(values_and_gradients(head, inputs, velocities, True), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-4 * max(1, np.abs(wanted).max()))


@pytest.mark.slow
def test_no_gradient_passes_to_a_force_that_is_not_trained():
    head, inputs, velocities = between_walls()
    head.force.trainable = False
    found = values_and_gradients(head, inputs, velocities, True)
    expected = values_and_gradients(head, inputs, velocities, False)
    assert not np.any(found[6]) and not np.any(found[7])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
