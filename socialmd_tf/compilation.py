"""Where XLA compiles computations, and what is said when it cannot."""

import contextlib

import tensorflow as tf

from pipelines.errors import UserError

SETTINGS = ("auto", "on", "off")


def is_compiled(setting):
    """Whether `--compile auto|on|off` means that XLA compiles: with "auto", where there is a GPU."""
    return setting == "on" or (setting == "auto" and bool(tf.config.list_logical_devices("GPU")))


@contextlib.contextmanager
def compile_errors(what):
    """Say in one line that XLA cannot compile `what`, such as "the training step"."""
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        lines = str(error).splitlines()
        reasons = [line.strip() for line in lines if "XLA" in line or "compil" in line.lower()]
        if not any("tf2xla" in line or "XLA" in line for line in lines):
            raise
        raise UserError(f"XLA cannot compile {what}; use --compile off. It says: {reasons[0]}") from None
