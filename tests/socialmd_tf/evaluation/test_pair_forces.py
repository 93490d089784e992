"""Learned forces between pairs, beside the true ones."""

import dataclasses
import types

import keras
import numpy as np
import pytest

from pipelines.common_windows import CommonWindows
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig
from socialmd_tf.evaluation import models, pair_forces
from socialmd_tf.evaluation.pair_distances import kinds_of_pairs
from socialmd_tf.evaluation.scored_windows import ScoredWindows
from socialmd_tf.model import build_model, for_data, rollout_layer
from tests.socialmd_tf.evaluation.small_model import WINDOWS

CONSTANTS = {"coulomb_constant": 300.0, "gravitational_constant": 20.0}
NAMES = ("mass", "charge")


@pytest.fixture
def charged(write_dataset, random_trajectory):
    """One file of 6 particles with masses and charges of both signs, whose forces are known."""
    frames = random_trajectory(num_particles=6, seed=3)
    features = np.stack([np.arange(1.0, 7), [1, -1, 2, -2, 3, -3]], axis=-1)
    frames = np.concatenate([frames[..., :2], np.broadcast_to(features, (len(frames), 6, 2))], axis=-1)
    directory = write_dataset(
        {"train": [frames.astype(np.float32)], "test": [frames.astype(np.float32)]}, features=NAMES
    )
    provenance = {"command": "python -m socialmd_tf.simulate", "config": CONSTANTS}
    dataclasses.replace(Manifest.load(directory), provenance=provenance).save(directory)
    return directory


def verlet(manifest, **settings):
    """A model with random pair forces that are not zero."""
    keras.utils.set_random_seed(1)
    config = ModelConfig(head="verlet", interaction="pairwise", units=4, pair_units=4, **settings)
    model = build_model(for_data(config, manifest, WINDOWS, (1.0, 0.5)))
    for weight in rollout_layer(model).head.force.trainable_variables:
        weight.assign(0.3 * keras.random.normal(weight.shape))
    return model


def slow_distances(directory):
    """Distances of all pairs of the last observed frames of all windows, by the signs of their charges."""
    frames, found = np.load(directory / Manifest.load(directory).splits["test"][0]), {}
    for last in CommonWindows([WINDOWS]).last_observed(len(frames)):
        for i in range(6):
            for j in range(i):
                key = tuple(sorted(frames[0, [i, j], 3] >= 0))
                found.setdefault(key, []).append(np.linalg.norm(frames[last, i, :2] - frames[last, j, :2]))
    return found


def test_kinds_are_the_signs_of_charges_and_distances_those_of_a_slow_loop(charged):
    pairs = kinds_of_pairs(ScoredWindows(CommonWindows([WINDOWS]), charged, "test"), Manifest.load(charged))
    expected = slow_distances(charged)
    names = {"charge < 0 and charge >= 0": (False, True), "charge < 0 and charge < 0": (False, False)}
    names["charge >= 0 and charge >= 0"] = (True, True)
    assert {pair.name for pair in pairs} == set(names) and pairs[0].name == "charge < 0 and charge >= 0"
    for pair in pairs:
        np.testing.assert_allclose(np.sort(pair.distances), np.sort(expected[names[pair.name]]), rtol=1e-5)
    np.testing.assert_allclose(pairs[0].features, [[4, -2], [3, 2]])  # the medians


def test_learned_and_true_forces(charged):
    """The learned force is mass times acceleration, of a pair that lies along another axis; the true one by hand."""
    manifest = Manifest.load(charged)
    model = verlet(manifest)
    scored = ScoredWindows(CommonWindows([WINDOWS]), charged, "test")
    curves, left_out = pair_forces.pair_forces({"ours": models.prepare(model, manifest, WINDOWS)}, scored, manifest)
    assert left_out == {} and len(curves) == 3
    curve = curves[0]
    r, force = np.array(curve["r"]), rollout_layer(model).head.force
    positions = np.zeros((len(r), 2, 2), np.float32)
    positions[:, 0, 1] = r
    features = np.broadcast_to(np.array([[4, -2], [3, 2]], np.float32), (len(r), 2, 2))
    interval = WINDOWS.subsample * manifest.time_between_frames
    expected = -4 * np.asarray(force(positions, features))[:, 0, 1] / interval**2
    assert curve["quantity"] == "force"
    np.testing.assert_allclose(curve["learned"]["ours"], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    true = (20 * 4 * 3 - 300 * -2 * 2) / r**2
    np.testing.assert_allclose(curve["true"], true, rtol=1e-4)
    assert sum(curve["counts"]) == len(slow_distances(charged)[False, True])


def test_heads_without_forces_have_no_curves_and_are_not_rebuilt(charged):
    def network():
        raise AssertionError

    plain = types.SimpleNamespace(head_name="kinematic", network=network)
    unknown = types.SimpleNamespace(head_name=None, network=network)
    assert pair_forces.pair_forces({"a": plain, "b": unknown}, None, None) == ([], {})
