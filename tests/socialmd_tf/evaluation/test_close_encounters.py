import itertools

import numpy as np
import pytest

from socialmd_tf.evaluation.close_encounters import encounters
from socialmd_tf.evaluation.metrics import Scores


def paths_of(*particles):
    """One window of particles given frame by frame `[1, T' + 1, N, D]`, and its mask."""
    paths = np.stack([np.array(path, float) for path in particles], axis=1)[None]
    return paths, np.ones((1, len(particles)))


def test_a_pass_between_two_frames_by_hand():
    """The second flies past the first at a distance of 1; the third is 10 away from where the second ends."""
    found = encounters(*paths_of([(0, 0), (0, 0)], [(-4, 1), (4, 1)], [(4, 11), (4, 11)]))
    np.testing.assert_allclose(found.closest_approach, [[1, 1, 10]])
    np.testing.assert_allclose(found.passing_distance, [[1, 1, np.inf]])


def test_particles_nearest_at_a_frame_do_not_pass():
    found = encounters(*paths_of([(0, 0), (0, 0), (0, 0)], [(4, 0), (1, 0), (4, 0)]))
    np.testing.assert_allclose(found.closest_approach, [[1, 1]])
    assert np.isinf(found.passing_distance).all()


def test_a_wide_pass_does_not_count():
    """At 1.9 in the middle, and 3.6 at the frames: more than half."""
    found = encounters(*paths_of([(0, 0), (0, 0)], [(-3, 1.9), (3, 1.9)]))
    np.testing.assert_allclose(found.closest_approach, [[1.9, 1.9]])
    assert np.isinf(found.passing_distance).all()


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_slow_loop_agrees(num_dimensions):
    generator = np.random.default_rng(0)
    paths = generator.normal(size=(3, 5, 4, num_dimensions))
    mask = np.ones((3, 4))
    mask[1, 2:] = 0
    mask[2, 1:] = 0
    found = encounters(paths, mask)
    fractions = np.linspace(0, 1, 2001)[:, None]
    for window, particle in np.ndindex(3, 4):
        nearest = np.inf
        for other in range(4):
            if other != particle and mask[window, other] and mask[window, particle]:
                apart = paths[window, :, other] - paths[window, :, particle]
                for first, second in itertools.pairwise(apart):
                    nearest = min(nearest, np.linalg.norm(first + fractions * (second - first), axis=1).min())
        assert found.closest_approach[window, particle] == pytest.approx(nearest, abs=1e-3)
    assert np.isinf(found.closest_approach[2]).all() and np.isinf(found.passing_distance[1, 2:]).all()


def test_strata_split_all_real_particles():
    paths, mask = np.random.default_rng(1).normal(size=(6, 4, 5, 2)), np.ones((6, 5))
    mask[3, 2:] = 0
    error = np.random.default_rng(2).random((6, 3, 5, 2))
    scores = Scores(error[..., 0], error, error[..., 0], mask)
    found = encounters(paths, mask)
    strata = found.strata(scores, 0.1)
    for kind in ("closest_approach", "crossing"):
        assert sum(stratum["count"] for stratum in strata[kind]) == mask.sum()
        total = sum(stratum["count"] * stratum["mae"] for stratum in strata[kind] if stratum["count"])
        assert total == pytest.approx((error.mean(axis=(1, 3)) * mask).sum())
    assert [(stratum["from"], stratum["to"]) for stratum in strata["closest_approach"]] == [
        (0.0, 1.0),
        (1.0, 2.0),
        (2.0, 4.0),
        (4.0, 8.0),
        (8.0, None),
    ]
    near = (found.closest_approach < 0.1) & (mask > 0)
    assert 0 < near.sum() == strata["closest_approach"][0]["count"]
    assert strata["crossing"][0]["count"] == (found.passing_distance < 0.1).sum()
