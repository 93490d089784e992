"""How many windows a batch has at most: of large systems fewer, unless the user has chosen the number."""

import dataclasses

from pipelines.counts import counted
from socialmd_tf.config.training import TrainConfig

MOST_PARTICLES = 8192
"""In all windows of a batch together. Training needs half a megabyte for each, with 35 frames."""


def bounded(config: TrainConfig, num_particles: int) -> TrainConfig:
    """The configuration with batches of at most 8192 particles, or of one window; a size that was chosen stays.

    Args:
        config: The configuration.
        num_particles: Largest number of particles of a window.
    """
    default = TrainConfig.of_preset(config.preset).batch_size
    most = max(1, MOST_PARTICLES // num_particles)
    if config.batch_size != default or most >= default:
        return config
    return dataclasses.replace(config, batch_size=most)


def batch_note(config: TrainConfig, num_particles: int) -> list[str]:
    """What `bounded` changes, in no or one line; arguments likewise."""
    size = bounded(config, num_particles).batch_size
    if size == config.batch_size:
        return []
    return [f"--batch-size is {size} instead of {config.batch_size}: {counted(num_particles, 'particle')} per window"]
