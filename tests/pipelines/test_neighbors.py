"""Pairs within a distance, against all pairs and all images one by one."""

import itertools

import numpy as np
import pytest

from pipelines import neighbors
from pipelines.boxes import half_height
from pipelines.neighbors import VerletList, pairs_within

BOXES = {
    "open": None,
    "rectangular": np.diag([3.0, 4.0, 5.0]),
    "open along an axis": np.diag([3.0, 0.0, 5.0]),
    "triclinic": np.array([[4.0, 0.0, 0.0], [1.5, 4.0, 0.0], [-1.0, 0.7, 5.0]]),
    "triclinic, open along an axis": np.array([[4.0, 0.0, 0.0], [1.5, 4.0, 0.0], [0.0, 0.0, 0.0]]),
}


def by_definition(positions, box, distance):
    turns = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    shifts = np.zeros((1, 3)) if box is None else turns @ box
    found = []
    for i, j in itertools.permutations(range(len(positions)), 2):
        lengths = np.linalg.norm(positions[j] - positions[i] + shifts, axis=1)
        if lengths.min() <= distance:
            found.append((i, j))
    return found


@pytest.mark.parametrize("kind", BOXES)
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_pairs_are_those_of_the_definition(kind, share):
    box = BOXES[kind]
    distance = share * (4.0 if box is None else half_height(box))
    positions = np.random.default_rng(0).uniform(-2.5, 5.5, (40, 3))
    i, j = pairs_within(positions, box, distance)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == by_definition(positions, box, distance)
    assert len(i) > 50


@pytest.mark.parametrize("kind", BOXES)
def test_particles_without_a_position_are_in_no_pair(kind):
    positions = np.random.default_rng(0).uniform(0, 3, (20, 3))
    wanted = pairs_within(np.delete(positions, [3, 7], axis=0), BOXES[kind], 1.0)
    positions[3], positions[7, 1] = np.nan, np.inf
    kept = np.delete(np.arange(20), [3, 7])
    for found, expected in zip(pairs_within(positions, BOXES[kind], 1.0), wanted, strict=True):
        np.testing.assert_array_equal(found, kept[expected])


def test_a_position_on_a_face_has_its_neighbours_across_it():
    box = np.diag([2.0, 2.0])
    positions = np.array([[2.0, 1.0], [1.9, 1.0], [0.1, 1.0], [-1e-18, 0.0]])
    i, j = pairs_within(positions, box, 0.15)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (2, 0)]


def test_no_particles_have_no_pairs():
    assert [len(end) for end in pairs_within(np.zeros((0, 2)), None, 1.0)] == [0, 0]


@pytest.mark.parametrize("kind", BOXES)
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_list_misses_no_pair_and_serves_as_long_as_it_may(kind, share, monkeypatch):
    box = BOXES[kind]
    cutoff = share * (1.5 if box is None else half_height(box))
    rng = np.random.default_rng(1)
    frames = np.cumsum([rng.uniform(-2.5, 5.5, (40, 3)), *rng.normal(0, 0.01, (19, 40, 3))], axis=0)
    made = []
    monkeypatch.setattr(neighbors, "pairs_within", lambda *args: made.append(1) or pairs_within(*args))
    listed, once = VerletList(box, cutoff), VerletList(box, cutoff, is_ordered=False)
    for positions in frames:
        found = set(zip(*(end.tolist() for end in listed(positions)), strict=True))
        assert found >= set(by_definition(positions, box, cutoff))
        assert set(zip(*(end.tolist() for end in once(positions)), strict=True)) == {(i, j) for i, j in found if i < j}
    # A cutoff of half the box leaves no room for more.
    count = 2 * len(frames)
    assert len(made) == count if box is not None and share == 1 else 2 < len(made) < count


def test_a_list_is_made_anew_after_positions_that_are_not_finite():
    positions = np.random.default_rng(0).uniform(0, 3, (20, 3))
    wanted = pairs_within(positions, None, 1.15)
    listed = VerletList(None, 1.0)
    listed(np.full_like(positions, np.nan))
    np.testing.assert_array_equal(listed(positions), wanted)
