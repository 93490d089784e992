"""The hyperparameters of a search: which fields of `TrainConfig` they set, between which bounds, and when.

To make a further field searchable, add a row to `TABLE`. Nothing here needs TensorFlow: what a user got wrong is said
at once.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pipelines.errors import UserError, require
from socialmd_tf.config import Interaction, TrainConfig, from_dict

Value = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Range:
    """Values that a hyperparameter may take: single ones, or all from `low` to `high`."""

    values: tuple[Value, ...] = ()
    """Single values; empty for bounds."""
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    """Distance of two values, or their ratio if `log`."""
    log: bool = False
    """Whether all orders of magnitude are equally likely."""

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The values between which the others are, or all single ones."""
        return self.values or (self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A row of the table.

    `name` is the dotted field of `TrainConfig` it sets. Of a field that is a tuple it sets one aspect, named after
    the field (see `TUPLES`).
    """

    name: str
    range: Range
    """Where it is searched. Of lengths: as factors of the length in the configuration."""
    relative: bool = False
    """Whether `range` holds factors, since the right length depends on the data."""
    when: tuple[str, tuple[str, ...]] | None = None
    """A parent, and those of its values for which this one matters."""
    on_request: bool = False
    """Whether it is searched only if the user names it."""


_SOCIAL = ("model.cell", ("social",))
_PLAIN = ("model.cell", ("plain",))
_STACKED = ("model.interaction", ("stacked_pooling",))
_POOLING = ("model.interaction", ("stacked_pooling", "multiscale_pooling", "both"))
_PAIRWISE = ("model.interaction", ("pairwise", "both"))
_ABSOLUTE = ("model.head", ("absolute",))
_VERLET = ("model.head", ("verlet",))

TABLE = (
    Hyperparameter("learning_rate", Range(low=1e-4, high=1e-2, log=True)),
    Hyperparameter("clip_norm", Range((0.0, 0.1, 1.0, 10.0))),
    Hyperparameter("batch_size", Range((16, 32, 64)), on_request=True),
    Hyperparameter("model.cell", Range(("social", "plain")), on_request=True),
    Hyperparameter("model.head", Range(("absolute", "displacement", "kinematic", "verlet")), on_request=True),
    Hyperparameter("model.interaction", Range(get_args(Interaction)), on_request=True),
    Hyperparameter("model.units", Range((32, 64, 128, 256)), when=_SOCIAL),
    Hyperparameter("model.input_embedding", Range((16, 32, 64)), when=_SOCIAL),
    Hyperparameter("model.input_layers.count", Range(low=1, high=2, step=1), when=_PLAIN),
    Hyperparameter("model.input_layers.width", Range((16, 32, 64, 128)), when=_PLAIN),
    Hyperparameter("model.lstm_layers.count", Range(low=1, high=2, step=1), when=_PLAIN),
    Hyperparameter("model.lstm_layers.first", Range((32, 64, 128, 256)), when=_PLAIN),
    Hyperparameter("model.lstm_layers.others", Range((32, 64, 128, 256)), when=_PLAIN),
    Hyperparameter("model.output_layers.count", Range(low=1, high=2, step=1), when=_PLAIN),
    Hyperparameter("model.output_layers.width", Range((16, 32, 64, 128)), when=_PLAIN),
    Hyperparameter("model.dropout", Range(low=0.0, high=0.5, step=0.1), when=_PLAIN),
    Hyperparameter("model.num_components", Range(low=1, high=5, step=1)),
    Hyperparameter("model.correlated", Range((False, True)), when=_ABSOLUTE),
    Hyperparameter("model.side_lengths.count", Range(low=1, high=4, step=1), when=_STACKED),
    Hyperparameter("model.side_lengths.largest", Range(low=0.5, high=2.0, log=True), relative=True, when=_POOLING),
    Hyperparameter("model.bins", Range((16, 32, 64)), when=_STACKED),
    Hyperparameter("model.filters.count", Range(low=1, high=3, step=1), when=_STACKED),
    Hyperparameter("model.filters.width", Range((8, 16, 32)), when=_STACKED),
    Hyperparameter("model.kernel_size", Range(low=2, high=5, step=1), when=_STACKED),
    Hyperparameter("model.state_embedding", Range((16, 32, 64)), when=_STACKED),
    Hyperparameter("model.interaction_embedding", Range((16, 32, 64)), when=_POOLING),
    Hyperparameter("model.cutoff", Range(low=0.25, high=1.0, log=True), relative=True, when=_PAIRWISE),
    Hyperparameter("model.softening", Range(low=0.2, high=5.0, log=True), relative=True, when=_PAIRWISE),
    Hyperparameter("model.pair_units", Range((16, 32, 64)), when=_PAIRWISE),
    Hyperparameter("model.pair_channels", Range((4, 8, 16)), when=_PAIRWISE),
    Hyperparameter("model.charges", Range((2, 4, 8)), when=_VERLET),
    Hyperparameter("model.substeps", Range((4, 8, 16)), when=_VERLET),
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
"""Fields that are tuples: their aspects, and how the aspects make the tuple. Each grid has half the side of the one
before, the last of several convolutions twice the filters of the others, as in the thesis. The first LSTM of the plain
cell has a width of its own, since the thesis tuned its two separately (section 3.4)."""


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
    """A configuration with the values of hyperparameters in place of its own.

    Args:
        config: Where everything else comes from.
        values: Names of `TABLE` -> values.

    Raises:
        UserError: The values do not go together.
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
    if changes["model"].get("head", "absolute") != "absolute":  # the others have full covariances alone
        changes["model"] = {"correlated": True} | changes["model"]
    if changes["model"].get("cell") == "plain":  # it sees no neighbours
        changes["model"]["interaction"] = "none"
    return from_dict(TrainConfig, changes, config)


def parse_range(name: str, text: Any, kind: type) -> Range:
    """What a user wrote -> the range.

    Args:
        name: The hyperparameter.
        text: "LOW:HIGH", "LOW:HIGH:STEP", either with ":log" at the end, or values with commas between; or a value,
            or a list of values.
        kind: The type of the values.

    Raises:
        UserError: It is none of these.
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
    """The ranges of a search around a configuration; parents come before what depends on them.

    Args:
        config: Where everything that is not searched comes from.
        ranges: Names of `TABLE` -> ranges as `parse_range` takes them, in place of the usual ones.
        only: If not empty, the hyperparameters to search; those of `ranges` are searched, too.

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
        is_parent = any(other.when and other.when[0] == row.name for other in TABLE)
        wanted = row.name in ranges or row.name in only
        searched = wanted or not (row.on_request or only)
        if searched and row.when and not set(space[row.when[0]].values) & set(row.when[1]):
            values = ", ".join(map(str, space[row.when[0]].values))
            require(not wanted, row.name, f"left out unless {row.when[0]} is {' or '.join(row.when[1])}", values)
        elif searched:
            space[row.name] = _range(row, config, ranges)
        elif is_parent:
            space[row.name] = Range((value_in(config, row.name),))
    _check(config, space)
    return space


def _range(row: Hyperparameter, config: TrainConfig, ranges: Mapping[str, Any]) -> Range:
    value = value_in(config, row.name)
    if row.name in ranges:
        return parse_range(row.name, ranges[row.name], type(value))
    if row.relative:
        return dataclasses.replace(row.range, low=row.range.low * value, high=row.range.high * value)
    return row.range


def _check(config: TrainConfig, space: Mapping[str, Range]) -> None:
    """Refuse values that no model can have: each extreme by itself, and the most poolings of the fewest bins."""
    hardest, easiest = {}, {}
    for name, ends in (("model.bins", (min, max)), ("model.filters.count", (max, min))):
        if name in space:
            hardest[name], easiest[name] = (end(space[name].extremes) for end in ends)
    with_values(config, hardest)
    for row in TABLE:
        parent = {}
        if row.when and row.name in space:
            parent = {row.when[0]: next(value for value in space[row.when[0]].values if value in row.when[1])}
        for value in space[row.name].extremes if row.name in space else ():
            with_values(config, {**easiest, **parent, row.name: value})
