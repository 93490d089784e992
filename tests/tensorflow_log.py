"""What TensorFlow writes to stderr by itself, of a machine's processor, say."""

import re

_LINES = re.compile(r"^[IWE]\d{4} \d\d:.*\n", re.MULTILINE)


def without_tensorflow_log(text):
    """The rest of what a command wrote."""
    return _LINES.sub("", text)
