"""The frame of every command: flags are parsed, errors become one line and an exit status."""

import contextlib
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

import tyro

from pipelines.errors import UserError
from socialmd_tf import flag_names, os_errors

Config = TypeVar("Config")


def parse(
    config_type: type[Config],
    *,
    prog: str,
    description: str | None = None,
    default: Config | None = None,
    args: Sequence[str] | None = None,
) -> Config:
    """Flags -> an instance of the dataclass `config_type`.

    Args:
        config_type: The dataclass; its field docstrings are the help texts.
        prog: The name the help text shows.
        description: What the command does; defaults to the docstring of `config_type`.
        default: Values of the flags that are not given; defaults to those of the class.
        args: The flags; defaults to the process's own.

    Returns:
        The filled and checked dataclass.

    Raises:
        UserError: A flag is unknown, has no value, or its value is refused.
    """
    flag_names.remember(config_type)
    given = {} if default is None else {"default": default}
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(config_type, prog=prog, description=description, args=args, **given)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        message = flag_names.name_flag(_one_line(errors.getvalue()))
        raise UserError(f"{message} See {prog} --help") from None


def _one_line(box: str) -> str:
    """The first message in the box that tyro draws, of lines or, for ASCII terminals, of hyphens."""
    lines = [line.strip("│ ") for line in box.splitlines()[1:]]
    parts = itertools.groupby(lines, key=lambda line: not line.strip("─-╰╯"))
    message = next((" ".join(part) for is_rule, part in parts if not is_rule), "")
    return re.sub(r"^Error parsing [\w.]+: ", "", message).rstrip(".") + "."


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command and end the process.

    The exit status is 0 after success, 2 after an error that the user can correct (a `UserError` or an error of the
    file system, printed as one line), 130 after Ctrl-C, and 1 if the reader of the output closed it. Any other
    error is a defect of the program and keeps its traceback.

    Args:
        main: The command.
    """
    try:
        try:
            main()
        finally:
            _flush_output()
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = flag_names.name_flag(str(error)) if isinstance(error, UserError) else os_errors.describe(error)
        if message is None:
            raise
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


def _flush_output() -> None:
    try:
        print(end="", flush=True)
    except OSError as error:
        # Python flushes once more when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise type(error)(error.errno, error.strerror, "standard output") from None


def load_tensorflow() -> None:
    """Import TensorFlow and look for devices without the start-up messages, which no setting hides."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
