import numpy as np
import pytest

from pipelines.nbody.forces import forces
from pipelines.nbody.hidden_charges import infer_charges

INTERVAL, CHARGES = 0.05, np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, -1, -1, 1], [1, 1, -1, 1]])


def frames(charges, exponent=2.0, num_frames=8, seed=0):
    """Frames whose second differences are exactly those of the forces."""
    rng = np.random.default_rng(seed)
    positions = [rng.normal(size=(len(charges), 2))]
    positions.append(positions[0] + INTERVAL * rng.normal(size=(len(charges), 2)))
    while len(positions) < num_frames:
        displacement = positions[-1][None] - positions[-1][:, None]
        distance = np.linalg.norm(displacement, axis=-1, keepdims=True) + np.eye(len(charges))[..., None]
        products = np.outer(charges, charges)[..., None]
        acceleration = -np.sum(products * displacement / distance ** (exponent + 1), axis=1)
        positions.append(2 * positions[-1] - positions[-2] + INTERVAL**2 * acceleration)
    return np.stack(positions)


def test_the_exact_law_gives_the_charges_of_every_system():
    systems = np.stack([frames(charges, seed=seed) for seed, charges in enumerate(CHARGES)])
    np.testing.assert_array_equal(infer_charges(systems, 1e-3), CHARGES)


def test_the_test_data_obey_coulombs_law():
    charges = CHARGES[3].astype(float)
    system = frames(charges)
    acceleration = (system[2] - 2 * system[1] + system[0]) / INTERVAL**2
    np.testing.assert_allclose(acceleration, forces(system[1], np.ones(4), charges, 1.0, 0.0), rtol=1e-9)


@pytest.mark.parametrize("exponent", [1.0, 3.0])
def test_other_laws(exponent):
    system = frames(CHARGES[1], exponent)[None]
    np.testing.assert_array_equal(infer_charges(system, 1e-3, exponent), CHARGES[1:2])


def test_particles_may_stand_in_any_order_and_charges_may_all_change_sign():
    system = frames(CHARGES[3])[None]
    order = [2, 0, 3, 1]
    expected = CHARGES[3][order] * CHARGES[3][order[0]]
    np.testing.assert_array_equal(infer_charges(system[:, :, order], 1e-3), expected[None])


def test_a_particle_that_hits_a_wall_does_not_hide_the_charges():
    """Its second difference there is hundreds of times what the others push it by."""
    system = frames(CHARGES[1], num_frames=16)[None]
    system[0, -1, 2, 0] -= 1.0
    np.testing.assert_array_equal(infer_charges(system, 1e-3), CHARGES[1:2])


def test_particles_that_feel_nothing_get_some_charges():
    steady = np.arange(5.0)[None, :, None, None] * np.ones((1, 1, 3, 2)) + np.arange(6.0).reshape(1, 1, 3, 2)
    assert np.isin(infer_charges(steady, 0.1), (-1.0, 1.0)).all()
