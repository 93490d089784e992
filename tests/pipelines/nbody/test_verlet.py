import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import couplings, distances, forces, kinetic_energy, potential_energy
from pipelines.nbody.initial_conditions import draw, generator
from pipelines.nbody.verlet import advance, velocity_verlet

CONSTANTS = (300.0, 20.0)


def draw_systems(num_systems=8, num_particles=6, num_dimensions=2):
    config = SimulationConfig(num_particles=num_particles, num_dimensions=num_dimensions)
    return [draw(generator(1, "train", index, 0), config) for index in range(num_systems)]


def acceleration_of(system):
    return lambda positions: forces(positions, system.masses, system.charges, *CONSTANTS) / system.masses[:, None]


def advance_systems(systems, time_step, num_steps):
    """`advance` of a list of systems: positions and velocities `[S, N, D]`, and the state."""
    positions = np.stack([system.positions.T for system in systems], axis=-1)
    velocities = np.stack([system.velocities.T for system in systems], axis=-1)
    masses = np.stack([system.masses for system in systems], axis=-1)
    g = np.stack([couplings(system.masses, system.charges, *CONSTANTS) for system in systems], axis=-1)
    state = advance(positions, velocities, masses, g, time_step, num_steps)
    return state.positions.T, state.velocities.T, state


def total_energy(positions, velocities, system):
    potential = potential_energy(positions, system.masses, system.charges, *CONSTANTS)
    return kinetic_energy(velocities, system.masses) + potential


@pytest.mark.slow_cases("3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_fast_version_is_the_reference(num_dimensions):
    systems = draw_systems(num_dimensions=num_dimensions)
    positions, velocities, _ = advance_systems(systems, 1e-6, 300)
    for index, system in enumerate(systems):
        expected = velocity_verlet(system.positions, system.velocities, acceleration_of(system), 1e-6, 300)
        np.testing.assert_allclose(positions[index], expected[0], rtol=1e-10)
        np.testing.assert_allclose(velocities[index], expected[1], rtol=1e-10)


def test_fast_version_observes_energy_and_closest_approach():
    systems = draw_systems()
    positions, velocities, state = advance_systems(systems, 1e-6, 100)
    for index, system in enumerate(systems):
        energy = total_energy(positions[index], velocities[index], system)
        assert state.energy[index] == pytest.approx(energy, rel=1e-12)
        assert state.closest_approach[index] == pytest.approx(distances(positions[index]).min(), rel=1e-12)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_both_versions_solve_newtons_equations(num_dimensions):
    system = draw_systems(num_dimensions=num_dimensions)[0]
    shape = system.positions.shape

    def derivative(_, state):
        positions, velocities = state.reshape(2, *shape)
        return np.concatenate([velocities.ravel(), acceleration_of(system)(positions).ravel()])

    start = np.concatenate([system.positions.ravel(), system.velocities.ravel()])
    exact = solve_ivp(derivative, (0, 2e-3), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    exact_positions, exact_velocities = exact.reshape(2, *shape)
    reference = velocity_verlet(system.positions, system.velocities, acceleration_of(system), 1e-6, 2000)
    positions, velocities, _ = advance_systems([system] * 8, 1e-6, 2000)
    assert np.abs(exact_positions - system.positions).max() > 0.01  # they have moved
    for found_positions, found_velocities in (reference, (positions[0], velocities[0])):
        np.testing.assert_allclose(found_positions, exact_positions, atol=1e-8)
        np.testing.assert_allclose(found_velocities, exact_velocities, atol=1e-5)


def circular_orbit():
    """Masses 1 and 3 attract with g = -12 at distance 2: F = 3, so v1^2 / 1.5 = 3 and v2^2 / 0.5 = 3 / 3."""
    positions = np.array([[1.5, 0.0], [-0.5, 0.0]])
    velocities = np.array([[0.0, np.sqrt(4.5)], [0.0, -np.sqrt(0.5)]])
    return positions, velocities, np.array([1.0, 3.0]), -12.0


def test_two_bodies_circle_their_centre_of_mass():
    positions, velocities, masses, g = circular_orbit()
    period = 2 * np.pi * 1.5 / np.sqrt(4.5)

    def acceleration(x):
        displacement = x[::-1] - x
        return -g * displacement / np.linalg.norm(displacement, axis=1, keepdims=True) ** 3 / masses[:, None]

    quarter, _ = velocity_verlet(positions, velocities, acceleration, period / 4000, 1000)
    np.testing.assert_allclose(quarter, [[0.0, 1.5], [0.0, -0.5]], atol=1e-5)
    whole, whole_velocities = velocity_verlet(positions, velocities, acceleration, period / 4000, 4000)
    np.testing.assert_allclose(whole, positions, atol=1e-4)
    np.testing.assert_allclose(whole_velocities, velocities, atol=1e-4)


def test_halving_the_time_step_quarters_the_energy_error():
    system = draw_systems()[0]
    before = total_energy(system.positions, system.velocities, system)
    errors = []
    for time_step, num_steps in ((2e-5, 500), (1e-5, 1000), (5e-6, 2000)):
        _, _, state = advance_systems([system], time_step, num_steps)
        errors.append(abs(state.energy[0] - before))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_reversed_velocities_lead_back():
    system = draw_systems()[0]
    positions, velocities, _ = advance_systems([system], 1e-6, 1000)
    there = system._replace(positions=positions[0], velocities=-velocities[0])
    back, back_velocities, _ = advance_systems([there], 1e-6, 1000)
    assert np.abs(positions[0] - system.positions).max() > 1e-3
    np.testing.assert_allclose(back[0], system.positions, atol=1e-11)
    np.testing.assert_allclose(back_velocities[0], -system.velocities, atol=1e-8)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_momentum_is_conserved(num_dimensions):
    system = draw_systems(num_dimensions=num_dimensions)[0]
    moving = system._replace(velocities=system.velocities + 7.0)
    _, velocities, _ = advance_systems([moving], 1e-6, 1000)
    assert np.abs(velocities[0] - moving.velocities).max() > 0.01  # forces have acted
    expected = moving.masses @ moving.velocities
    np.testing.assert_allclose(moving.masses @ velocities[0], expected, rtol=1e-12)


def test_a_system_does_not_depend_on_its_place_or_its_neighbours():
    systems = draw_systems()
    positions, velocities, state = advance_systems(systems, 1e-6, 500)
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    moved, moved_velocities, moved_state = advance_systems([systems[i] for i in order], 1e-6, 500)
    np.testing.assert_array_equal(moved, positions[order])
    np.testing.assert_array_equal(moved_velocities, velocities[order])
    np.testing.assert_array_equal(moved_state.energy, state.energy[order])


def test_a_blown_up_system_leaves_the_others_alone():
    systems = draw_systems()
    expected, _, _ = advance_systems(systems, 1e-6, 200)
    met = np.zeros_like(systems[2].positions)
    systems[2] = systems[2]._replace(positions=met)
    found, _, state = advance_systems(systems, 1e-6, 200)
    assert np.isnan(found[2]).all()
    assert np.isnan(state.energy[2])
    others = [0, 1, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(found[others], expected[others])


def test_chunks_add_up():
    system = draw_systems()[0]
    positions, velocities, _ = advance_systems([system], 1e-6, 100)
    halfway = system._replace(positions=positions[0], velocities=velocities[0])
    positions, _, _ = advance_systems([halfway], 1e-6, 100)
    expected, _, _ = advance_systems([system], 1e-6, 200)
    np.testing.assert_allclose(positions, expected, rtol=1e-13)
