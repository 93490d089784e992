"""The files of a dataset in which no fault was found, so that they need not be read again."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.atomic_files import write_json
from pipelines.fingerprint import stamp_of

MEMORY_FILE = ".validated.json"
_RECENT_SECONDS = 2.0
_SECONDS_BETWEEN_WRITES = 10.0
_CHECKS = 1
"""Number of the set of checks; files that passed others are read again."""


class SoundFiles:
    """What `.validated.json` in the directory of a dataset says: file -> digest of what its numbers were checked with.

    The digest is that of size, time of the last change and time of the last change of the status of the file and of
    its box, and of the settings that the checks depend on. A file that was rewritten, replaced or touched has another
    one. A file that changed within the last two seconds is not noted: it could change again without a sign. Where the
    directory cannot be written to, nothing is remembered.

    Args:
        directory: The directory of the dataset.
    """

    def __init__(self, directory: Path) -> None:
        self._path = Path(directory) / MEMORY_FILE
        self._digests = _load(self._path)
        self._is_new, self._saved = False, time.monotonic()

    def digest(self, paths: Sequence[Path], settings: dict[str, Any]) -> str | None:
        """Digest of files and settings, or None if a file changed just now.

        Args:
            paths: The file and its side files, which exist.
            settings: What else the checks depend on, JSON-ready.
        """
        stamps = [stamp_of(path)[:3] for path in paths]
        if any(time.time() - max(times) / 1e9 < _RECENT_SECONDS for _, *times in stamps):
            return None
        text = json.dumps([_CHECKS, stamps, settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def holds(self, file: str, digest: str | None) -> bool:
        """Whether no fault was found in a file with this digest."""
        return digest is not None and self._digests.get(file) == digest

    def note(self, file: str, digest: str | None) -> None:
        """Note that no fault was found in a file; `digest` is that before it was read."""
        if digest is not None:
            self._digests[file] = digest
            self._is_new = True
            if time.monotonic() - self._saved > _SECONDS_BETWEEN_WRITES:  # a killed command goes on where it was
                self.save()

    def save(self) -> None:
        """Write the notes, if there are new ones."""
        if self._is_new:
            try:
                self._is_new, self._saved = False, time.monotonic()
                write_json(self._path, {"format": 1, "sound": self._digests})
            except OSError:  # such as a dataset that is only to be read
                pass


def _load(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["sound"]
    except (OSError, ValueError, KeyError, TypeError):  # no such file, or a damaged one: every file is read
        return {}
    return found if isinstance(found, dict) else {}
