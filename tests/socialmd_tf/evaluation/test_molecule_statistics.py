import dataclasses
import math

import numpy as np
import pytest

from pipelines.molecules.known_molecules import KnownMolecules
from pipelines.molecules.solvent_accessible_area import accessible_areas
from socialmd_tf.evaluation.molecule_statistics import MoleculeStatistics, compare

KNOWN = KnownMolecules(("OQL", "ONC"), (0.3, 0.4), 0.14)
FEATURES = np.eye(2)[[0, 1, 1, 0]]


def path(num_dimensions=3, num_steps=3, num_particles=4, seed=0):
    return np.random.default_rng(seed).normal(size=(num_steps + 1, num_particles, num_dimensions))


def counted(*paths, features=FEATURES, num_steps=3):
    statistics = MoleculeStatistics(KNOWN, paths[0].shape[-1], num_steps)
    for each in paths:
        statistics.add(each, features)
    return statistics


def test_every_statistic_by_hand():
    one = path()
    found = compare(counted(one), counted(one), [0])
    for step in range(3):
        frame = one[step + 1]
        distances = np.linalg.norm(frame, axis=1)
        assert found["radial_distance_OQL"]["rollout"][step] == pytest.approx((distances[0] + distances[3]) / 2)
        assert found["radial_distance_ONC"]["rollout"][step] == pytest.approx((distances[1] + distances[2]) / 2)
        moves = np.linalg.norm(frame - one[step], axis=1)
        assert found["speed"]["rollout"][step] == pytest.approx(moves.mean())
        area = accessible_areas(frame, np.array([0.3, 0.4, 0.4, 0.3]), 0.14).sum()
        assert found["accessible_area"]["rollout"][step] == pytest.approx(area)
    assert all(statistic["error"] == 0 for statistic in found.values())
    assert found["accessible_area"]["power"] == 2


def test_the_error_is_that_of_single_windows():
    """Errors of opposite signs in two windows do not cancel."""
    still = np.zeros((4, 4, 2))
    still[..., 0] = 2.0
    nearer, farther = still * 0.5, still * 1.5
    found = compare(counted(nearer, farther), counted(still, still), [0, 1])
    distance = found["radial_distance_ONC"]
    assert distance["rollout"] == distance["truth"] == [2.0] * 3
    assert distance["error"] == 1.0 and distance["relative_error"] == 0.5
    assert "accessible_area" not in found  # a flat slice has no surface


def test_the_standard_error_is_over_simulations():
    still = np.ones((4, 4, 2))
    paths = [still * factor for factor in (1.0, 2.0, 4.0)]
    errors = np.array([0.0, 1.0, 3.0]) * math.sqrt(2)
    found = compare(counted(*paths), counted(still, still, still), [0, 0, 1])["radial_distance_OQL"]
    means = [errors[:2].mean(), errors[2]]
    assert found["error_standard_error"] == pytest.approx(np.std(means, ddof=1) / math.sqrt(2))
    assert math.isnan(compare(counted(still), counted(still), [0])["speed"]["error_standard_error"])


def test_windows_without_a_molecule_do_not_count():
    alone = np.eye(2)[[1, 1, 1, 1]]
    found = compare(counted(path(), features=alone), counted(path(), features=alone), [0])
    assert "radial_distance_OQL" not in found and "radial_distance_ONC" in found
    rollout, truth = counted(path(seed=1), features=alone), counted(path(), features=alone)
    for statistics, each in ((rollout, path(seed=1)), (truth, path())):
        statistics.add(each, FEATURES)
    found = compare(rollout, truth, [0, 1])["radial_distance_OQL"]
    assert found["error"] == pytest.approx(
        compare(counted(path(seed=1)), counted(path()), [0])["radial_distance_OQL"]["error"]
    )


def test_areas_are_computed_at_few_steps():
    long = path(num_steps=100)
    found = compare(counted(long, num_steps=100), counted(long, num_steps=100), [0])["accessible_area"]
    assert len(found["steps"]) == len(found["truth"]) == 8
    assert (found["steps"][0], found["steps"][-1]) == (1, 100)


def test_distances_in_a_box_are_from_the_nearest_image_of_the_centre():
    one, box = path(), 6.0 * np.eye(3)
    shift = 6.0 * np.random.default_rng(1).integers(-2, 3, size=one.shape[1:])
    statistics = []
    for each in (one, one + shift):
        statistics.append(MoleculeStatistics(KNOWN, 3, 3))
        statistics[-1].add(each, FEATURES, box)
    inside, elsewhere = statistics
    found = compare(elsewhere, inside, [0])
    assert set(found) == {"radial_distance_OQL", "radial_distance_ONC", "speed", "accessible_area"}
    assert all(statistic["error"] == pytest.approx(0.0, abs=1e-9) for statistic in found.values())
    areas = [accessible_areas(frame, np.array([0.3, 0.4, 0.4, 0.3]), 0.14, box=box).sum() for frame in one[1:]]
    np.testing.assert_allclose(found["accessible_area"]["rollout"], areas)


def test_without_a_centre_there_are_no_radial_distances():
    statistics = MoleculeStatistics(dataclasses.replace(KNOWN, is_centered=False), 3, 3)
    statistics.add(path(), FEATURES)
    assert set(compare(statistics, statistics, [0])) == {"speed", "accessible_area"}
