"""Files that are written completely or not at all."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write under a temporary name and rename: a killed process or a full disk leaves the old file as it was.

    Args:
        path: The file; its directory is created if missing.
        write: Writes the content to the open file.

    Raises:
        OSError: The file cannot be written; `filename` says which.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        # A write to a full disk does not say which file it was.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def names_path(path: Path) -> Iterator[None]:
    """Name a path in errors of the file system that name none, such as a write to a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically.

    Args:
        path: The file; its directory is created if missing.
        value: A value that JSON can represent.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Args:
        path: The file; its directory is created if missing.
        text: The content.
    """
    content = text.encode()
    write_atomically(Path(path), lambda file: file.write(content))
