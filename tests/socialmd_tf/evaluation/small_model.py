"""Small models with random weights for datasets of the fixture `write_dataset`."""

import dataclasses

import keras

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.export.model_card import model_card
from socialmd_tf.export.saved_model import load
from socialmd_tf.export.write import export
from socialmd_tf.model import build_model, for_data
from socialmd_tf.parts.heads import HEADS, register_head
from socialmd_tf.training.run import RunState

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=2)
MANIFEST = Manifest("tiny", 2, ("mass",), "1", 0.1, {}, {})
SMALL = ModelConfig(cell="plain", interaction="none", input_layers=(4,), lstm_layers=(4,))


@register_head("restless", reads=("move_scale",), is_sampled=True)
def restless(config, name):
    """A head that is rolled out by draws, and quicker to export than `langevin`."""
    return HEADS["displacement"].build(config, name)


RANDOM = dataclasses.replace(SMALL, head="restless")
"""A model of random motion."""


def built_model(windows=WINDOWS, manifest=MANIFEST, seed=0, network=SMALL):
    """A `keras.Model`."""
    keras.utils.set_random_seed(seed)
    return build_model(for_data(network, manifest, windows, (1.0, 1.0)))


def exported_model(directory, windows=WINDOWS, manifest=MANIFEST, seed=0, network=SMALL):
    """An exported model, loaded."""
    model = built_model(windows, manifest, seed, network)
    config = TrainConfig(data="d", windows=windows, model=network)
    card = model_card(config, model, manifest, RunState([{"epoch": 1, "val_loss": 1.0}]))
    return load(export(model, directory, card))
