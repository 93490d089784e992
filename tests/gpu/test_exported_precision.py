"""What a model exported now predicts on a GPU, as a server runs it and compiled by XLA, is what a CPU predicts."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.export.saved_model import load, load_keras_model
from socialmd_tf.export.write import export

pytestmark = pytest.mark.gpu
SHIPPED = Path(__file__).parents[2] / "saved_models" / "nbody"
MOVE = 0.03


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The shipped network, exported again: the graph of an older export may round."""
    card = load(SHIPPED, compile="off").card
    return export(load_keras_model(SHIPPED), tmp_path_factory.mktemp("saved") / "again", card)


@pytest.mark.parametrize("compile", ["off", "on"])
def test_the_first_frame(compile, directory, record_property):
    """TF32 would be off by 7e-4 of a move, a few roundings of float32 by 4e-5."""
    generator = np.random.default_rng(0)
    start = generator.uniform(-2.5, 2.5, size=(16, 1, 25, 2))
    positions = start + generator.normal(0, MOVE, size=start.shape) * np.arange(5)[:, None, None]
    features = np.stack([generator.uniform(1, 4, size=(16, 25)), generator.choice([-1.0, 1.0], size=(16, 25))], axis=-1)
    with tf.device("CPU:0"):
        expected = load(directory, compile="off").moments(positions, features, 1)[0]
    difference = np.abs(load(directory, compile=compile).moments(positions, features, 1)[0] - expected) / MOVE
    record_property("differences", [float(np.quantile(difference, share)) for share in (0.5, 0.9, 1.0)])
    assert np.quantile(difference, 0.9) < 1e-4
