"""The page that `--help` prints."""

import dataclasses
import inspect
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from socialmd_tf.command_line.flags import Flag, find_flags

_WIDEST = 100
_COLUMN = 28


@dataclasses.dataclass(frozen=True)
class Group:
    """Some flags of a command, under one title."""

    title: str
    fields: tuple[str, ...]
    """Names of the fields, with dots: "model.units"."""
    entries: tuple[tuple[str, str], ...] = ()
    """Lines that are no flags: (name, text)."""
    is_shown: bool = True
    """Whether `--help` shows the flags. `--help-all` shows all groups."""


def help_page(
    config_type: type[Any],
    prog: str,
    default: Any = None,
    groups: Sequence[Group] = (),
    show_all: bool = False,
) -> str:
    """The text of `--help`, as wide as the terminal, but for very wide ones.

    Args:
        config_type: The dataclass.
        prog: What was typed to run the command.
        default: Defaults of the flags; those of the class if None.
        groups: How to group the flags. Flags in no group come last.
        show_all: Whether to show the hidden groups.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    flags = {flag.field: flag for flag in find_flags(config_type, default)}
    grouped = {name for group in groups for name in group.fields}
    has_flags = not all(flag.is_positional for flag in flags.values())
    title = "Other flags" if groups else "Flags" if has_flags else "Arguments"
    rest = Group(title, tuple(name for name in flags if name not in grouped))
    groups = [group for group in (*groups, rest) if group.entries or any(name in flags for name in group.fields)]
    hidden = [] if show_all else [group for group in groups if not group.is_shown]
    usage = f"usage: {prog} "
    words = [flag.spelling for flag in flags.values() if flag.is_required]
    words += [f"[{flag.spelling}]" for flag in flags.values() if flag.is_positional and not flag.is_required]
    words += ["[flags]"] if has_flags else []
    parts = [_wrap(usage + " ".join(words), width, " " * len(usage))]
    parts += [_wrap(paragraph, width) for paragraph in _paragraphs(config_type)]
    parts += [_section(group, flags, width) for group in groups if group not in hidden]
    parts.append(_about_help(groups, hidden, flags, width))
    return "\n\n".join(parts) + "\n"


def _paragraphs(config_type: type[Any]) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(config_type.__doc__ or "").split("\n\n")]


def _section(group: Group, flags: Mapping[str, Flag], width: int) -> str:
    chosen = [(flags[name].spelling, flags[name].text) for name in group.fields if name in flags]
    return "\n".join([f"{group.title}:", *(_entry(name, text, width) for name, text in (*group.entries, *chosen))])


def _about_help(groups: Sequence[Group], hidden: Sequence[Group], flags: Mapping[str, Flag], width: int) -> str:
    lines = ["Help:", _entry("-h, --help", "Show this page.", width)]
    if not all(group.is_shown for group in groups):
        lines.append(_entry("--help-all", "Show the flags of all parts, also of those that are not chosen.", width))
    if hidden:
        titles = "; ".join(f"{group.title} ({sum(name in flags for name in group.fields)})" for group in hidden)
        lines += ["", _wrap(f"Not shown: {titles}.", width)]
    return "\n".join(lines)


def _entry(spelling: str, text: str, width: int) -> str:
    """A flag, or another name, and its text, side by side if the flag is short."""
    indent = " " * _COLUMN
    lines = _wrap(text, width, indent, indent)
    if len(spelling) + 4 > _COLUMN:
        return f"  {spelling}\n{lines}"
    return f"  {spelling}".ljust(_COLUMN) + lines[_COLUMN:]


def _wrap(text: str, width: int, indent: str = "", first: str = "") -> str:
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
