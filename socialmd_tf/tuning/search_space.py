"""The search space: which hyperparameters are searched, over which ranges, and when they matter."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from pipelines.errors import UserError, require
from socialmd_tf.config import TrainConfig
from socialmd_tf.tuning.hyperparameters import PARENTS, TABLE, TUPLES, Hyperparameter, value_in, with_values
from socialmd_tf.tuning.ranges import Range, Value, parse_range


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
    for flags, given in (("--ranges or --space", ranges), ("--only", only)):
        for name in given:
            if name not in names:
                raise UserError(f"{flags}: expected a hyperparameter, one of {', '.join(names)}. Received: {name!r}")
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
        return _given_range(name, ranges, str)
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
        return _given_range(row.name, ranges, type(value))
    if row.relative:
        return dataclasses.replace(row.range, low=row.range.low * value, high=row.range.high * value)
    return row.range


def _given_range(name: str, ranges: Mapping[str, Any], kind: type[Value]) -> Range:
    try:
        return parse_range(name, ranges[name], kind)
    except UserError as error:
        raise UserError(f"--ranges or --space: {error}") from None


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
