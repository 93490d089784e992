"""Common parts of the commands: how flags are parsed, and how a command ends."""

import atexit
import gc
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from pipelines.errors import UserError
from socialmd_tf import os_errors
from socialmd_tf.command_line import flag_names
from socialmd_tf.command_line.parse import parse

__all__ = ["import_tensorflow", "load_tensorflow", "parse", "run"]


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
        print("interrupted; what was saved is kept: run the same command again", file=sys.stderr)
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
    """Import TensorFlow quietly, and show its errors only."""
    import_tensorflow()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")


def import_tensorflow() -> None:
    """Import TensorFlow and look for devices without the start-up messages, which no setting hides.

    They are about the instructions of the processor, drivers that are not there, and the rounding of sums.
    """
    # Graphs refer to each other in circles. At the end of the process, taking them apart would take seconds.
    atexit.register(gc.freeze)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors are raised; their log lines add nothing
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
