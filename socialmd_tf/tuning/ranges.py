"""Ranges of hyperparameters, and how users write them."""

import dataclasses
import math
from typing import Any

from pipelines.errors import UserError, require

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
