"""Output directories: one command at a time writes into a directory, and a re-run resumes only its own work."""

import contextlib
import dataclasses
import datetime
import json
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from pipelines.atomic_files import write_json
from pipelines.errors import UserError

LOCK_FILE = ".lock"
_LONGEST_COMMAND = 200


def defaults_of(config_type: Any) -> dict[str, Any]:
    """Defaults of the fields of a dataclass, as JSON represents them."""
    fields = dataclasses.fields(config_type)
    values = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    found: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return found


class DirectoryLock:
    """The right to write into a directory, held from construction to `release` or the end of a `with` block.

    The operating system frees the lock of a process that ends in any way, SIGKILL included; the file that it
    leaves behind is harmless.

    Args:
        directory: The directory; created if missing.

    Raises:
        UserError: Another process, or another lock of this one, holds the directory; the message says which.
        OSError: The directory cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self._was_there = directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / LOCK_FILE
        self._lock = filelock.FileLock(self._path, timeout=0)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise UserError(f"{directory}: in use by {_holder(self._path)}; wait until it ends") from None
        try:
            self._path.write_text(json.dumps(_this_process()), encoding="utf-8")
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Give the directory back, and remove it if this lock created it and it is empty. Again, do nothing."""
        if not self._lock.is_locked:
            return
        with contextlib.suppress(OSError):
            self._before_release()
            # Removed while it is locked: a process that opened it before finds it gone and tries again.
            self._path.unlink()
            if not self._was_there:
                self._path.parent.rmdir()
        self._lock.release()

    def _before_release(self) -> None:
        """Tidy up while the directory is locked."""

    def __enter__(self) -> "DirectoryLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class _Claim(DirectoryLock):
    """A lock that takes the configuration back if nothing was made with it, so that a corrected one is accepted."""

    def __init__(self, directory: Path, config_file: str) -> None:
        self._config_file = config_file
        super().__init__(directory)

    def _before_release(self) -> None:
        directory = self._path.parent
        if all(entry.name in (LOCK_FILE, self._config_file) for entry in directory.iterdir()):
            (directory / self._config_file).unlink(missing_ok=True)


def _this_process() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(sys.orig_argv)[:_LONGEST_COMMAND],
        "since": datetime.datetime.now().astimezone().isoformat(" ", "seconds"),
    }


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']} ({holder['command']})"
    except (OSError, ValueError, KeyError, TypeError):  # it is being written or removed at this moment
        return "another process"


def check_claim(
    directory: Path, config_file: str, config: Mapping[str, Any], kind: str, defaults: Mapping[str, Any] | None = None
) -> bool:
    """Check whether `claim` would accept a directory, without touching it.

    Args:
        directory: The directory.
        config_file: As for `claim`.
        config: As for `claim`.
        kind: As for `claim`.
        defaults: As for `claim`.

    Returns:
        Whether the directory was claimed before by the same configuration; False if it is new or empty.

    Raises:
        UserError: `claim` would refuse the directory.
    """
    path = directory / config_file
    try:
        if path.exists():
            _check_same(path, config, kind, defaults or {})
            return True
        if directory.is_dir():
            remains = (LOCK_FILE, f".{config_file}.*tmp")  # of a run killed before it wrote its configuration
            if not all(any(map(entry.match, remains)) for entry in directory.iterdir()):
                raise UserError(f"{directory}: not empty and not {kind}; expected a new directory")
    except OSError as error:
        raise _cannot_hold(directory, error) from None
    return False


def claim(
    directory: Path, config_file: str, config: Mapping[str, Any], kind: str, defaults: Mapping[str, Any] | None = None
) -> DirectoryLock:
    """Lock a directory for a dataset and record its configuration, or refuse it.

    Temporary files that a killed run left are removed. A directory to which nothing was added is left as it was when
    the lock is released.

    Args:
        directory: New, empty, or claimed before by the same configuration.
        config_file: Name of the file in it that holds the configuration.
        config: The configuration of the dataset, as JSON represents it.
        kind: Kind of dataset, such as "an N-body dataset".
        defaults: Values of settings of the configuration where the file has none: one of an older version, which
            did not have the setting, stands for its default.

    Returns:
        The lock of the directory: release it when the dataset is complete.

    Raises:
        UserError: The directory holds something else, is in use, or cannot be written.
    """
    arguments = directory, config_file, config, kind, defaults
    check_claim(*arguments)
    try:
        lock = _Claim(directory, config_file)
        try:
            if not check_claim(*arguments):  # another process may have claimed it in between
                write_json(directory / config_file, config)
            remove_temporary(directory)
        except BaseException:
            lock.release()
            raise
    except OSError as error:
        raise _cannot_hold(directory, error) from None
    return lock


def remove_temporary(directory: Path) -> None:
    """Remove the temporary files and stores that stopped processes left in a directory."""
    for stale in list(directory.rglob(".*.tmp")):
        shutil.rmtree(stale, ignore_errors=True) if stale.is_dir() else stale.unlink(missing_ok=True)


def _cannot_hold(directory: Path, error: OSError) -> UserError:
    return UserError(f"{directory}: cannot hold a dataset: {error.strerror or error}")


def _check_same(path: Path, config: Mapping[str, Any], kind: str, defaults: Mapping[str, Any]) -> None:
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not the configuration of {kind}; expected a new directory")
    for name, expected in config.items():
        value = found.get(name, defaults.get(name))
        if value != expected:
            raise UserError(
                f"{path.parent}: holds a dataset with `{name}` = {value!r}; expected {expected!r} or a new directory"
            )
