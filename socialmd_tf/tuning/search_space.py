"""The hyperparameters of a search: the fields of `TrainConfig` that they set, and their usual ranges.

To make a field searchable, add a row to `TABLE`. Nothing here needs TensorFlow, so that a user's mistake is reported at
once.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.errors import UserError, require
from socialmd_tf.config import NO_INTERACTION, TrainConfig, from_dict
from socialmd_tf.parts import CELLS, HEADS, INTERACTIONS, Registry

Value = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Range:
    """Values of a hyperparameter: a list, or all from `low` to `high`."""

    values: tuple[Value, ...] = ()
    """The list; empty where `low` and `high` are the bounds."""
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    """Difference of two neighbouring values, or their ratio if `log`."""
    log: bool = False
    """Whether all orders of magnitude are equally likely."""
    when: tuple[str, tuple[Value, ...]] | None = None
    """A parent, and those of its values for which the hyperparameter matters; None where it always does."""

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The bounds, or the whole list."""
        return self.values or (self.low, self.high)


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


def parse_range(name: str, text: Any, kind: type) -> Range:
    """The range that a user wrote.

    Args:
        name: The hyperparameter.
        text: "LOW:HIGH", "LOW:HIGH:STEP", either with ":log" at the end; values separated by commas; a single value; or
            a list of values.
        kind: The type of the values.

    Raises:
        UserError: The text is none of these.
    """
    rule = f"LOW:HIGH[:STEP][:log] or VALUE,VALUE,... of type {kind.__name__}"
    if isinstance(text, str) and ":" in text and kind in (int, float):
        *numbers, last = text.split(":")
        log = last == "log"
        numbers += [] if log else [last]
        require(len(numbers) in (2, 3), name, rule, text)
        low, high, *step = [_convert(name, number, kind, rule) for number in numbers]
        require(low < high, name, "a range LOW:HIGH with LOW below HIGH", text)
        require(not log or low > 0, name, "above 0 for a logarithmic range", text)
        require(not step or step[0] > (1 if log else 0), name, f"a range with a step above {int(log)}", text)
        return Range(low=low, high=high, step=step[0] if step else 1 if kind is int and not log else None, log=log)
    items = text if isinstance(text, list) else text.split(",") if isinstance(text, str) else [text]
    require(len(items) > 0, name, rule, text)
    values = tuple(_convert(name, item, kind, rule) for item in items)
    require(len(set(values)) == len(values), name, "values that differ", text)
    return Range(values)


def _convert(name: str, item: Any, kind: type, rule: str) -> Any:
    if kind is bool:
        truths = {"true": True, "false": False}
        require(str(item).lower() in truths, name, rule, item)
        return truths[str(item).lower()]
    try:
        require(not isinstance(item, bool), name, rule, item)
        value = kind(item)
        require(not (kind is int and isinstance(item, float)), name, rule, item)
        require(kind is not float or math.isfinite(value), name, rule, item)
    except (TypeError, ValueError):
        raise UserError(f"`{name}` must be {rule}. Received: {item!r}") from None
    return value


def search_space(config: TrainConfig, ranges: Mapping[str, Any], only: tuple[str, ...] = ()) -> dict[str, Range]:
    """The ranges of a search around a configuration; parents come before the hyperparameters that depend on them.

    Args:
        config: Where everything that is not searched comes from.
        ranges: Names of `TABLE` -> ranges as `parse_range` takes them, instead of the usual ones.
        only: If not empty, the hyperparameters to search, besides those of `ranges`.

    Returns:
        Names -> ranges. A parent that is not searched has its one value in the configuration.

    Raises:
        UserError: A name or range is unknown, or a range holds values that no model can have.
    """
    names = [row.name for row in TABLE]
    for name in (*ranges, *only):
        require(name in names, "hyperparameter", f"one of {', '.join(names)}", name)
    space: dict[str, Range] = {}
    for row in TABLE:
        wanted = row.name in ranges or row.name in only
        if row.name in PARENTS:
            space[row.name] = _parent_range(row.name, config, ranges, space, wanted)
        elif wanted or not (row.on_request or only):
            readers = _readers(row, space, wanted)
            if readers is None or any(readers.values()):
                space[row.name] = dataclasses.replace(_range(row, config, ranges), when=_scope(readers, space))
            else:
                parts = ", ".join(str(value) for parent in PARENTS for value in space[parent].values)
                require(not wanted, row.name, f"left out unless {_reader_names(row)}", parts)
    _check(config, space)
    return space


def _parent_range(
    name: str, config: TrainConfig, ranges: Mapping[str, Any], space: Mapping[str, Range], wanted: bool
) -> Range:
    """The names of parts to search: those given, all that go with the parents so far, or the configuration's own."""
    if name in ranges:
        return parse_range(name, ranges[name], str)
    if not wanted:
        return Range((value_in(config, name),))
    fixed = {parent: range_.values[0] for parent, range_ in space.items() if parent in PARENTS}
    return Range(tuple(part for part in PARENTS[name] if _is_possible(config, {**fixed, name: part})))


def _is_possible(config: TrainConfig, values: Mapping[str, Value]) -> bool:
    try:
        return all(value_in(with_values(config, values), name) == value for name, value in values.items())
    except UserError:
        return False


def _field(row: Hyperparameter) -> str:
    """The field of `ModelConfig` that a hyperparameter sets, or its name where it sets none."""
    owner = row.name.rpartition(".")[0]
    return (owner if owner in TUPLES else row.name).removeprefix("model.")


def _reader_names(row: Hyperparameter) -> str:
    """The parts that read a hyperparameter's field, as text."""
    readers = {
        parent: [name for name in parts if _field(row) in parts[name].reads] for parent, parts in PARENTS.items()
    }
    return " or ".join(f"{parent} is {' or '.join(names)}" for parent, names in readers.items() if names)


def _readers(row: Hyperparameter, space: Mapping[str, Range], wanted: bool) -> dict[str, tuple[Value, ...]] | None:
    """For each parent, those of its values that read a hyperparameter's field; None where no part claims the field.

    Unless the user wants the hyperparameter, only the part that its usual range is meant for counts.
    """
    if not _reader_names(row):
        return None
    return {
        parent: tuple(
            value
            for value in space[parent].values
            if _field(row) in parts[str(value)].reads and (wanted or row.usual_for in (None, value))
        )
        for parent, parts in PARENTS.items()
    }


def _scope(
    readers: Mapping[str, tuple[Value, ...]] | None, space: Mapping[str, Range]
) -> tuple[str, tuple[Value, ...]] | None:
    """The parent and its values for which a hyperparameter matters; None where it always does."""
    if readers is None or any(values == space[parent].values for parent, values in readers.items()):
        return None
    # Where parts of two kinds read a field, such as `cutoff`, the last kind decides: KerasTuner's scopes have no "or".
    return next((parent, values) for parent, values in reversed(list(readers.items())) if values)


def _range(row: Hyperparameter, config: TrainConfig, ranges: Mapping[str, Any]) -> Range:
    value = value_in(config, row.name)
    if row.name in ranges:
        return parse_range(row.name, ranges[row.name], type(value))
    if row.relative:
        return dataclasses.replace(row.range, low=row.range.low * value, high=row.range.high * value)
    return row.range


def _check(config: TrainConfig, space: Mapping[str, Range]) -> None:
    """Refuse values that no model can have.

    Checked are all combinations of parts, each extreme value, and the fewest bins with the most poolings.
    """
    hardest: dict[str, Value] = {}
    easiest: dict[str, Value] = {}
    for name, ends in (("model.bins", (min, max)), ("model.filters.count", (max, min))):
        if name in space:
            hardest[name], easiest[name] = (end(space[name].extremes) for end in ends)
    combinations = [
        dict(zip(PARENTS, values, strict=True))
        for values in itertools.product(*(space[parent].values for parent in PARENTS))
    ]
    for parts in combinations:
        with_values(config, {**hardest, **parts})
    for name, range_ in space.items():
        parent, values = range_.when or ("model.cell", space["model.cell"].values)
        parts = next(parts for parts in combinations if parts[parent] in values)
        for value in range_.extremes:
            with_values(config, {**easiest, **parts, name: value})
