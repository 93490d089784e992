"""Configurations of models and training runs: the only place where their defaults live.

`ModelConfig` (model.py) is the network, `TrainConfig` (training.py) a training run, `FitConfig` (fitting.py) the fit of
its forces. `PRESETS` (presets.py) are networks by name. json_format.py reads and writes configurations.
`pipelines.config.DataConfig` says how trajectories become windows, and `socialmd_tf.parts` which cells, heads and
interactions there are. Begin with model.py.
"""

from socialmd_tf.config.fitting import FitConfig
from socialmd_tf.config.json_format import from_dict, load_json, to_dict
from socialmd_tf.config.model import NO_INTERACTION, ModelConfig
from socialmd_tf.config.presets import PRESETS, preset
from socialmd_tf.config.training import TrainConfig

__all__ = [
    "NO_INTERACTION",
    "PRESETS",
    "FitConfig",
    "ModelConfig",
    "TrainConfig",
    "from_dict",
    "load_json",
    "preset",
    "to_dict",
]
