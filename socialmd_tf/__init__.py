"""Learn how interacting particles move from their trajectories, and roll the motion out.

    import socialmd_tf as smd
    model = smd.load("saved_models/nbody")
    forecast = model.rollout(smd.read("data/nbody/test/00000.npy"), num_steps=30)

docs/api.md describes the names below. Each is imported when it is first used, so that importing the package is fast and
loads no TensorFlow. The commands are modules of this package (`python -m socialmd_tf` lists them); begin reading with
model.py and layers/.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config import DataConfig as DataConfig
    from socialmd_tf import layers as layers
    from socialmd_tf.config import PRESETS as PRESETS
    from socialmd_tf.config import ModelConfig as ModelConfig
    from socialmd_tf.config import TrainConfig as TrainConfig
    from socialmd_tf.evaluate import evaluate as evaluate
    from socialmd_tf.export.forecast import Forecast as Forecast
    from socialmd_tf.export.forecast import Samples as Samples
    from socialmd_tf.export.frames import Frames as Frames
    from socialmd_tf.export.frames import read as read
    from socialmd_tf.export.saved_model import ExportedModel as ExportedModel
    from socialmd_tf.export.saved_model import load as load
    from socialmd_tf.export.saved_model import load_keras_model as load_keras_model
    from socialmd_tf.model import build_model as build_model
    from socialmd_tf.training.train import train as train

    __version__: str

__all__ = [
    "PRESETS",
    "DataConfig",
    "ExportedModel",
    "Forecast",
    "Frames",
    "ModelConfig",
    "Samples",
    "TrainConfig",
    "__version__",
    "build_model",
    "evaluate",
    "layers",
    "load",
    "load_keras_model",
    "read",
    "train",
]

_HOMES = {
    "DataConfig": "pipelines.config",
    "ExportedModel": "socialmd_tf.export.saved_model",
    "Forecast": "socialmd_tf.export.forecast",
    "Frames": "socialmd_tf.export.frames",
    "ModelConfig": "socialmd_tf.config",
    "PRESETS": "socialmd_tf.config",
    "Samples": "socialmd_tf.export.forecast",
    "TrainConfig": "socialmd_tf.config",
    "build_model": "socialmd_tf.model",
    "evaluate": "socialmd_tf.evaluate",
    "load": "socialmd_tf.export.saved_model",
    "load_keras_model": "socialmd_tf.export.saved_model",
    "read": "socialmd_tf.export.frames",
    "train": "socialmd_tf.training.train",
}
_WITH_TENSORFLOW = {"ExportedModel", "build_model", "evaluate", "layers", "load", "load_keras_model", "train"}


class _Package(ModuleType):
    """This package. Its `train` and `evaluate` stay functions when the commands of these names are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, unless it is a submodule that has the name of a function."""
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("socialmd_tf")
    if name in _WITH_TENSORFLOW and "tensorflow" not in sys.modules:
        from socialmd_tf.commands import import_tensorflow

        import_tensorflow()
    if name == "layers":
        return importlib.import_module("socialmd_tf.layers")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
