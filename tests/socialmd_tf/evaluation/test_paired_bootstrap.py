import numpy as np
import pytest

from socialmd_tf.evaluation import paired_bootstrap
from socialmd_tf.evaluation.metrics import Scores, Tally
from socialmd_tf.evaluation.paired_bootstrap import compare, difference


def test_totals_by_hand():
    values = np.array([[[1.0, 2.0]], [[3.0, 100.0]], [[5.0, 6.0]]])
    levels = np.array([[[0.2, 0.95]], [[0.7, 0.1]], [[0.4, 0.6]]])
    mask = np.array([[1, 1], [1, 0], [1, 1]])
    tally = Tally()
    for rows in (slice(0, 2), slice(2, 3)):
        tally.add(Scores(values[rows], values[rows][..., None], levels[rows], mask[rows]))
    found = tally.totals(np.array([4, 2, 4]))
    assert {name: (sums.tolist(), counts.tolist()) for name, (sums, counts) in found.items()} == {
        "mae": ([3.0, 14.0], [1, 4]),
        "nll": ([3.0, 14.0], [1, 4]),
        "coverage_50": ([0.0, 2.0], [1, 4]),
        "coverage_90": ([1.0, 3.0], [1, 4]),
    }
    np.testing.assert_allclose(tally.window_mae(), [1.5, 3.0, 5.5])


def test_resamples_in_blocks_are_those_drawn_at_once(monkeypatch):
    generator = np.random.default_rng(0)
    first, second = ((generator.normal(size=7), np.arange(1, 8)) for _ in range(2))
    whole = difference(first, second)
    monkeypatch.setattr(paired_bootstrap, "_BLOCK", 7 * 31)
    assert difference(first, second) == whole


def test_the_difference_is_that_of_the_means():
    counts = np.array([1, 3])
    mean, (low, high) = difference((np.array([2.0, 3.0]), counts), (np.array([1.0, 9.0]), counts))
    assert mean == pytest.approx(5 / 4 - 10 / 4)
    # A resample has both simulations or one of them twice: 1, -5/4 or -2.
    assert (low, high) == (-2.0, 1.0)


def test_the_interval_is_paired():
    """Two predictors with the same noise, one always a little better: shared noise does not count."""
    shared = np.random.default_rng(0).normal(size=30)
    counts = np.full(30, 10)
    mean, (low, high) = difference((shared, counts), (shared + 1.0, counts))
    assert mean == pytest.approx(-0.1) and low == pytest.approx(-0.1) and high == pytest.approx(-0.1)


def test_the_interval_has_its_stated_coverage():
    generator = np.random.default_rng(0)
    counts, hits = np.ones(40), 0
    for _ in range(100):
        _, (low, high) = difference((generator.normal(0.3, 1.0, 40), counts), (np.zeros(40), counts))
        hits += low <= 0.3 <= high
    assert 88 <= hits <= 99
    again = difference((np.arange(40.0), counts), (np.zeros(40), counts))
    assert again == difference((np.arange(40.0), counts), (np.zeros(40), counts))


def test_one_simulation_has_no_interval():
    mean, interval = difference((np.array([3.0]), np.array([2])), (np.array([1.0]), np.array([2])))
    assert mean == 1.0 and np.isnan(interval).all()


def test_pairs_of_models_and_the_first_with_every_other_predictor():
    def scores(size):
        error = np.full((4, 2, 3, 2), size)
        tally = Tally()
        tally.add(Scores(10 * error[..., 0], error, error[..., 0], np.ones((4, 3))))
        return tally

    simulations = np.array([0, 0, 1, 1])
    by_name = {name: scores(size).totals(simulations) for name, size in (("a", 1.0), ("b", 3.0), ("c", 0.5))}
    rows = compare({**by_name, "still": scores(7.0).totals(simulations)}, ["a", "b", "c"])
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c"), ("a", "still")]
    assert [row["mae_difference"] for row in rows] == [-2.0, 0.5, 2.5, -6.0]
    assert [row["nll_interval"] for row in rows] == [[-20.0] * 2, [5.0] * 2, [25.0] * 2, [-60.0] * 2]
    assert {row["num_simulations"] for row in rows} == {2}
