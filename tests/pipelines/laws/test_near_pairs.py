"""Pairs within a cutoff: by their definition, and from lists."""

import itertools

import numpy as np
import pytest

from pipelines.laws import near_pairs
from pipelines.laws.config import LennardJonesConfig
from pipelines.laws.near_pairs import NearPairs
from pipelines.laws.simulate import simulate

SIDE, CUTOFF = 5.0, 1.1


def moving(num_dimensions, seed=0):
    """Positions `[2, 60, D]` at eight times; a step is shorter than the skin, and some particles leave the box."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-SIDE, 2 * SIDE, (2, 60, num_dimensions))
    return np.cumsum([positions, *rng.normal(0, 0.02, (7, *positions.shape))], axis=0)


def by_definition(positions):
    """{(place of i, place of j)} of all systems, pair by pair and image by image."""
    found = set()
    for system, places in enumerate(positions):
        for i, j in itertools.permutations(range(len(places)), 2):
            apart = places[j] - places[i]
            images = itertools.product(range(-4, 5), repeat=len(apart))
            if min(np.linalg.norm(apart + SIDE * np.array(image)) for image in images) < CUTOFF:
                found.add((system * len(places) + i, system * len(places) + j))
    return found


def test_pairs_are_those_of_the_definition():
    positions = moving(2)[0]
    i, j, apart, squared = NearPairs(SIDE, CUTOFF)(positions)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == by_definition(positions) and len(i) > 100
    flat = positions.reshape(-1, 2)
    turns = (apart - (flat[j] - flat[i])) / SIDE
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
    np.testing.assert_allclose(squared, np.sum(apart**2, axis=1))


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_a_list_gives_the_same_bits_as_all_pairs(num_dimensions, monkeypatch):
    frames = moving(num_dimensions)
    wanted = [NearPairs(SIDE, CUTOFF)(positions) for positions in frames]
    monkeypatch.setattr(near_pairs, "_FEW", 0)
    listed = NearPairs(SIDE, CUTOFF)
    for positions, expected in zip(frames, wanted, strict=True):
        for values, others in zip(listed(positions), expected, strict=True):
            np.testing.assert_array_equal(values, others)


@pytest.mark.parametrize("cutoff", [SIDE / 2, 0.99 * SIDE / 2])
def test_lists_reach_at_most_half_the_box(cutoff, monkeypatch):
    positions = moving(2)[0]
    wanted = NearPairs(SIDE, cutoff)(positions)
    monkeypatch.setattr(near_pairs, "_FEW", 0)
    for values, expected in zip(NearPairs(SIDE, cutoff)(positions), wanted, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_a_liquid_has_the_same_bytes_with_and_without_lists(monkeypatch):
    config = LennardJonesConfig(num_particles=36, equilibration_steps=40, num_frames=4)
    whole = simulate(config, [np.random.default_rng(seed) for seed in (1, 2)])
    monkeypatch.setattr(near_pairs, "_FEW", 0)
    alone = simulate(config, [np.random.default_rng(2)])
    np.testing.assert_array_equal(alone.positions[0], whole.positions[1])
