import itertools
from functools import partial

import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from pipelines.boxes import half_height, volume
from pipelines.nbody.forces import kinetic_energy, potential_energy
from pipelines.nbody.known_forces import NBodyForces
from socialmd_tf.evaluation import close_encounters, trajectory_statistics
from socialmd_tf.evaluation.trajectory_statistics import Start, TrajectoryStatistics, compare

BOXES = {
    "square": np.diag([4.0, 5.0]),
    "tilted": np.array([[4.0, 0.0], [1.5, 3.5]]),
    "cube": np.diag([4.0, 3.5, 5.0]),
    "triclinic": np.array([[5.0, 0, 0], [1.9, 4.0, 0], [-1.5, 1.4, 4.5]]),
    "slab": np.diag([4.0, 0.0, 5.0]),
}
CONSTANTS = {"coulomb_constant": 3.0, "gravitational_constant": 0.5}
INTERVAL = 0.1


def walk(num_steps=4, num_particles=5, num_dimensions=2, seed=0):
    return np.random.default_rng(seed).normal(size=(num_steps + 1, num_particles, num_dimensions)).cumsum(axis=0)


def start_of(path, masses=None, energy=None, box=None, move=0.3):
    return Start(np.stack([path[0] - move, path[0]]), 0.2, masses, energy, box)


def observed(paths, **known):
    statistics = TrajectoryStatistics(INTERVAL)
    for path in paths:
        statistics.add(path[None], [start_of(path, **known)])
    return statistics


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_drifts_by_formula(num_dimensions):
    path = walk(num_dimensions=num_dimensions)
    generator = np.random.default_rng(1)
    masses, charges = generator.uniform(1, 4, 5), generator.normal(size=5)
    forces, features = NBodyForces(**CONSTANTS, mass=0, charge=1), np.stack([masses, charges], axis=1)
    found = observed([path], masses=masses, energy=partial(forces.potential_energy, features=features))

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
def test_the_radial_distribution_counts_neighbours(num_dimensions, unit_ball, monkeypatch):
    """Summed over shells with their volumes, it gives the number of other particles; shells as narrow as can be."""
    monkeypatch.setattr(trajectory_statistics, "_PAIRS_PER_SHELL", 0)
    path = walk(num_particles=7, num_dimensions=num_dimensions)
    radial = compare(observed([path]), observed([path]))["radial_distribution"]
    r, ratio = np.array(radial["r"]), 10 ** (1 / 40)
    volumes = unit_ball * ((r * ratio) ** num_dimensions - (r / ratio) ** num_dimensions)
    assert (np.array(radial["truth"]) * volumes).sum() == pytest.approx(6)


def test_shells_are_joined_until_they_hold_enough_pairs():
    assert trajectory_statistics._starts(np.array([399, 1, 400, 0, 7, 500, 3])).tolist() == [0, 2, 3]
    assert trajectory_statistics._starts(np.array([3, 4])).tolist() == [0]


def test_single_particles_have_no_pair_distances():
    found = observed([walk(num_particles=1)], masses=np.ones(1), energy=lambda positions: np.zeros(len(positions)))
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


def slow_distances(frames, box):
    """Distances of all pairs to the nearest of many images."""
    shifts = np.array(list(itertools.product(range(-4, 5), repeat=len(box)))) @ box
    return [
        np.linalg.norm(frame[j] - frame[i] + shifts, axis=1).min()
        for frame in frames
        for i, j in itertools.combinations(range(len(frame)), 2)
    ]


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_pairs_in_a_box_are_nearest_images(box):
    path = walk(num_particles=6, num_dimensions=len(box))
    found = observed([path], box=box)
    expected = slow_distances(path[1:], box)
    assert found.distances.mean() == pytest.approx(np.mean(expected))
    assert found.distances.counts.sum() == len(expected)
    edges, counts = found.distances.shells()
    np.testing.assert_array_equal(counts, np.histogram(expected, edges)[0])


@pytest.mark.parametrize("name", ["square", "tilted", "cube", "triclinic"])
def test_images_change_nothing(name):
    """Any particle moved by lattice vectors, the same ones in all frames, is the same particle."""
    box = BOXES[name]
    path = walk(num_particles=6, num_dimensions=len(box))
    moved = path + np.random.default_rng(1).integers(-3, 4, size=path.shape[1:]) @ box
    ours, true = (observed([each], box=box) for each in (moved, path))
    result = compare(ours, true)
    assert result["radial_distribution"]["distance"] == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(result["radial_distribution"]["rollout"], result["radial_distribution"]["truth"])


@pytest.mark.slow_cases("triclinic")
@pytest.mark.parametrize("name", ["square", "tilted", "cube", "triclinic"])
def test_an_ideal_gas_has_a_radial_distribution_of_one(name):
    box = BOXES[name]
    path = np.random.default_rng(2).random((301, 60, len(box))) @ box
    radial = compare(observed([path], box=box), observed([path[:, :40]], box=box))["radial_distribution"]
    r = np.array(radial["r"])
    assert radial["normalized"] is True
    assert 0.9 * half_height(box) < r.max() < half_height(box)
    wide = r > 0.4 * half_height(box)
    np.testing.assert_allclose(np.array(radial["truth"])[wide], 1.0, atol=0.12)
    # 59 others where the truth has 39: both are divided by the density of the truth.
    assert np.mean(np.array(radial["rollout"])[wide]) == pytest.approx(59 / 39, rel=0.03)


def test_a_square_lattice_by_hand():
    """Sixteen sites at unit distance, four neighbours each; the box has an area of 16."""
    sites = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0)), axis=-1).reshape(-1, 2)
    box = 4 * np.eye(2)
    found = observed([np.broadcast_to(sites, (3, 16, 2))], box=box)
    assert found.others_per_volume / found.num_centers == 15 / volume(box)
    radial = compare(found, found)["radial_distribution"]
    places = np.flatnonzero(radial["truth"])
    np.testing.assert_allclose(np.array(radial["r"])[places], [1.0, 2**0.5], rtol=0.03)
    ratio = 10 ** (1 / 100)
    for place, others in zip(places, (4, 4), strict=True):
        r = radial["r"][place]
        area = np.pi * ((r * ratio) ** 2 - (r / ratio) ** 2)
        assert radial["truth"][place] == pytest.approx(others / area / (15 / 16), rel=1e-6)


def test_open_space_and_slabs_are_not_normalized():
    path = walk(num_dimensions=3)
    for box in (None, BOXES["slab"]):
        found = observed([path], box=box)
        assert compare(found, found)["radial_distribution"]["normalized"] is False


@pytest.mark.parametrize("box", [None, BOXES["tilted"]])
def test_a_batch_gives_the_statistics_of_its_windows(box):
    paths = np.stack([walk(seed=seed) for seed in range(3)])
    masses = np.ones(5)
    together = TrajectoryStatistics(INTERVAL)
    together.add(paths, [start_of(path, masses, box=box) for path in paths])
    one_by_one = observed(paths, masses=masses, box=box)
    np.testing.assert_array_equal(together.distances.counts, one_by_one.distances.counts)
    np.testing.assert_allclose(together.moves.sums, one_by_one.moves.sums)
    np.testing.assert_allclose(together.mean_squared_displacement(), one_by_one.mean_squared_displacement())
    np.testing.assert_array_equal(together.momentum_drift, one_by_one.momentum_drift)
    assert together.num_centers == one_by_one.num_centers
    assert together.others_per_volume == pytest.approx(one_by_one.others_per_volume)


def test_an_ideal_gas_of_many_particles_has_a_radial_distribution_of_one(monkeypatch):
    """From the pairs of a sample of particles with all others."""
    monkeypatch.setattr(close_encounters, "MOST_PARTICLES", 30)
    monkeypatch.setattr(close_encounters, "_SAMPLED_PAIRS", 900)
    box = BOXES["square"]
    found = observed([np.random.default_rng(2).random((201, 90, 2)) @ box], box=box)
    assert found.distances.counts.sum() == 200 * 10 * 89
    radial = compare(found, found)["radial_distribution"]
    wide = np.array(radial["r"]) > 0.4 * half_height(box)
    np.testing.assert_allclose(np.array(radial["truth"])[wide], 1.0, atol=0.12)
