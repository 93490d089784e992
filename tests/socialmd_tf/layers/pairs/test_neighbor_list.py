"""Neighbour lists in periodic boxes by loops over pairs and images."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.pairs import few_or_many
from socialmd_tf.layers.pairs.neighbor_list import listed_displacements, neighbor_list
from tests.socialmd_tf.layers import periodic


@pytest.fixture(params=["all pairs", "cell list"], autouse=True)
def limit(request, monkeypatch):
    monkeypatch.setattr(few_or_many, "LIMIT", 1000 if request.param == "all pairs" else 0)


def slow_pairs(positions, mask, cutoff, boxes):
    """Pairs and displacements of nearest images by loops, in float64."""
    positions, found = positions.astype(float), {}
    for b, i, j in np.ndindex(*positions.shape[:2], positions.shape[1]):
        if i == j or not mask[b, i] or not mask[b, j]:
            continue
        turns = itertools.product(*(range(-6, 7) if vector.any() else (0,) for vector in boxes[b]))
        images = positions[b, j] - positions[b, i] + np.array(list(turns)) @ boxes[b]
        nearest = images[np.argmin(np.linalg.norm(images, axis=1))]
        if np.linalg.norm(nearest) <= cutoff:
            found[b * len(mask[0]) + i, b * len(mask[0]) + j] = nearest
    return found


@pytest.mark.slow_cases(all_but=["all pairs-*-triclinic", "all pairs-1.1-*", "cell list-*-s*"])
@pytest.mark.parametrize("box", periodic.BOXES.values(), ids=periodic.BOXES)
@pytest.mark.parametrize("cutoff", [periodic.CUTOFF, 1.1])
def test_pairs_of_nearest_images(box, cutoff):
    boxes, positions, mask = periodic.system(box, num_particles=9)
    positions = periodic.other_images(positions, boxes)
    expected = slow_pairs(positions, mask, cutoff, boxes.astype(float))
    pairs = neighbor_list(positions, mask, cutoff, boxes)
    found = dict(zip(map(tuple, pairs.numpy().tolist()), listed_displacements(positions, pairs, boxes), strict=True))
    assert len(found) == len(pairs)
    assert set(found) == set(expected)
    for pair, displacement in expected.items():
        np.testing.assert_allclose(found[pair], displacement, atol=1e-5)


def test_pairs_across_a_face_counted_by_hand():
    positions = np.array([[[0.2, 1.0], [5.9, 1.0], [3.0, 4.9]]], "float32")
    boxes = np.diag([6.0, 5.0])[None].astype("float32")
    assert len(neighbor_list(positions, None, 2.0)) == 0
    pairs = neighbor_list(positions, None, 2.0, boxes)
    assert sorted(map(tuple, pairs.numpy().tolist())) == [(0, 1), (1, 0)]
    np.testing.assert_allclose(sorted(listed_displacements(positions, pairs, boxes)[:, 0]), [-0.3, 0.3], atol=1e-6)


@pytest.mark.slow
def test_shapes_that_are_known_when_it_runs():
    boxes, positions, mask = periodic.system(periodic.BOXES["sheared"])
    traced = tf.function(
        lambda *arguments: neighbor_list(*arguments[:2], 2.0, arguments[2]),
        input_signature=[tf.TensorSpec([None, None, 2]), tf.TensorSpec([None, None]), tf.TensorSpec([None, 2, 2])],
    )
    found, expected = traced(positions, mask, boxes), neighbor_list(positions, mask, 2.0, boxes)
    assert sorted(found.numpy().tolist()) == sorted(expected.numpy().tolist())
    assert len(expected) > 4
