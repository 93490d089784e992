"""Which flag of the running command sets a field, so that an error message can name it."""

import dataclasses
import re
import typing

import tyro

_flags: dict[str, str] = {}


def flags_of(config_type: type, prefix: str = "--") -> dict[str, str]:
    """Find the flags of a command's dataclass.

    Args:
        config_type: The dataclass; nested dataclasses are searched too.
        prefix: What the flags begin with.

    Returns:
        Field -> flag, such as `rollout_steps` -> `--rollout-steps` or `units` -> `--model.units`. Of fields with the
        same name, the outermost counts; fields without a flag are left out.
    """
    flags, nested = {}, {}
    for name, hint in typing.get_type_hints(config_type, include_extras=True).items():
        kind, *markers = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        if tyro.conf.Suppress in markers:
            continue
        if dataclasses.is_dataclass(kind):
            inner = prefix if tyro.conf.OmitArgPrefixes in markers else f"{prefix}{name.replace('_', '-')}."
            nested |= flags_of(kind, inner)
        else:
            flags[name] = prefix + name.replace("_", "-")
    return nested | flags


def remember(config_type: type) -> None:
    """Make the flags of a dataclass those that `name_flag` knows; a process runs one command."""
    _flags.clear()
    _flags.update(flags_of(config_type))


def name_flag(message: str) -> str:
    """Add the flag to change to a message about a field: one that begins with its name in backticks.

    Args:
        message: Such as "`time_step` must be positive. Received: 0.0".

    Returns:
        The message, with a sentence such as "Change --time-step." if the field has a flag.
    """
    field = re.match(r"`(\w+)`", message)
    flag = _flags.get(field[1]) if field else None
    if flag is None or flag in message:
        return message
    return f"{message.rstrip('.')}. Change {flag}."
