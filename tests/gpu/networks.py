"""Every preset as a small task: a network with random weights, inputs and targets."""

import dataclasses
import zlib

import keras
import numpy as np

from socialmd_tf.config import PRESETS
from socialmd_tf.config.terms import Channel, Factor, Terms
from socialmd_tf.model import build_model

NUM_SYSTEMS, NUM_PARTICLES, OBSERVED, PREDICTED = 3, 6, 3, 2
MOVE = 0.02
CHARGES = Factor(powers=((1.0, 1.0),))


def network(preset):
    """The preset's `ModelConfig`, for inputs of `batch`; without dropout, for which devices draw other numbers."""
    given = {
        "dropout": 0.0,
        "num_features": 2,
        "rollout_steps": PREDICTED,
        "move_scale": MOVE,
        "acceleration_scale": MOVE,
    }
    terms = Terms(pairs=(Channel(CHARGES, CHARGES),)) if preset == "forces" else Terms()
    return dataclasses.replace(PRESETS[preset], terms=terms, **given)


def set_random_weights(model, preset):
    """Random weights, the same ones every time: new ones let many parts have no effect."""
    generator = np.random.default_rng(zlib.crc32(preset.encode()))
    model.set_weights(
        [
            generator.normal(scale=0.5 / np.sqrt(max(weight.shape[0], 4)) if weight.shape else 0.1, size=weight.shape)
            for weight in model.get_weights()
        ]
    )


def random_model(preset):
    """A model of a preset with random weights."""
    model = build_model(network(preset))
    set_random_weights(model, preset)
    return model


def batch(seed=0):
    """Inputs and targets `[B, T', N, D]`: particles in straight motion, within each other's reach; one is padding."""
    generator = np.random.default_rng(seed)
    shape = NUM_SYSTEMS, 1, NUM_PARTICLES, 2
    times = np.arange(OBSERVED + PREDICTED)[:, None, None]
    frames = generator.uniform(-2, 2, size=shape) + generator.normal(0, MOVE, size=shape) * times
    mask = np.ones((NUM_SYSTEMS, NUM_PARTICLES), "float32")
    mask[1, -1] = 0
    frames = (frames * mask[:, None, :, None]).astype("float32")
    features = generator.normal(size=(NUM_SYSTEMS, NUM_PARTICLES, 2)).astype("float32")
    return {"positions": frames[:, :OBSERVED], "features": features, "mask": mask}, frames[:, OBSERVED:]


def relative_error(found, expected):
    """Norm of the difference of two lists of arrays, relative to that of the second."""
    difference = [np.asarray(a, np.float64) - np.asarray(b, np.float64) for a, b in zip(found, expected, strict=True)]
    return _norm(difference) / _norm(expected)


def _norm(arrays):
    return np.sqrt(sum(np.sum(np.square(np.asarray(array, np.float64))) for array in keras.tree.flatten(arrays)))
