"""On a GPU, first frames are those of the processor: `pytest -m gpu`."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.config import PRESETS, preset
from socialmd_tf.export.saved_model import load, load_keras_model
from socialmd_tf.export.write import export
from socialmd_tf.layers.static_shapes import static_shapes
from socialmd_tf.model import build_model, rollout_layer

SHIPPED = Path(__file__).parents[2] / "saved_models" / "nbody"
MOVE = 0.05
EXACT = 1e-4  # of a move: a few roundings of float32 at these distances; TF32 is off by 7e-4
ROUNDED = 2e-2  # of a move: the states of LSTMs and the images of neighbours are rounded

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu():
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("no GPU")


def frames(num_systems=8, num_particles=25, num_steps=5, num_dimensions=2):
    """Systems in straight motion, particles about 1 apart."""
    generator = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(25, 2)[:num_particles] - 2.0
    places = places + generator.uniform(-0.2, 0.2, (num_systems, num_particles, num_dimensions))
    moves = MOVE * generator.normal(size=places.shape)
    positions = places[:, None] + np.arange(num_steps)[:, None, None] * moves[:, None]
    features = np.stack([generator.uniform(1, 4, places.shape[:2]), generator.normal(size=places.shape[:2])], axis=-1)
    return positions.astype("float32"), features.astype("float32")


def difference(found, expected):
    """Largest difference of positions, in moves."""
    return np.abs(np.asarray(found) - np.asarray(expected)).max() / MOVE


@pytest.mark.parametrize("way", ["compiled", "exported"])
def test_the_shipped_model_gives_the_processor_s_first_frame(way, tmp_path):
    model = load_keras_model(SHIPPED)
    loaded = load(SHIPPED, compile="off")
    directory = export(model, tmp_path / "again", loaded.card)
    positions, features = frames()
    with tf.device("/CPU:0"):
        expected = load(directory, compile="off").moments(positions, features, 1)[0]
    found = load(directory, compile="on" if way == "compiled" else "off").moments(positions, features, 1)[0]
    assert difference(found, expected) < EXACT


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_give_the_processor_s_first_frame(name, is_compiled):
    config = preset(name)
    model = build_model(config)
    generator = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + 0.05 * generator.normal(size=weight.shape))
    positions, features = frames(num_dimensions=config.num_dimensions)
    features = features[..., : config.num_features]
    inputs = {"positions": positions, "features": features, "mask": np.ones(features.shape[:2], "float32")}
    layer = rollout_layer(model)

    def first_frame(is_static):
        with static_shapes(is_static):
            return layer.head.layout.mean(layer.run(inputs, 1)[0])

    with tf.device("/CPU:0"):
        expected = tf.function(first_frame)(False)
    found = tf.function(first_frame, jit_compile=is_compiled)(is_compiled)
    assert difference(found, expected) < (EXACT if config.head == "verlet" else ROUNDED)
