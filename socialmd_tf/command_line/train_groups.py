"""The groups of flags on the help pages of `train` and `tune`: those of the chosen network, and all others hidden."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from pipelines.config import DataConfig
from socialmd_tf.command_line.help_page import Group
from socialmd_tf.config import FitConfig, ModelConfig, TrainConfig
from socialmd_tf.config.presets import PHYSICS
from socialmd_tf.parts import CELLS, HEADS, INTERACTIONS, Registry

_RESULTS = (
    "config",
    "data",
    "preset",
    "initial_weights",
    "initial_model",
    "run_directory",
    "export_directory",
    "max_horizon",
    "final",
)
_PARTS = ("cell", "interaction", "head")


def train_groups(config: TrainConfig) -> list[Group]:
    """The groups of a `TrainConfig`, or of a class with more fields, which come first.

    Args:
        config: The defaults of the flags; the parts of its network are shown.
    """
    nested = {field.name for field in dataclasses.fields(TrainConfig) if field.default is dataclasses.MISSING}
    plain = [field.name for field in dataclasses.fields(TrainConfig) if field.name not in nested]
    more = [field.name for field in dataclasses.fields(config) if field.name not in nested.union(plain)]
    return [
        Group("Search", tuple(more)),
        Group("Data and results", tuple(name for name in _RESULTS if name in plain)),
        Group("Which preset for which motion (`check` tells which motion the data have)", (), tuple(PHYSICS.items())),
        Group("Training", tuple(name for name in plain if name not in _RESULTS)),
        Group("Windows", tuple(f"windows.{field.name}" for field in dataclasses.fields(DataConfig))),
        Group(
            "Fit of the forces",
            tuple(f"fitting.{field.name}" for field in dataclasses.fields(FitConfig)),
            is_shown=config.is_fitted,
        ),
        *_model_groups(config.model),
    ]


def _model_groups(model: ModelConfig) -> Iterator[Group]:
    """What every network has, then the fields that its parts read, then those of other parts, hidden."""
    registries: dict[str, Registry[Any]] = {"cell": CELLS, "interaction": INTERACTIONS, "head": HEADS}
    chosen = [(kind, getattr(model, kind)) for kind in _PARTS]
    others = [(kind, name) for kind in _PARTS for name in registries[kind] if (kind, name) not in chosen]
    names = [field.name for field in dataclasses.fields(ModelConfig) if field.name not in _PARTS]
    claimed = {field for kind, name in chosen + others for field in registries[kind][name].reads}
    yield Group("Network", tuple(f"model.{name}" for name in (*_PARTS, *(n for n in names if n not in claimed))))
    taken: set[str] = set()
    for kind, name in chosen + others:
        fields = [field for field in names if field in registries[kind][name].reads and field not in taken]
        taken.update(fields)
        title, is_shown = f"Network, {kind} {name}", (kind, name) in chosen
        yield Group(title, tuple(f"model.{field}" for field in fields), is_shown=is_shown)
