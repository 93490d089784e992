"""Heads and systems that the tests of the Verlet head share."""

import numpy as np

from pipelines.nbody.verlet import velocity_verlet
from socialmd_tf.layers import PairForce, VerletHead
from tests import references

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


def circling():
    """Inputs and velocities of two particles that circle around each other."""
    positions = np.array([[[0.25, 0.0], [-0.25, 0.0]]], "float32")
    velocities = np.array([[[0.0, 0.5], [0.0, -0.5]]], "float32")
    return {"positions": positions, "features": np.ones((1, 2, 2), "float32"), "mask": np.ones((1, 2))}, velocities


def energy(inputs, x, v):
    """Energy of two particles of mass 1 with U = -SCALE / sqrt(r^2 + SOFTENING^2)."""
    distance = x[0, 0] - x[0, 1]
    return (v**2).sum() / 2 - SCALE / np.sqrt(distance @ distance + SOFTENING**2)


def observed_states(head, frames, inputs):
    """States with which the head reads observed frames `[T, B, N, D]`."""
    state, states = head.get_initial_state(frames[0]), []
    for frame in frames:
        state = head.observe(state, frame)
        states.append(state)
        outputs = np.zeros((*frame.shape[:2], WIDTH), "float32")
        state = head(outputs, {**inputs, "positions": frame}, state)[1]
    return states
