"""Small exported models with random weights, for the tests of exports."""

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
SCALES = (0.5, 0.25)
SMALL = {
    "units": 8,
    "input_embedding": 4,
    "state_embedding": 4,
    "interaction_embedding": 4,
    "bins": 8,
    "filters": (2, 2),
    "kernel_size": 2,
    "side_lengths": (4.0, 2.0),
}
KINDS = {
    "gaussian": (2, SMALL),
    "mixture-3d": (3, {**SMALL, "filters": (2,), "num_components": 3, "correlated": False}),
    "pairwise": (2, {**SMALL, "interaction": "pairwise", "head": "kinematic", "softening": 0.5}),
    "verlet": (
        3,
        {**SMALL, "interaction": "pairwise", "head": "verlet", "softening": 0.5, "num_components": 2, "substeps": 2},
    ),
}


def untrained(num_dimensions, settings):
    """A model with random weights, its configuration and the manifest of its dataset."""
    manifest = Manifest("tiny", num_dimensions, ("mass",), "nm", 0.5, {"train": ("a.npy",)}, {}, time_unit="ps")
    config = TrainConfig(data="d", windows=WINDOWS, model=ModelConfig(**settings))
    keras.utils.set_random_seed(3)
    return build_model(for_data(config.model, manifest, WINDOWS, SCALES)), config, manifest


def export_untrained(directory, num_dimensions, settings):
    model, config, manifest = untrained(num_dimensions, settings)
    state = RunState([{"epoch": 1, "val_loss": 2.0}, {"epoch": 2, "val_loss": 1.0}, {"epoch": 3, "val_loss": 1.5}])
    return model, export(model, directory, model_card(config, model, manifest, state))


def random_inputs(batch_size, num_steps, num_particles, num_dimensions):
    generator = np.random.default_rng(num_steps)
    positions = generator.normal(size=(batch_size, num_steps, num_particles, num_dimensions))
    return positions.astype(np.float32), generator.normal(size=(batch_size, num_particles, 1)).astype(np.float32)
