"""The flags of a configuration: names, kinds, defaults, and the docstrings of the fields."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

_SAYS_DEFAULT = "By default"
_METAVARS = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag."""

    field: str
    """Name of the field, with dots: "model.units"."""
    spelling: str
    """`--model.units INT`; `DATA` for an argument that is given by its place."""
    text: str
    """Description of the flag, and its default."""
    is_required: bool

    @property
    def is_positional(self) -> bool:
        """Whether the value is given without the name."""
        return not self.spelling.startswith("-")


def find_flags(config_type: type[Any], default: Any = None, prefix: str = "", path: str = "") -> Iterator[Flag]:
    """The flags of a dataclass and of those nested in it, in the order of the fields.

    Args:
        config_type: The dataclass.
        default: Defaults of the flags; those of the class if None.
        prefix: Prefix of the flags of a nested dataclass.
        path: Prefix of its fields.
    """
    hints = get_type_hints(config_type, include_extras=True)
    texts = field_texts(config_type)
    for field in dataclasses.fields(config_type):
        hint, marks = _without_marks(hints[field.name])
        value = _default_of(field) if default is None else getattr(default, field.name)
        if tyro.conf.Suppress in marks:
            continue
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            nested = "" if tyro.conf.OmitArgPrefixes in marks else f"{prefix}{field.name}."
            value = None if value is dataclasses.MISSING else value
            yield from find_flags(hint, value, nested, f"{path}{field.name}.")
        else:
            text = _mark("help", marks) or texts.get(field.name, "")
            spelling = _spelling(f"{prefix}{field.name}", hint, marks)
            yield Flag(path + field.name, spelling, _with_default(text, value), value is dataclasses.MISSING)


def field_texts(config_type: type[Any]) -> dict[str, str]:
    """Docstrings of the fields of a dataclass, inherited ones included, each as one paragraph."""
    texts = {}
    for owner in reversed(config_type.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for statement, following in itertools.pairwise(body):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                    texts[statement.target.id] = " ".join(str(following.value.value).split())
    return texts


def _default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _without_marks(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without `Annotated` and without `| None`, and the annotations."""
    marks: tuple[Any, ...] = ()
    while get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        marks += tuple(more)
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not types.NoneType)
    return hint, marks


def _mark(name: str, marks: tuple[Any, ...]) -> Any:
    """The description in `tyro.conf.arg`, if there is one."""
    return next((value for mark in marks if (value := getattr(mark, name, None))), None)


def _spelling(name: str, hint: Any, marks: tuple[Any, ...]) -> str:
    name = name.replace("_", "-")
    if tyro.conf.Positional in marks:
        return name.upper()
    if hint is bool:
        before, dot, last = name.rpartition(".")
        return f"--{name}, --{before}{dot}no-{last}"
    return f"--{name} {_mark('metavar', marks) or _metavar(hint)}"


def _metavar(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, get_args(hint))) + "}"
    if get_origin(hint) is tuple:
        inner = _metavar(get_args(hint)[0])
        return inner if inner.endswith("...") else f"{inner} ..."
    return _METAVARS[hint]


def _with_default(text: str, value: Any) -> str:
    if value is dataclasses.MISSING:
        return f"{text} (required)"
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if isinstance(value, tuple):
        value = " ".join(map(str, value))
    return text if value in (None, "") or _SAYS_DEFAULT in text else f"{text} (default: {value})"
