"""Flags become a configuration."""

import contextlib
import difflib
import io
import itertools
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from pipelines.errors import UserError
from socialmd_tf.command_line import flag_names
from socialmd_tf.command_line.flags import find_flags
from socialmd_tf.command_line.help_page import Group, help_page

Config = TypeVar("Config")

_HELP = {"-h", "--help", "--help-all"}
_PLAIN = (
    (
        r"^Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)",
        r"\1: expected a whole number. Received: \2",
    ),
    (r"^Error parsing (\S+): could not convert string to float: (.*)", r"\1: expected a number. Received: \2"),
    (r"^Missing value for argument '(\S+)'\. Expected 1 values", r"\1: expected a value, found none"),
)
"""Messages of Python and tyro, and what they mean."""
_ENTRY_POINTS = ("socialmd-tf", "python -m socialmd_tf")


def typed(prog: str) -> str:
    """The program name that was typed to run a command: `socialmd-tf train` if it was run so, else `prog`.

    Args:
        prog: The command on its own, `python -m socialmd_tf.train`.
    """
    entry_point, _, command = sys.argv[0].rpartition(" ")
    return sys.argv[0] if entry_point in _ENTRY_POINTS and command else prog


def parse(
    config_type: type[Config],
    *,
    prog: str,
    default: Config | None = None,
    args: Sequence[str] | None = None,
    groups: Callable[[Any], Sequence[Group]] | None = None,
) -> Config:
    """Flags -> an instance of the dataclass `config_type`; `--help` prints its page and ends the process.

    Args:
        config_type: The dataclass; its docstring and those of its fields are the help texts.
        prog: The command on its own, `python -m socialmd_tf.train`.
        default: Values of the flags that are not given; defaults to those of the class.
        args: The flags; defaults to the process's own.
        groups: Function of a configuration that gives the groups of its help page.

    Returns:
        The filled and checked dataclass.

    Raises:
        UserError: A flag is unknown, has no value, or its value is refused.
    """
    flag_names.remember(config_type)
    args = sys.argv[1:] if args is None else args
    given: dict[str, Any] = {} if default is None else {"default": default}
    if not _HELP.isdisjoint(args):
        shown = groups(_parsed(config_type, args, given) or default) if groups else ()
        print(help_page(config_type, typed(prog), default, shown, show_all="--help-all" in args), end="")
        sys.exit(0)
    names = [flag.spelling.split()[0] for flag in find_flags(config_type, default) if flag.is_required]
    missing = [name for name in names if not any(_gives(arg, name) for arg in args)]
    if missing:
        raise UserError(f"missing {', '.join(missing)}. See {typed(prog)} --help")
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(config_type, prog=prog, args=args, **given)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        spellings = [flag.spelling.split()[0] for flag in find_flags(config_type, default)]
        message = flag_names.name_flag(_plain(_one_line(errors.getvalue()), spellings))
        raise UserError(f"{message} See {typed(prog)} --help") from None


def _gives(arg: str, name: str) -> bool:
    """Whether an argument is for the flag `name`, or may stand in the place `name`."""
    if name.startswith("-"):
        return arg == name or arg.startswith(f"{name}=")
    return not arg.startswith("-")


def _parsed(config_type: type[Config], args: Sequence[str], given: dict[str, Any]) -> Config | None:
    """The configuration that the flags give without those for help, or None if they are faulty."""
    try:
        flags = [arg for arg in args if arg not in _HELP]
        return tyro.cli(config_type, args=flags, console_outputs=False, **given)
    except (SystemExit, UserError):
        return None


def _one_line(box: str) -> str:
    """The first message in the box that tyro draws, of lines or, for ASCII terminals, of hyphens."""
    lines = [line.strip("│ ") for line in box.splitlines()[1:]]
    parts = itertools.groupby(lines, key=lambda line: not line.strip("─-╰╯"))
    message = next((" ".join(part) for is_rule, part in parts if not is_rule), "")
    return re.sub(r"^Error parsing [\w.]+: ", "", message).rstrip(".") + "."


def _plain(message: str, spellings: Sequence[str]) -> str:
    """A message without the words of Python and tyro; of an unknown flag, with the one that is spelled most like it."""
    if unknown := re.match(r"Unrecognized options: (--?[^\s,=]+)", message):
        similar = difflib.get_close_matches(unknown[1], spellings, 1)
        return f"unknown flag {unknown[1]}{f'; the most similar one is {similar[0]}' if similar else ''}."
    for pattern, text in _PLAIN:
        message = re.sub(pattern, text, message)
    return message
