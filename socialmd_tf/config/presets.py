"""The presets: model configurations by name."""

from collections.abc import Mapping

from pipelines.errors import require
from socialmd_tf.config.model import ModelConfig

PRESETS: Mapping[str, ModelConfig] = {
    "thesis": ModelConfig(),
    "thesis-mixture": ModelConfig(num_components=5, correlated=False),
    "thesis-monogrid": ModelConfig(bins=64, side_lengths=(11.0,)),
    "lstm": ModelConfig(interaction="none"),
    "molecules-lstm": ModelConfig(cell="plain", interaction="none"),
    "pairwise": ModelConfig(head="kinematic", interaction="pairwise", units=64, scale_floor=1e-5),
    "kinematic": ModelConfig(
        head="kinematic",
        interaction="multiscale_pooling",
        units=64,
        state_embedding=8,
        bins=8,
        side_lengths=tuple(11 / 2**k for k in range(7)),
        num_components=3,
        scale_floor=1e-5,
    ),
    "verlet": ModelConfig(
        head="verlet", interaction="pairwise", units=64, num_components=3, softening=0.002, scale_floor=1e-5
    ),
    "forces": ModelConfig(
        head="verlet",
        force="basis",
        interaction="pairwise",
        units=64,
        num_components=3,
        substeps=16,
        growing_noise=True,
        measurement_noise=True,
        scale_floor=1e-7,
    ),
    "langevin": ModelConfig(cell="none", interaction="none", head="langevin", cutoff=2.5, pair_units=16),
}

PHYSICS: Mapping[str, str] = {
    "forces": "Under forces, smooth or with random kicks: planets, charges, springs, liquids, disks in a trap.",
    "verlet, pairwise": "The same in a box that changes, or with forces that no sum of pair terms describes.",
    "langevin": "Random, as of molecules in a solvent.",
    "thesis and its variants, lstm, molecules-lstm": "The thesis's experiments, for comparison.",
}
"""Presets -> the motion that they suit."""


def preset(name: str) -> ModelConfig:
    """The configuration of a preset.

    Args:
        name: One of `PRESETS`.

    Raises:
        UserError: No preset has this name.
    """
    require(isinstance(name, str) and name in PRESETS, "preset", f"one of {', '.join(PRESETS)}", name)
    return PRESETS[name]
