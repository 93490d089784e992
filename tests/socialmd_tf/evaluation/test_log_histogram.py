import numpy as np
import pytest

from socialmd_tf.evaluation.log_histogram import LogHistogram


def test_means_are_exact_for_lengths_of_any_size():
    histogram = LogHistogram()
    histogram.add(np.array([0.0, 1e-50, 2.0, 3.0, 1e20, np.inf, np.nan]))
    values, counts = histogram.weighted()
    assert counts.tolist() == [2, 1, 1, 1]
    np.testing.assert_allclose(values, [5e-51, 2, 3, 1e20])
    assert histogram.mean() == pytest.approx(2e19)
    assert np.isnan(LogHistogram().mean())


@pytest.mark.parametrize("unit", [1e-30, 1e-12, 1e12])
def test_the_unit_of_length_does_not_change_the_distribution(unit):
    lengths = np.random.default_rng(0).lognormal(size=1000)
    ours, scaled = LogHistogram(), LogHistogram()
    ours.add(lengths)
    scaled.add(unit * lengths)
    assert scaled.mean() == pytest.approx(unit * ours.mean())
    assert scaled.counts.max() < 30 and (scaled.counts > 0).sum() > 150


def test_shells_hold_all_lengths():
    histogram = LogHistogram()
    histogram.add(np.array([0.5, 1.5, 2.5]))
    edges, counts = histogram.shells()
    assert counts.sum() == 3 and len(edges) == len(counts) + 1
    for length in (0.5, 1.5, 2.5):
        (shell,) = np.flatnonzero((edges[:-1] <= length) & (length < edges[1:]))
        assert counts[shell] == 1
