import itertools

import numpy as np
import pytest

from socialmd_tf.evaluation import close_encounters
from socialmd_tf.evaluation.close_encounters import Encounters, Strata, encounters
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


def test_a_pass_through_the_face_of_a_box_by_hand():
    """In a box of 10, the second leaves at x = 9 and enters at 1, past the first at the corner."""
    paths, mask = paths_of([(0, 0), (0, 0)], [(6, 1), (14, 1)])
    box = 10.0 * np.eye(2)[None]
    found = encounters(paths, mask, box)
    np.testing.assert_allclose(found.closest_approach, [[1, 1]])
    np.testing.assert_allclose(found.passing_distance, [[1, 1]])
    np.testing.assert_allclose(encounters(paths, mask).closest_approach, [[37**0.5] * 2])


@pytest.mark.parametrize(
    "box", [np.diag([4.0, 5.0]), np.array([[4.0, 0.0], [1.5, 3.5]]), np.diag([4.0, 0.0]), 3.5 * np.eye(3)]
)
def test_a_slow_loop_over_images_agrees(box):
    generator = np.random.default_rng(5)
    size, boxes = len(box), np.stack([box, 1.5 * box])
    paths = generator.uniform(-3, 3, size=(2, 1, 8, size)) + 0.5 * generator.normal(size=(2, 6, 8, size)).cumsum(axis=1)
    found = encounters(paths, np.ones((2, 8)), boxes)
    fractions = np.linspace(0, 1, 51)[:, None, None]
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=size)))
    expected = np.full((2, 2, 8), np.inf)
    for window, particle, other in np.ndindex(2, 8, 8):
        apart = (paths[window, :, other] - paths[window, :, particle])[:, None] + shifts @ boxes[window]
        for first, second in itertools.pairwise(apart if other != particle else ()):
            lengths = np.linalg.norm(first + fractions * (second - first), axis=-1)
            nearest = lengths.min(axis=0)
            passes = nearest < 0.5 * np.minimum(lengths[0], lengths[-1])
            for kind, chosen in enumerate((nearest, nearest[passes])):
                expected[kind, window, particle] = min(expected[kind, window, particle], chosen.min(initial=np.inf))
    near = expected < 0.6  # and half a move is shorter than half the width less this
    assert near.any(axis=(1, 2)).all()
    both = np.stack([found.closest_approach, found.passing_distance])
    np.testing.assert_allclose(both[near], expected[near], atol=0.02)
    np.testing.assert_allclose(both[0], expected[0], atol=0.02)


def test_strata_split_all_real_particles():
    paths, mask = np.random.default_rng(1).normal(size=(6, 4, 5, 2)), np.ones((6, 5))
    mask[3, 2:] = 0
    error = np.random.default_rng(2).random((6, 3, 5, 2))
    scores = Scores(error[..., 0], error, error[..., 0], mask)
    found = encounters(paths, mask)
    tally = Strata(0.1, found)
    for window in range(len(mask)):
        one = slice(window, window + 1)
        each = Encounters(found.closest_approach[one], found.passing_distance[one])
        tally.add(each, Scores(scores.nll[one], scores.error[one], scores.level[one], mask[one]))
    strata = tally.result()
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


@pytest.mark.parametrize("box", [None, np.diag([6.0, 5.0])])
def test_large_systems_have_the_encounters_of_a_sample_of_particles(monkeypatch, box):
    paths = np.random.default_rng(0).normal(size=(2, 4, 40, 2)).cumsum(axis=1)
    mask = np.ones((2, 40))
    mask[1, 35:] = 0
    boxes = None if box is None else np.stack([box, box])
    whole = encounters(paths, mask, boxes)
    monkeypatch.setattr(close_encounters, "MOST_PARTICLES", 12)
    monkeypatch.setattr(close_encounters, "_SAMPLED_PAIRS", 144)
    monkeypatch.setattr(close_encounters, "_FEWEST", 3)
    some = encounters(paths, mask, boxes)
    for window, count in enumerate((40, 35)):
        known = ~np.isnan(some.closest_approach[window, :count])
        assert np.flatnonzero(known).tolist() == close_encounters.sample_of_particles(count).tolist()
        assert known.sum() == max(3, 144 // count)
        for name in ("closest_approach", "passing_distance"):
            ours, expected = getattr(some, name)[window, :count], getattr(whole, name)[window, :count]
            np.testing.assert_array_equal(ours[known], expected[known])
    scores = Scores(np.ones((2, 3, 40)), np.ones((2, 3, 40, 2)), np.ones((2, 3, 40)), mask)
    tally = Strata(0.1, some)
    tally.add(some, scores)
    counts = {kind: sum(row["count"] for row in rows) for kind, rows in tally.result().items()}
    assert counts == {"closest_approach": 144 // 40 + 144 // 35, "crossing": 144 // 40 + 144 // 35}


def test_strata_are_fifths_where_the_fixed_ones_would_not_split():
    """All are farther than 8 mean moves: the edges are the quantiles 0.2 to 0.8 of 80, 90, ..., 180 moves."""
    closest = np.arange(80.0, 181.0, 10.0)[None]
    error = np.ones((1, 1, 11, 2))
    scores = Scores(error[..., 0], error, error[..., 0], np.ones((1, 11)))
    found = Encounters(closest, np.full_like(closest, np.inf))
    tally = Strata(1.0, found)
    tally.add(found, scores)
    strata = tally.result()["closest_approach"]
    edges = [(0.0, 100.0), (100.0, 120.0), (120.0, 140.0), (140.0, 160.0), (160.0, None)]
    assert [(stratum["from"], stratum["to"]) for stratum in strata] == edges
    assert [stratum["count"] for stratum in strata] == [2, 2, 2, 2, 3]
