import numpy as np
import pytest

from pipelines.nbody.box_integrator import advance, kick_and_drift, reflect
from pipelines.nbody.forces import couplings, kinetic_energy, potential_energy

BOX = {"coulomb_constant": 1.0, "max_force": 100.0, "half_width": 5.0}


def test_reflection_countable_by_hand():
    positions = np.array([[5.5, 1.0], [-6.0, 5.25], [4.0, -5.0]])
    velocities = np.array([[2.0, 3.0], [-1.0, -4.0], [7.0, -8.0]])
    mirrored, turned = reflect(positions, velocities, 5.0)
    np.testing.assert_array_equal(mirrored, [[4.5, 1.0], [-4.0, 4.75], [4.0, -5.0]])
    # The second particle leaves its lower wall with +1, and at the upper one already goes down.
    np.testing.assert_array_equal(turned, [[-2.0, 3.0], [1.0, -4.0], [7.0, -8.0]])


def test_a_free_particle_crosses_the_box_as_a_triangle_wave():
    """From the origin at speed 1 in a box of half width 1: at time 1 at the wall, at 2 back, at 3 at the other wall."""
    time = np.arange(1, 81) / 16
    positions, velocities = np.zeros((1, 2)), np.array([[1.0, 0.0]])
    path = []
    for _ in time:
        positions, velocities = kick_and_drift(
            positions, velocities, np.ones(1), **(BOX | {"half_width": 1.0}), time_step=1 / 16, num_steps=1
        )
        path.append(positions[0])
    expected = 1 - np.abs((time - 1 + 2) % 4 - 2)
    np.testing.assert_array_equal(path, np.stack([expected, 0 * time], axis=1))


@pytest.mark.parametrize(("separation", "expected"), [(0.5, 4.0), (0.1, 100.0), (0.05, 100.0)])
def test_forces_are_clipped_by_component(separation, expected):
    positions = np.array([[0.0, 0.0], [separation, 0.0]])
    _, velocities = kick_and_drift(
        positions, np.zeros((2, 2)), np.array([1.0, 1.0]), **BOX, time_step=1e-3, num_steps=1
    )
    np.testing.assert_allclose(velocities, [[-1e-3 * expected, 0.0], [1e-3 * expected, 0.0]], rtol=1e-12)


def test_a_clipped_force_need_not_point_along_the_pair():
    positions = np.array([[0.0, 0.0], [0.04, 0.02]])
    charges = np.array([1.0, -1.0])
    _, velocities = kick_and_drift(positions, np.zeros((2, 2)), charges, **BOX, time_step=1e-3, num_steps=1)
    np.testing.assert_allclose(velocities, [[0.1, 0.1], [-0.1, -0.1]], rtol=1e-12)


def two_charges(time_step, num_steps):
    """Two charges that repel each other: energies as leapfrog reads them, with velocities half a kick later."""
    positions, velocities = np.array([[-1.0, 0.1], [1.0, -0.1]]), np.array([[0.7, 0.0], [-0.7, 0.0]])
    charges, masses = np.ones(2), np.ones(2)
    energies = []
    for _ in range(num_steps):
        positions, velocities = kick_and_drift(positions, velocities, charges, **BOX, time_step=time_step, num_steps=1)
        _, kicked = kick_and_drift(positions, velocities, charges, **BOX, time_step=time_step / 2, num_steps=1)
        potential = potential_energy(positions, masses, charges, 1.0, 0.0)
        energies.append(kinetic_energy(kicked, masses) + potential)
    return np.array(energies)


def test_energy_is_conserved_to_second_order_between_the_walls():
    drifts = [np.ptp(two_charges(2.0 / steps, steps)) for steps in (200, 400, 800)]
    assert drifts[-1] < 1e-5
    np.testing.assert_allclose(np.array(drifts[:-1]) / drifts[1:], 4.0, rtol=0.1)


def test_walls_and_kicks_keep_the_energy():
    """Repelling charges in a small box, whose energy includes that of many reflections."""
    rng = np.random.default_rng(0)
    positions, velocities = rng.uniform(-1, 1, (4, 2)), rng.normal(size=(4, 2))
    charges, masses = 0.3 * np.ones(4), np.ones(4)
    box = BOX | {"half_width": 1.2, "max_force": np.inf}

    def energy():
        _, kicked = kick_and_drift(positions, velocities, charges, **box, time_step=0.5e-4, num_steps=1)
        return kinetic_energy(kicked, masses) + potential_energy(positions, masses, charges, 1.0, 0.0)

    before = energy()
    for _ in range(20):
        positions, velocities = kick_and_drift(positions, velocities, charges, **box, time_step=1e-4, num_steps=500)
        assert np.abs(positions).max() <= 1.2
    assert abs(energy() - before) < 1e-3 * before


def test_the_fast_version_is_the_reference():
    rng = np.random.default_rng(1)
    shape = (3, 5, 2)
    positions, velocities = rng.normal(size=shape), rng.normal(size=shape)
    positions[0, 0] = [4.999, -4.999]
    velocities[0, 0] = [3.0, -3.0]  # hits two walls at once
    charges = rng.choice([-1.0, 1.0], shape[:2])
    weights = np.stack([couplings(np.ones(5), q, 1.0, 0.0) for q in charges], axis=-1)
    frames, speeds = advance(
        positions.transpose(2, 1, 0),
        velocities.transpose(2, 1, 0),
        weights,
        max_force=3.0,
        half_width=5.0,
        time_step=1e-3,
        num_steps=20,
        num_frames=2,
    )
    for system in range(3):
        x, v = positions[system], velocities[system]
        for frame in range(2):
            x, v = kick_and_drift(x, v, charges[system], **(BOX | {"max_force": 3.0}), time_step=1e-3, num_steps=20)
            np.testing.assert_allclose(frames[frame, :, :, system].T, x, rtol=1e-10)
            np.testing.assert_allclose(speeds[frame, :, :, system].T, v, rtol=1e-9, atol=1e-10)
