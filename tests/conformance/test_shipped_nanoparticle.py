"""The shipped model of nanoparticles, loaded with TensorFlow alone, draws the paths that it drew when exported."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

VERSION = Path(__file__).parents[2] / "saved_models" / "nanoparticle" / "1"
LAST_DRAWN = [
    [2.1079, 1.5454, 2.0298],
    [1.3780, 1.9905, 1.4513],
    [-1.7386, 1.3726, -1.8243],
    [1.7927, -1.7488, -1.5914],
]
"""Positions of the four molecules after 20 drawn frames, in nm."""


def strands():
    """Six frames of four molecules at rest, 3.1 nm above anchors on a sphere of 0.7 nm: OQL, ONC, OQL, ONC."""
    directions = np.array([[1, 1, 1], [1, 1.2, 1], [-1, 1, -1], [1, -1, -1]]) / np.sqrt([[3], [3.44], [3], [3]])
    features = np.concatenate([np.array([[1, 0, 0], [0, 0, 1]] * 2), 0.7 * directions], axis=1)
    positions = np.broadcast_to(3.1 * directions, (1, 6, 4, 3))
    return {"positions": tf.constant(positions, tf.float32), "features": tf.constant(features[None], tf.float32)}


@pytest.mark.slow
def test_drawn_paths_are_the_same():
    sample = tf.saved_model.load(str(VERSION)).signatures["sample"]
    drawn = sample(**strands(), horizon=tf.constant(20), seed=tf.constant([1, 2]))["positions"].numpy()
    assert drawn.shape == (1, 20, 4, 3)
    np.testing.assert_allclose(drawn[0, -1], LAST_DRAWN, atol=2e-3)
    moves = np.linalg.norm(np.diff(drawn[0], axis=0), axis=-1)
    assert 0.08 < moves.mean() < 0.2  # the typical move of the data is 0.14 nm


def test_the_card_says_what_it_is():
    card = json.loads((VERSION / "assets.extra" / "model_card.json").read_text())
    assert card["preset"] == "langevin" and card["features"][:3] == ["OQL", "PAN", "ONC"]
    assert card["length_unit"] == "nm" and sum(path.stat().st_size for path in VERSION.rglob("*")) < 4e6
