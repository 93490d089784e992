import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from pipelines.nbody.forces import kinetic_energy, potential_energy
from socialmd_tf.evaluation.trajectory_statistics import Start, TrajectoryStatistics, compare

CONSTANTS = {"coulomb_constant": 3.0, "gravitational_constant": 0.5}
INTERVAL = 0.1


def walk(num_steps=4, num_particles=5, num_dimensions=2, seed=0):
    return np.random.default_rng(seed).normal(size=(num_steps + 1, num_particles, num_dimensions)).cumsum(axis=0)


def start_of(path, masses=None, charges=None, constants=None, move=0.3):
    return Start(np.stack([path[0] - move, path[0]]), 0.2, masses, charges, constants)


def observed(paths, **known):
    statistics = TrajectoryStatistics(INTERVAL)
    for path in paths:
        statistics.add(path, start_of(path, **known))
    return statistics


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_drifts_by_formula(num_dimensions):
    path = walk(num_dimensions=num_dimensions)
    generator = np.random.default_rng(1)
    masses, charges = generator.uniform(1, 4, 5), generator.normal(size=5)
    known = {"masses": masses, "charges": charges, "constants": CONSTANTS}
    found = observed([path], **known)

    velocities = [np.full_like(path[0], 0.3 / 0.2), *(np.diff(path, axis=0) / INTERVAL)]
    middles = [path[0] - 0.15, *((path[1:] + path[:-1]) / 2)]
    kinetic = [kinetic_energy(v, masses) for v in velocities]
    energies = np.array(kinetic) + [potential_energy(x, masses, charges, **CONSTANTS) for x in middles]
    np.testing.assert_allclose(found.energy_drift[0], np.abs(energies[1:] - energies[0]) / kinetic[0])
    momenta = np.array([masses @ v for v in velocities])
    scale = masses.sum() * 1.5 * np.sqrt(num_dimensions)
    np.testing.assert_allclose(found.momentum_drift[0], np.linalg.norm(momenta[1:] - momenta[0], axis=1) / scale)

    result = compare(found, found)
    assert result["energy_drift"]["rollout"] == result["energy_drift"]["truth_per_step"][-1]


def test_drifts_are_medians_over_windows_at_the_last_step():
    paths = [walk(seed=seed) for seed in range(3)]
    result = compare(observed(paths, masses=np.ones(5)), observed(paths[:1], masses=np.ones(5)))
    last = [observed([path], masses=np.ones(5)).momentum_drift[0][-1] for path in paths]
    assert result["momentum_drift"]["rollout"] == pytest.approx(np.median(last))
    assert result["momentum_drift"]["truth"] == pytest.approx(last[0])
    assert "energy_drift" not in result
    assert "momentum_drift" not in compare(observed(paths), observed(paths))


def test_straight_motion_keeps_its_momentum():
    path = np.arange(5)[:, None, None] * np.array([[0.15, 0.15], [0.15, 0.15]])
    found = observed([path], masses=np.array([1.0, 3.0]))
    np.testing.assert_allclose(found.momentum_drift[0], 0.0, atol=1e-12)


def test_the_truth_is_at_no_distance_from_itself():
    truth = observed([walk(), walk(num_particles=3, seed=2)])
    result = compare(truth, truth)
    for name in ("speed", "radial_distribution", "mean_squared_displacement"):
        assert result[name]["distance"] == 0.0
        assert result[name]["rollout"] == result[name]["truth"]


def test_distances_are_those_of_all_moves_and_pairs():
    ours, true = walk(seed=3, num_particles=6), 1.4 * walk(seed=4)
    result = compare(observed([ours]), observed([true]))
    moves = [np.linalg.norm(np.diff(path, axis=0), axis=-1).ravel() for path in (ours, true)]
    assert result["speed"]["distance"] == pytest.approx(scipy.stats.wasserstein_distance(*moves), rel=0.02)
    assert result["speed"]["rollout"] == pytest.approx(moves[0].mean())
    pairs = [[scipy.spatial.distance.pdist(frame) for frame in path[1:]] for path in (ours, true)]
    expected = scipy.stats.wasserstein_distance(*(np.concatenate(each) for each in pairs))
    assert result["radial_distribution"]["distance"] == pytest.approx(expected, rel=0.02)


def test_mean_squared_displacement_by_slow_loop():
    paths = [walk(seed=5), walk(seed=6, num_particles=2)]
    found = observed(paths).mean_squared_displacement()
    for lag in range(1, 5):
        squares = [((path[t + lag] - path[t]) ** 2).sum(-1) for path in paths for t in range(5 - lag)]
        assert found[lag - 1] == pytest.approx(np.concatenate(squares).mean())
    still = observed([np.broadcast_to(paths[0][:1], (5, 5, 2))])
    assert compare(still, observed(paths[:1]))["mean_squared_displacement"]["distance"] == 1.0


@pytest.mark.parametrize(("num_dimensions", "unit_ball"), [(2, np.pi), (3, 4 / 3 * np.pi)])
def test_the_radial_distribution_counts_neighbours(num_dimensions, unit_ball):
    """Summed over shells with their volumes, it gives the number of other particles."""
    path = walk(num_particles=7, num_dimensions=num_dimensions)
    radial = compare(observed([path]), observed([path]))["radial_distribution"]
    r, ratio = np.array(radial["r"]), 10 ** (1 / 40)
    volumes = unit_ball * ((r * ratio) ** num_dimensions - (r / ratio) ** num_dimensions)
    assert (np.array(radial["truth"]) * volumes).sum() == pytest.approx(6)


def test_single_particles_have_no_pair_distances():
    found = observed([walk(num_particles=1)], masses=np.ones(1), charges=np.ones(1), constants=CONSTANTS)
    assert set(compare(found, found)) == {"speed", "mean_squared_displacement", "energy_drift", "momentum_drift"}


def test_particles_at_the_same_place_have_no_radial_distribution():
    together = np.repeat(walk(num_particles=1), 2, axis=1)
    assert "radial_distribution" not in compare(observed([together]), observed([together]))
    with_another = np.concatenate([together, together[:, :1] + 1.0], axis=1)
    radial = compare(observed([with_another]), observed([with_another]))["radial_distribution"]
    assert radial["r"] == pytest.approx([np.sqrt(2)], rel=0.1)


def test_a_system_with_pairs_among_single_particles_is_counted():
    found = observed([walk(num_particles=1), walk(num_particles=2)])
    radial = compare(found, found)["radial_distribution"]
    assert found.distances.counts.sum() == 4 and found.num_centers == 12
    assert radial["distance"] == 0.0
