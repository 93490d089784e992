"""On a GPU, compiled training steps compute what the others do."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf.config import TrainConfig
from socialmd_tf.model import rollout_layer
from socialmd_tf.training import loop
from socialmd_tf.training.sample_weights import with_sample_weights
from tests.gpu.networks import MOVE, NUM_SYSTEMS, OBSERVED, PREDICTED, batch, network, set_random_weights

pytestmark = pytest.mark.gpu
MANIFEST = Manifest("random", 2, ("mass", "charge"), "1", 1.0, {}, {})
WINDOWS = DataConfig(warm_up_steps=OBSERVED, rollout_steps=PREDICTED)


def losses(preset, num_steps, setting):
    """The losses of three steps, on three batches."""
    settings = {"windows": WINDOWS, "batch_size": NUM_SYSTEMS, "clip_norm": 1.0, "compile": setting}
    config = dataclasses.replace(TrainConfig.of_preset(preset), model=network(preset), **settings)
    model = loop.new_model(config, MANIFEST, (MOVE, MOVE), tf.distribute.MirroredStrategy(loop.visible_devices()))
    set_random_weights(model, preset)
    rollout_layer(model).training_steps = num_steps
    batches = tf.data.Dataset.from_generator(
        lambda: map(batch, range(3)), output_signature=tf.nest.map_structure(tf.type_spec_from_value, batch())
    )
    batches = with_sample_weights(batches, 1, num_steps)
    return model.fit(batches, epochs=3, steps_per_epoch=1, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize(
    ("preset", "num_steps"),
    [("lstm", None), ("thesis", None), ("pairwise", None), ("verlet", None), ("verlet", 0)],
)
@pytest.mark.parametrize("tf32", [False], indirect=True)
def test_losses(preset, num_steps, tf32, record_property):
    compiled, plain = losses(preset, num_steps, "on"), losses(preset, num_steps, "off")
    record_property("losses", (compiled, plain))
    assert len(set(plain)) == 3
    np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-4)
