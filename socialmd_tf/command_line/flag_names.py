"""Which flag of the running command sets a field, so that an error message can name it."""

import re
from typing import Any

from socialmd_tf.command_line.flags import find_flags

_commands: list[type[Any]] = []


def flags_of(config_type: type[Any]) -> dict[str, str]:
    """Find the flags of a command's dataclass.

    Args:
        config_type: The dataclass; nested dataclasses are searched too.

    Returns:
        Field -> flag, such as `rollout_steps` -> `--rollout-steps` or `units` -> `--model.units`. Of fields with the
        same name, the outermost counts.
    """
    innermost_first = sorted(find_flags(config_type), key=lambda flag: -flag.field.count("."))
    return {flag.field.rpartition(".")[2]: flag.spelling.split()[0].rstrip(",") for flag in innermost_first}


def remember(config_type: type[Any]) -> None:
    """Make the flags of a dataclass those that `name_flag` knows; a process runs one command."""
    _commands[:] = [config_type]


def name_flag(message: str) -> str:
    """Add the flag to change to a message about a field: one that begins with its name in backticks.

    Args:
        message: Such as "`time_step` must be positive. Received: 0.0".

    Returns:
        The message, with a sentence such as "Change --time-step." if the field has a flag.
    """
    field = re.match(r"`(\w+)`", message)
    flag = flags_of(_commands[0]).get(field[1]) if field and _commands else None
    if flag is None or flag in message:
        return message
    return f"{message.rstrip('.')}. Change {flag}."
