"""Tiny exported models with random weights, for the tests of serving."""

import keras
import numpy as np

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.export.model_card import model_card
from socialmd_tf.export.write import export
from socialmd_tf.model import build_model, for_data
from socialmd_tf.training.run import RunState

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)
TINY = {
    "units": 4,
    "input_embedding": 4,
    "state_embedding": 4,
    "interaction_embedding": 4,
    "bins": 4,
    "filters": (2,),
    "kernel_size": 2,
    "side_lengths": (4.0,),
    "softening": 0.5,
}
ALONE = {**TINY, "interaction": "none", "head": "kinematic"}
"""Particles that do not see each other: exported in a third of the time."""
PAIRWISE = {**ALONE, "interaction": "pairwise"}


BOX = (6.0, 5.0)
BONDS = np.array([[1, 0, 2], [2, 3, 1]])


def export_untrained(directory, settings, num_dimensions=2, features=("mass",), **known):
    """Export a model of these settings as the next version in `directory`; returns its path.

    `known` are optional keys of the manifest, with files beside `directory`.
    """
    manifest = Manifest("tiny", num_dimensions, features, "nm", 0.5, {"train": ("a.npy",)}, {}, **known)
    config = TrainConfig(data="d", windows=WINDOWS, model=ModelConfig(**settings))
    keras.utils.set_random_seed(3)
    model = build_model(for_data(config.model, manifest, WINDOWS, (1.0, 1.0), directory.parent))
    if known:  # new heads are zero, and nothing would depend on what interactions read
        generator = np.random.default_rng(1)
        for weight in model.trainable_weights:
            weight.assign(generator.normal(scale=0.3, size=weight.shape))
    return export(model, directory, model_card(config, model, manifest, RunState([{"epoch": 1, "val_loss": 1.0}])))


def export_with_optional_inputs(directory):
    """A model that takes a box, bonds of types 1 and 2, which it does not use, and velocities."""
    directory.parent.mkdir(exist_ok=True)
    np.save(directory.parent / "bonds.npy", BONDS)
    features = ("mass", "velocity_x", "velocity_y")
    return export_untrained(directory, PAIRWISE, features=features, box=BOX, edges="bonds.npy")
