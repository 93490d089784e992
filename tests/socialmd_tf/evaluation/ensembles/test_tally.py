import math

import numpy as np
import pytest

from socialmd_tf.evaluation.ensembles.tally import Tally, geometric_mean


def test_ratio_and_standard_error_by_hand():
    tally = Tally()
    for group, error in (("a", 1.0), ("a", 3.0), ("b", 2.0), ("c", 6.0)):
        runs = np.array([[0.0], [2.0]])  # the floor is 1
        tally.add("move", group, np.array([[error + 1.0]]), runs)  # |x - 0| and |x - 2|
    found = tally.summary()["move"]
    crps = [np.mean([error + 1, abs(error - 1)]) for error in (1.0, 3.0, 2.0, 6.0)]
    assert found["crps"] == pytest.approx(np.mean(crps)) and found["rerun_crps"] == 1.0
    assert found["ratio"] == pytest.approx(np.mean(crps)) and found["num_starts"] == 4
    others = [np.mean(crps[2:]), np.mean([*crps[:2], crps[3]]), np.mean(crps[:3])]  # without a, b, c
    expected = math.sqrt(2 / 3 * np.sum((others - np.mean(others)) ** 2))
    assert found["ratio_standard_error"] == pytest.approx(expected)
    assert "coverage_50" not in found  # a point has no spread


def test_one_simulation_has_no_standard_error_and_one_run_no_ratio():
    tally = Tally()
    tally.add("move", "a", np.zeros((3, 2)), np.ones((1, 2)))
    found = tally.summary()["move"]
    assert found["crps"] == 1.0 and math.isnan(found["crps_standard_error"]) and math.isnan(found["ratio"])
    assert found["spread_over_skill"] == 0.0 and found["rank_histogram"][-1] > 0
    assert geometric_mean(tally.summary()) == (pytest.approx(math.nan, nan_ok=True), 0)


def test_an_ensemble_equal_to_the_truth_scores_zero():
    tally, runs = Tally(), np.random.default_rng(0).normal(size=(1, 4, 3, 2))
    tally.add("move", "a", np.repeat(runs[:, :, 0, 0], 5, axis=0), runs[:, :, 0, 0])
    tally.add_energy("a", np.repeat(runs, 5, axis=0), runs)
    found = tally.summary()
    assert found["move"]["crps"] == pytest.approx(0.0) and found["configuration"]["crps"] == pytest.approx(0.0)


def test_the_energy_score_of_a_shift_is_its_length_per_particle():
    tally, runs = Tally(), np.zeros((1, 2, 5, 3))
    tally.add_energy("a", runs + np.array([3.0, 4.0, 0.0]), runs)
    assert tally.summary()["configuration"]["crps"] == pytest.approx(5.0)


def test_the_geometric_mean_is_over_ratios():
    rows = {"a": {"ratio": 2.0, "rerun_crps": 1.0}, "b": {"ratio": 8.0, "rerun_crps": 1.0}}
    assert geometric_mean(rows) == (pytest.approx(4.0), 2)
    assert math.isnan(geometric_mean({**rows, "c": {"ratio": math.nan, "rerun_crps": 1.0}})[0])
