"""The manifest of a dataset: `dataset.json`, one a dataset."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from pipelines.atomic_files import write_text
from pipelines.errors import UserError, require

FORMAT = 1


MANIFEST_FILE = "dataset.json"


def _are_strings(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) and value for value in values)


def _is_inside(file: str) -> bool:
    path = PurePath(file)
    return not path.is_absolute() and ".." not in path.parts


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `dataset.json` says about a dataset; constructing one checks every field.

    Raises:
        UserError: A field is ill-typed or breaks its rule.
    """

    name: str
    """Name of the dataset."""
    num_dimensions: int
    """Dimensions of space, 2 or 3 (D): the first columns of every trajectory."""
    features: tuple[str, ...]
    """Names of the columns after the positions (F). `x_x, x_y(, x_z)` in a row are one vector."""
    length_unit: str
    """Unit of the positions."""
    time_between_frames: float
    """Time from one stored frame to the next."""
    splits: Mapping[str, tuple[str, ...]]
    """Files of every split, relative to the directory of the dataset."""
    provenance: Mapping[str, object]
    """Where the data come from: seed, command, version."""

    def __post_init__(self) -> None:
        """Check every field."""
        require(isinstance(self.name, str) and self.name != "", "name", "a text", self.name)
        require(
            type(self.num_dimensions) is int and self.num_dimensions in (2, 3),
            "num_dimensions",
            "2 or 3",
            self.num_dimensions,
        )
        require(_are_strings(self.features), "features", "a list of texts", self.features)
        require(len(set(self.features)) == len(self.features), "features", "a list of different names", self.features)
        require(isinstance(self.length_unit, str), "length_unit", "a text", self.length_unit)
        time = self.time_between_frames
        require(
            type(time) in (int, float) and math.isfinite(time) and time > 0,
            "time_between_frames",
            "a positive number",
            time,
        )
        require(isinstance(self.splits, Mapping), "splits", "an object of lists of files", self.splits)
        for split, files in self.splits.items():
            require(_are_strings(files), f"splits.{split}", "a list of files", files)
            for file in files:
                require(_is_inside(file), f"splits.{split}", "a list of files inside the dataset", file)
        require(isinstance(self.provenance, Mapping), "provenance", "an object", self.provenance)

    @classmethod
    def load(cls, directory: Path) -> "Manifest":
        """Read `dataset.json` of a dataset.

        Args:
            directory: The directory of the dataset.

        Returns:
            The manifest.

        Raises:
            UserError: There is no such directory or manifest, it is no JSON, or a field is missing, unknown,
                ill-typed or breaks its rule.
        """
        path = Path(directory) / MANIFEST_FILE
        values = _read_json_object(path)
        found = values.pop("format", None)
        if found != FORMAT:
            raise UserError(f"{path}: `format` must be {FORMAT}. Received: {found!r}")
        expected = [field.name for field in dataclasses.fields(cls)]
        for problem, names in (
            ("missing", [name for name in expected if name not in values]),
            ("unknown", [name for name in values if name not in expected]),
        ):
            if names:
                raise UserError(
                    f"{path}: {problem} field {', '.join(map(repr, names))}; expected format, {', '.join(expected)}"
                )
        try:
            return cls(**values)._with_tuples()
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def _with_tuples(self) -> "Manifest":
        splits = {split: tuple(files) for split, files in self.splits.items()}
        return dataclasses.replace(self, features=tuple(self.features), splits=splits)

    def save(self, directory: Path) -> None:
        """Write `dataset.json`, whole or not at all; equal manifests give equal bytes.

        Args:
            directory: The directory of the dataset; made if missing.
        """
        text = json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=2, ensure_ascii=False)
        write_text(Path(directory) / MANIFEST_FILE, f"{text}\n")


def _read_json_object(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such directory; expected the directory of a dataset")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected the manifest of a dataset") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values
