"""Errors of the file system in one line: full disks, missing permissions, a file where a directory belongs."""

import errno
import os
import re

_CODES = (
    "EACCES EDQUOT EEXIST EFBIG EIO EISDIR ELOOP EMFILE ENAMETOOLONG ENFILE ENOENT ENOSPC ENOTDIR EPERM EROFS ESTALE"
).split()
_REASONS = "|".join(re.escape(os.strerror(getattr(errno, code))) for code in _CODES if hasattr(errno, code))
_LIBRARIES = (
    # TensorFlow: "{{node ...}} /a/b; No space left on device [Op:SaveV2]" and "/a/b is not a directory [Op:...]"
    re.compile(rf"(?P<path>\S+); (?P<reason>{_REASONS})"),
    re.compile(r"(?P<path>\S+) is not a directory(?P<reason>)(?: \[Op:|$)"),
    # HDF5: "... filename = '/a/b', file descriptor = 3, errno = 28, error message = 'No space left on device' ..."
    re.compile(r"name = '(?P<path>[^']*)'.*error message = '(?P<reason>[^']*)'", re.DOTALL),
    re.compile(r"(?P<path>)errno = \d+, error message = '(?P<reason>[^']*)'"),
)


def describe(error: Exception) -> str | None:
    """Describe an error of the file system by path and reason.

    Args:
        error: Any error. Those of TensorFlow and HDF5 are recognized by their texts, since most are no `OSError`.

    Returns:
        One line such as "/data/run: No space left on device", or None if it is no error of the file system. The path
        is missing if the error does not name it.
    """
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        return _line(str(error.filename), error.strerror or text)
    for pattern in _LIBRARIES:
        found = pattern.search(text)
        if found:
            return _line(found["path"], found["reason"] or os.strerror(errno.ENOTDIR))
    if isinstance(error, OSError):
        return error.strerror or text
    return None


def _line(path: str, reason: str) -> str:
    return f"{path}: {reason}" if path else reason
