import numpy as np
import pytest
import scoringrules

from socialmd_tf.evaluation.ensembles import scores


def slow_fair_crps(members, value):
    """The definition for one number, by loops."""
    count = len(members)
    error = sum(abs(x - value) for x in members) / count
    spread = sum(abs(x - y) for x in members for y in members) / (2 * count * (count - 1))
    return error - spread


def test_fair_crps_is_the_definition():
    generator = np.random.default_rng(0)
    members, observed = generator.normal(size=(7, 3, 2)), generator.normal(size=(4, 3, 2))
    members[1] = members[0]  # ties
    found = scores.fair_crps(members, observed)
    assert found.shape == (4, 3, 2)
    for place in np.ndindex(4, 3, 2):
        assert found[place] == pytest.approx(slow_fair_crps(members[:, *place[1:]], observed[place]), abs=1e-12)


def test_countable_scores():
    assert scores.fair_crps(np.array([0.0, 2.0]), np.array([1.0])) == pytest.approx(0.0)  # 1 - 2 / 2
    assert scores.fair_crps(np.array([0.0, 2.0]), np.array([5.0])) == pytest.approx(3.0)  # 4 - 1
    assert scores.fair_crps(np.array([3.0]), np.array([5.0, 3.0])).tolist() == [2.0, 0.0]  # a point
    assert scores.fair_crps(np.full((5, 1), 3.0), np.full((2, 1), 3.0)) == pytest.approx(np.zeros((2, 1)))


def test_a_member_that_is_not_a_number_spoils_the_score():
    assert np.isnan(scores.fair_crps(np.array([0.0, np.nan, 1.0]), np.array([0.5]))).all()


def test_the_floor_is_the_mean_score_of_each_run_by_the_others():
    runs = np.random.default_rng(1).normal(size=(5, 4))
    left_out = [scoringrules.crps_ensemble(runs[i], np.delete(runs, i, axis=0).T, estimator="fair") for i in range(5)]
    assert scores.crps_between(runs) == pytest.approx(np.mean(left_out, axis=0))
    assert scores.crps_between(np.stack([runs[0]] * 3)) == pytest.approx(np.zeros(4))  # identical re-runs
    assert scores.crps_between(np.array([1.0, 4.0])) == 1.5  # half the distance


def test_the_energy_score_is_that_of_the_library():
    generator = np.random.default_rng(2)
    members, observed = generator.normal(size=(6, 4)), generator.normal(size=(3, 4))
    expected = [scoringrules.es_ensemble(each, members, estimator="fair") for each in observed]
    assert scores.energy_score(members, observed) == pytest.approx(expected)
    left_out = [scores.energy_score(np.delete(members, i, axis=0), members[i : i + 1])[0] for i in range(6)]
    assert scores.energy_between(members) == pytest.approx(np.mean(left_out))


def test_ranks_are_uniform_for_one_distribution_and_extreme_for_others():
    generator = np.random.default_rng(3)
    ranks = scores.ranks(generator.integers(0, 3, (20, 5000)), generator.integers(0, 3, (1, 5000)), generator)
    assert np.histogram(ranks, np.linspace(0, 1, 11))[0] / 5000 == pytest.approx(np.full(10, 0.1), abs=0.02)
    members = np.arange(9.0)
    low, middle, high = scores.ranks(members, np.array([-1.0, 3.5, 99.0]), generator)
    assert 0 <= low < 0.1 and 0.4 <= middle < 0.5 and 0.9 <= high < 1


def test_spread_and_error_by_hand():
    spread, error = scores.squared_spread_and_error(np.array([[0.0], [2.0]]), np.array([[4.0], [1.0]]))
    assert spread == pytest.approx(1.5 * 2.0)  # variance 2, times 1 + 1 / 2
    assert error == pytest.approx((9.0 + 0.0) / 2)


def test_pairs_of_starts_are_those_of_a_slow_loop_and_of_re_runs_if_each_start_is_one_run():
    generator = np.random.default_rng(0)
    runs = [generator.normal(size=(count, 4)) for count in (2, 3, 1)]
    found = scores.crps_of_pairs(runs)
    for a in range(3):
        for b in range(3):
            distances = [np.abs(x - y).mean() / 2 for x in runs[a] for y in runs[b]]
            assert found[a, b] == pytest.approx(np.mean(distances) if a != b else 0)
    single = generator.normal(size=(5, 1, 4))
    pairs = scores.crps_of_pairs(list(single))
    assert pairs.sum() / 20 == pytest.approx(scores.crps_between(single[:, 0]).mean())
