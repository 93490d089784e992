import numpy as np
import pytest

from pipelines.nbody.forces import couplings, distances, forces, kinetic_energy, potential_energy

CONSTANTS = (300.0, 20.0)


def random_system(num_dimensions, num_particles=7, seed=0):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-3, 3, (num_particles, num_dimensions))
    return positions, rng.uniform(1, 4, num_particles), rng.uniform(-1.5, 1.5, num_particles)


def slow_forces(positions, masses, charges, k, gravity):
    """Newton's and Coulomb's laws, one pair after the other."""
    total = np.zeros_like(positions)
    for i in range(len(positions)):
        for j in range(len(positions)):
            if i != j:
                towards_j = positions[j] - positions[i]
                r = np.sqrt(sum(x * x for x in towards_j))
                attraction = gravity * masses[i] * masses[j] / r**2
                repulsion = k * charges[i] * charges[j] / r**2
                total[i] += (attraction - repulsion) * towards_j / r
    return total


def slow_potential_energy(positions, masses, charges, k, gravity):
    energy = 0.0
    for i in range(len(positions)):
        for j in range(i):
            r = np.linalg.norm(positions[i] - positions[j])
            energy += k * charges[i] * charges[j] / r - gravity * masses[i] * masses[j] / r
    return energy


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_forces_are_the_sum_over_pairs(num_dimensions):
    system = random_system(num_dimensions)
    np.testing.assert_allclose(forces(*system, *CONSTANTS), slow_forces(*system, *CONSTANTS), rtol=1e-12)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_potential_energy_is_the_sum_over_pairs(num_dimensions):
    system = random_system(num_dimensions)
    expected = slow_potential_energy(*system, *CONSTANTS)
    assert potential_energy(*system, *CONSTANTS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_forces_are_minus_the_gradient_of_the_energy(num_dimensions):
    positions, masses, charges = random_system(num_dimensions)
    gradient = np.zeros_like(positions)
    for index in np.ndindex(*positions.shape):
        step = np.zeros_like(positions)
        step[index] = 1e-6
        above, below = (potential_energy(positions + s, masses, charges, *CONSTANTS) for s in (step, -step))
        gradient[index] = (above - below) / 2e-6
    np.testing.assert_allclose(forces(positions, masses, charges, *CONSTANTS), -gradient, rtol=1e-6, atol=1e-5)


def test_newtons_third_law():
    positions, masses, charges = random_system(3)
    np.testing.assert_allclose(forces(positions, masses, charges, *CONSTANTS).sum(axis=0), 0, atol=1e-10)


def test_two_particles_by_hand():
    # 2 apart along x; k q1 q2 = 10 * 1 * -2 = -20 attracts, G m1 m2 = 1 * 3 * 4 = 12 attracts.
    system = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([3.0, 4.0]), np.array([1.0, -2.0])
    np.testing.assert_allclose(forces(*system, 10.0, 1.0), [[8.0, 0.0], [-8.0, 0.0]])
    assert potential_energy(*system, 10.0, 1.0) == -16.0


def test_equal_charges_repel_and_masses_attract():
    positions = np.array([[0.0, 0.0], [1.0, 0.0]])
    ones = np.ones(2)
    assert forces(positions, ones, ones, 1.0, 0.0)[0, 0] == -1.0
    assert forces(positions, ones, ones, 0.0, 1.0)[0, 0] == 1.0


def test_kinetic_energy_by_hand():
    assert kinetic_energy(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([2.0, 4.0])) == 27.0


def test_couplings_are_symmetric_without_self_interaction():
    _, masses, charges = random_system(2)
    g = couplings(masses, charges, *CONSTANTS)
    np.testing.assert_array_equal(g, g.T)
    np.testing.assert_array_equal(np.diag(g), 0)


def test_distances_by_hand():
    np.testing.assert_array_equal(distances(np.array([[0.0, 0.0], [3.0, 4.0]])), [[np.inf, 5], [5, np.inf]])
