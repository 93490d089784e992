"""The hyperparameters: the fields of `TrainConfig` that they set, and their usual ranges.

To make a field searchable, add a row to `TABLE`. Nothing here needs TensorFlow, so that a user's mistake is reported at
once.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from socialmd_tf.config import NO_INTERACTION, TrainConfig, from_dict
from socialmd_tf.parts import CELLS, HEADS, INTERACTIONS, Registry
from socialmd_tf.tuning.ranges import Range, Value


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A row of the table.

    `name` is the dotted field of `TrainConfig` that it sets. Of a field that is a tuple, it sets one aspect, whose name
    follows that of the field (see `TUPLES`). A field that only some cells, heads or interactions read
    (`socialmd_tf.parts`) is searched only for these.
    """

    name: str
    range: Range
    """Usual range. Of lengths: as multiples of the length in the configuration."""
    relative: bool = False
    """Whether `range` holds multiples, since the right length depends on the dataset."""
    usual_for: str | None = None
    """The part that the usual range is meant for; others that read the field are searched only over a range that the
    user gives."""
    on_request: bool = False
    """Whether it is searched only if the user names it."""


_STACKED = "stacked_pooling"

PARENTS: Mapping[str, Registry[Any]] = {
    "model.cell": CELLS,
    "model.head": HEADS,
    "model.interaction": INTERACTIONS,
}
"""Hyperparameters that decide which others matter; their values are names of parts."""

TABLE = (
    Hyperparameter("learning_rate", Range(low=1e-4, high=1e-2, log=True)),
    Hyperparameter("clip_norm", Range((0.0, 0.1, 1.0, 10.0))),
    Hyperparameter("batch_size", Range((16, 32, 64)), on_request=True),
    *(Hyperparameter(parent, Range(), on_request=True) for parent in PARENTS),
    Hyperparameter("model.units", Range((32, 64, 128, 256))),
    Hyperparameter("model.input_embedding", Range((16, 32, 64))),
    Hyperparameter("model.input_layers.count", Range(low=1, high=2, step=1)),
    Hyperparameter("model.input_layers.width", Range((16, 32, 64, 128))),
    Hyperparameter("model.lstm_layers.count", Range(low=1, high=2, step=1)),
    Hyperparameter("model.lstm_layers.first", Range((32, 64, 128, 256))),
    Hyperparameter("model.lstm_layers.others", Range((32, 64, 128, 256))),
    Hyperparameter("model.output_layers.count", Range(low=1, high=2, step=1)),
    Hyperparameter("model.output_layers.width", Range((16, 32, 64, 128))),
    Hyperparameter("model.dropout", Range(low=0.0, high=0.5, step=0.1)),
    Hyperparameter("model.num_components", Range(low=1, high=5, step=1)),
    Hyperparameter("model.correlated", Range((False, True))),
    Hyperparameter("model.side_lengths.count", Range(low=1, high=4, step=1), usual_for=_STACKED),
    Hyperparameter("model.side_lengths.largest", Range(low=0.5, high=2.0, log=True), relative=True),
    Hyperparameter("model.bins", Range((16, 32, 64)), usual_for=_STACKED),
    Hyperparameter("model.filters.count", Range(low=1, high=3, step=1)),
    Hyperparameter("model.filters.width", Range((8, 16, 32))),
    Hyperparameter("model.kernel_size", Range(low=2, high=5, step=1)),
    Hyperparameter("model.state_embedding", Range((16, 32, 64)), usual_for=_STACKED),
    Hyperparameter("model.interaction_embedding", Range((16, 32, 64))),
    Hyperparameter("model.cutoff", Range(low=0.25, high=1.0, log=True), relative=True),
    Hyperparameter("model.softening", Range(low=0.2, high=5.0, log=True), relative=True),
    Hyperparameter("model.pair_units", Range((16, 32, 64))),
    Hyperparameter("model.pair_channels", Range((4, 8, 16))),
    Hyperparameter("model.charges", Range((2, 4, 8))),
    Hyperparameter("model.substeps", Range((4, 8, 16))),
)


def _grids(count: int, largest: float) -> tuple[float, ...]:
    return tuple(largest / 2**index for index in range(count))


def _filters(count: int, width: int) -> tuple[int, ...]:
    return (width,) * (count - 1) + (2 * width if count > 1 else width,)


def _perceptron(count: int, width: int) -> tuple[int, ...]:
    return (width,) * count


def _read_perceptron(sizes: tuple[int, ...]) -> dict[str, Any]:
    return {"count": len(sizes), "width": sizes[0] if sizes else 64}


def _lstms(count: int, first: int, others: int) -> tuple[int, ...]:
    return (first, *[others] * (count - 1))[:count]


TUPLES: Mapping[str, tuple[Callable[..., dict[str, Any]], Callable[..., tuple[Any, ...]]]] = {
    "model.side_lengths": (lambda sides: {"count": len(sides), "largest": max(sides)}, _grids),
    "model.filters": (lambda filters: {"count": len(filters), "width": filters[0]}, _filters),
    "model.input_layers": (_read_perceptron, _perceptron),
    "model.lstm_layers": (lambda sizes: {"count": len(sizes), "first": sizes[0], "others": sizes[-1]}, _lstms),
    "model.output_layers": (_read_perceptron, _perceptron),
}
"""Fields that are tuples: their aspects, and the tuple of given aspects. Each grid has half the side length of the one
before; the last of several convolutions has twice the filters of the others, as in the thesis. The first LSTM of the
plain cell has its own width, since the thesis tuned its two separately (section 3.4)."""


def value_in(config: TrainConfig, name: str) -> Any:
    """The value of a hyperparameter in a configuration."""
    field, _, aspect = name.rpartition(".")
    if field in TUPLES:
        return TUPLES[field][0](value_in(config, field))[aspect]
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def with_values(config: TrainConfig, values: Mapping[str, Value]) -> TrainConfig:
    """A configuration with other values of some hyperparameters.

    Args:
        config: The configuration.
        values: Names of `TABLE` -> values.

    Raises:
        UserError: The values contradict each other.
    """
    changes: dict[str, Any] = {"model": {}}
    new: Any
    for name, value in values.items():
        field, new = name, value
        parent = name.rpartition(".")[0]
        if parent in TUPLES:
            read, make = TUPLES[parent]
            aspects = read(value_in(config, parent))
            aspects |= {key: values[f"{parent}.{key}"] for key in aspects if f"{parent}.{key}" in values}
            field, new = parent, list(make(**aspects))
        owner = changes["model"] if field.startswith("model.") else changes
        owner[field.removeprefix("model.")] = new
    model = changes["model"]
    if "head" in model and "correlated" not in HEADS[model["head"]].reads:
        model.setdefault("correlated", True)
    if "cell" in model and not CELLS[model["cell"]].interacts:
        model["interaction"] = NO_INTERACTION
    return from_dict(TrainConfig, changes, config)
