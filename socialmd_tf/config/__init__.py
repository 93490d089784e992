"""Configurations of models and training runs: the only place where their defaults live.

`ModelConfig` (model.py) is the network, `TrainConfig` (training.py) a training run, `PRESETS` (presets.py) are named
networks; json_format.py reads and writes them. How trajectories become windows is `pipelines.config.DataConfig`.
Begin with model.py.
"""

from socialmd_tf.config.json_format import from_dict, load_json, to_dict
from socialmd_tf.config.model import Interaction, ModelConfig
from socialmd_tf.config.presets import PRESETS, preset
from socialmd_tf.config.training import TrainConfig

__all__ = ["PRESETS", "Interaction", "ModelConfig", "TrainConfig", "from_dict", "load_json", "preset", "to_dict"]
