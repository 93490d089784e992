"""Configurations as JSON."""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from pipelines.errors import UserError, require

_Config = TypeVar("_Config")


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-ready nested dictionaries; defaults that depend on other fields become values."""
    if hasattr(config, "resolved"):
        config = config.resolved()
    return {field.name: _to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def from_dict(config_type: type[_Config], values: Any, default: _Config | None = None) -> _Config:
    """Nested dictionaries -> a configuration; the inverse of `to_dict`.

    Args:
        config_type: The dataclass.
        values: A dictionary with some or all of its fields.
        default: Where missing fields come from; by default, the class's own defaults.

    Raises:
        UserError: A field does not exist, or its value has the wrong type.
    """
    default = config_type() if default is None else default
    require(isinstance(values, dict), config_type.__name__, "a JSON object", values)
    fields = [field.name for field in dataclasses.fields(config_type)]  # type: ignore[arg-type]
    for unknown in set(values) - set(fields):
        raise UserError(f"unknown field `{unknown}` in {config_type.__name__}. Expected: {', '.join(fields)}")
    hints = typing.get_type_hints(config_type)
    changes = {name: _from_json(name, value, hints[name], getattr(default, name)) for name, value in values.items()}
    return dataclasses.replace(default, **changes)  # type: ignore[type-var]


def _from_json(name: str, value: Any, hint: Any, default: Any) -> Any:
    """A JSON value as a value of the annotated type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        (kind,) = [argument for argument in arguments if argument is not types.NoneType]
        return None if value is None else _scalar(name, value, kind, " or null")
    if origin is tuple:
        require(isinstance(value, list), name, "a list", value)
        return tuple(_from_json(name, item, arguments[0], None) for item in value)
    if origin is typing.Literal:
        return _scalar(name, value, type(arguments[0]))
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type[Any], hint), value, default)
    return _scalar(name, value, hint)


def _scalar(name: str, value: Any, kind: type, alternative: str = "") -> Any:
    kinds = (int, float) if kind is float else (kind,)
    right = isinstance(value, kinds) and isinstance(value, bool) == (kind is bool)
    require(right, name, f"of type {kind.__name__}{alternative}", value)
    try:
        return kind(value)
    except OverflowError:
        raise UserError(f"`{name}` must be below 1e308. Received: {str(value)[:20]}...") from None


def load_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: The file cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from None
