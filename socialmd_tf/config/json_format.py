"""Configurations as JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from pipelines.errors import UserError, require

_Config = TypeVar("_Config")


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-ready nested dictionaries."""
    converted: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return converted


def from_dict(config_type: type[_Config], values: Any, default: _Config | None = None) -> _Config:
    """Nested dictionaries -> a configuration; the inverse of `to_dict`.

    Args:
        config_type: The dataclass.
        values: A dictionary with some or all of its fields.
        default: Where the fields not in `values` come from; by default, the class's own.

    Raises:
        UserError: A field that does not exist, or a value of the wrong kind.
    """
    default = config_type() if default is None else default
    require(isinstance(values, dict), config_type.__name__, "a JSON object", values)
    fields = {field.name: field for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    for unknown in set(values) - set(fields):
        raise UserError(f"unknown field `{unknown}` in {config_type.__name__}. Expected: {', '.join(fields)}")
    changes = {}
    for name, value in values.items():
        may_be_null = fields[name].default is None
        changes[name] = _convert(name, value, None if may_be_null else getattr(default, name))
    return dataclasses.replace(default, **changes)  # type: ignore[type-var]


def _convert(name: str, value: Any, default: Any) -> Any:
    """A JSON value in the type of the default it replaces."""
    if dataclasses.is_dataclass(default):
        return from_dict(type(default), value, default)
    if default is None:
        require(value is None or isinstance(value, str), name, "a text or null", value)
        return value
    if isinstance(default, tuple):
        require(isinstance(value, list), name, "a list", value)
        return tuple(_convert(name, item, default[0] if default else 0) for item in value)
    kinds = (int, float) if isinstance(default, float) else type(default)
    right = isinstance(value, kinds) and isinstance(value, bool) == isinstance(default, bool)
    require(right, name, f"of type {type(default).__name__}", value)
    return type(default)(value)


def load_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UserError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON: {error}") from None
