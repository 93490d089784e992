import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pipelines.nbody.adaptive import flow
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import couplings, forces, kinetic_energy, potential_energy
from pipelines.nbody.initial_conditions import draw, generator
from pipelines.nbody.two_frames import continue_from

CONSTANTS = {"coulomb_constant": 300.0, "gravitational_constant": 20.0}
INTERVAL = 2e-3


def draw_systems(num_systems=3, num_particles=5, num_dimensions=2):
    config = SimulationConfig(num_particles=num_particles, num_dimensions=num_dimensions, radius=1.5)
    return [draw(generator(2, "train", index, 0), config) for index in range(num_systems)]


def true_frames(system, num_frames):
    """SciPy's positions `[num_frames, N, D]` and velocities, `INTERVAL` apart."""
    shape = system.positions.shape

    def derivative(_, state):
        positions, velocities = state.reshape(2, *shape)
        accelerations = forces(positions, system.masses, system.charges, **CONSTANTS) / system.masses[:, None]
        return np.concatenate([velocities.ravel(), accelerations.ravel()])

    state = np.concatenate([system.positions.ravel(), system.velocities.ravel()])
    times = INTERVAL * np.arange(num_frames)
    solution = solve_ivp(derivative, times[[0, -1]], state, "DOP853", times, rtol=1e-11, atol=1e-12)
    return solution.y.T.reshape(num_frames, 2, *shape).swapaxes(0, 1)


def stacked(systems, name):
    return np.stack([getattr(system, name) for system in systems])


@pytest.mark.slow_cases("2")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_the_flow_is_scipys(num_dimensions):
    systems = draw_systems(num_dimensions=num_dimensions)
    strengths = [couplings(system.masses, system.charges, **CONSTANTS) for system in systems]
    positions, velocities = flow(
        stacked(systems, "positions").T,
        stacked(systems, "velocities").T,
        stacked(systems, "masses").T,
        np.stack(strengths, axis=-1),
        5 * INTERVAL,
    )
    for index, system in enumerate(systems):
        true_positions, true_velocities = (each[-1] for each in true_frames(system, 6))
        np.testing.assert_allclose(positions[:, :, index].T, true_positions, atol=1e-5)
        np.testing.assert_allclose(velocities[:, :, index].T, true_velocities, atol=1e-2)


@pytest.mark.slow
def test_a_close_encounter_keeps_its_energy():
    """Two particles that attract each other fall past each other at a hundredth of their first distance."""
    positions = np.array([[0.0, 0.0], [0.5, 0.05]])
    velocities = np.array([[0.0, 0.0], [-30.0, 0.0]])
    masses, charges = np.array([4.0, 1.0]), np.array([1.0, -1.0])
    g = couplings(masses, charges, **CONSTANTS)
    nearest = np.inf
    state = positions.T[..., None], velocities.T[..., None]
    for _ in range(400):
        state = flow(*state, masses[:, None], g[..., None], 1e-4)
        nearest = min(nearest, np.linalg.norm(np.diff(state[0][..., 0])))

    def energy(positions, velocities):
        return kinetic_energy(velocities, masses) + potential_energy(positions, masses, charges, **CONSTANTS)

    after = energy(*(each[..., 0].T for each in state))
    assert nearest < 0.01
    assert after == pytest.approx(energy(positions, velocities), abs=1e-3 * kinetic_energy(velocities, masses))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_two_frames_tell_the_motion(num_dimensions):
    systems = draw_systems(num_dimensions=num_dimensions)
    frames = np.stack([true_frames(system, 7)[0] for system in systems])
    predicted = continue_from(
        frames[:, :2],
        stacked(systems, "masses"),
        stacked(systems, "charges"),
        np.ones((3, 5), bool),
        CONSTANTS,
        interval=INTERVAL,
        num_frames=5,
    )
    assert predicted.shape == (3, 5, 5, num_dimensions)
    np.testing.assert_allclose(predicted, frames[:, 2:], atol=1e-4)
    straight = frames[:, 1:2] + np.arange(1, 6)[:, None, None] * np.diff(frames[:, :2], axis=1)
    assert np.abs(straight - frames[:, 2:]).max() > 1e-2


@pytest.mark.slow
def test_a_velocity_replaces_the_frame_before():
    (system,) = draw_systems(1)
    frames, velocities = (np.pad(values, [(0, 0), (0, 1), (0, 0)])[None] for values in true_frames(system, 5))
    predicted = continue_from(
        np.stack([0 * frames[:, 1], frames[:, 1]], axis=1),
        np.pad(system.masses, (0, 1))[None],
        np.pad(system.charges, (0, 1))[None],
        np.arange(6)[None] < 5,
        CONSTANTS,
        interval=INTERVAL,
        num_frames=3,
        velocities=velocities[:, 1],
    )
    np.testing.assert_allclose(predicted, frames[:, 2:], atol=1e-4)


@pytest.mark.slow
def test_padding_changes_nothing_and_stays_where_it_is():
    (system,) = draw_systems(1)
    frames = true_frames(system, 2)[0][None]

    def predict(num_padding):
        return continue_from(
            np.pad(frames, ((0, 0), (0, 0), (0, num_padding), (0, 0))),
            np.pad(system.masses, (0, num_padding))[None],
            np.pad(system.charges, (0, num_padding))[None],
            np.arange(5 + num_padding)[None] < 5,
            CONSTANTS,
            interval=INTERVAL,
            num_frames=3,
        )

    padded = predict(2)
    np.testing.assert_allclose(padded[:, :, :5], predict(0), atol=1e-9)
    assert not padded[:, :, 5:].any()


def test_particles_in_one_place_stay_there():
    """Their forces are infinite; nothing but a finite prediction is of use."""
    predicted = continue_from(
        np.zeros((1, 2, 2, 2)),
        np.ones((1, 2)),
        np.ones((1, 2)),
        np.ones((1, 2), bool),
        CONSTANTS,
        interval=INTERVAL,
        num_frames=2,
    )
    assert predicted.tolist() == np.zeros((1, 2, 2, 2)).tolist()
