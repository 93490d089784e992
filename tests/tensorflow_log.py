"""What stderr holds beside messages: what TensorFlow writes by itself, of a processor, say, and progress."""

import re

_LINES = re.compile(r"^[IWE]\d{4} \d\d:.*\n", re.MULTILINE)


def without_tensorflow_log(text):
    """The rest of what a command wrote."""
    return _LINES.sub("", text)


def without_progress(text):
    """What a command wrote without the lines of how far it is, which only slow evaluations have."""
    return re.sub(r"^evaluate: .*\n", "", text, flags=re.MULTILINE)
