"""The manifest of a dataset, `dataset.json`: content, units and splits of its files."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from pipelines.atomic_files import write_text
from pipelines.boxes import lattice_vectors
from pipelines.errors import UserError, require
from pipelines.reruns import check_reruns

FORMAT = 1
MANIFEST_FILE = "dataset.json"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The fields of `dataset.json`; constructing a manifest checks each of them.

    Raises:
        UserError: A field has the wrong type or value.
    """

    name: str
    """Name of the dataset."""
    num_dimensions: int
    """Dimensions of space, 2 or 3 (D): the first columns of every trajectory."""
    features: tuple[str, ...]
    """Names of the columns after the positions. Successive `<name>_x, <name>_y(, <name>_z)` are one vector. Those
    called `velocity_x` and so on are observed velocities, in `length_unit` per `time_unit`, the only columns that may
    change in time; `anchor_x` and so on are the places where the particles are held."""
    length_unit: str
    """Unit of the positions."""
    time_between_frames: float
    """Time between two stored frames, in `time_unit`."""
    splits: Mapping[str, tuple[str, ...]]
    """Files of every split, relative to the directory of the dataset."""
    provenance: Mapping[str, object]
    """Origin of the data: seed, command, version."""
    time_unit: str | None = None
    """Unit of `time_between_frames`; None if not stated."""
    group: Mapping[str, str | int] | None = None
    """File -> the simulation that it is a part of. Files of one group are not statistically independent."""
    box: tuple[float | tuple[float, ...], ...] | None = None
    """Periodic box of all files: edge lengths `[D]`, or lattice vectors in rows `[D][D]`; zeros for open axes.
    Positions may be wrapped into it or not."""
    box_files: Mapping[str, str] | None = None
    """File -> `.npy` file of its box in every frame, `[num_frames, D]` or `[num_frames, D, D]`; instead of `box`."""
    edges: str | Mapping[str, str] | None = None
    """`.npy` file of the bonds in all files, or file -> `.npy` file: rows of i, j and type (1 or more), integers
    `[E, 3]`."""

    reruns: Mapping[str, Mapping[str, str | int]] | None = None
    """Files of re-runs, none of them in `splits`: file -> {"of": the file that it restarts with other random numbers,
    "frame": the number of the frame in that file, which is the first one of the re-run}."""

    def __post_init__(self) -> None:
        """Check every field."""
        _require_text("name", self.name)
        require(self.name != "", "name", "a text that is not empty", self.name)
        require(
            type(self.num_dimensions) is int and self.num_dimensions in (2, 3),
            "num_dimensions",
            "2 or 3",
            self.num_dimensions,
        )
        require(_are_texts(self.features), "features", "a list of texts", self.features)
        require(len(set(self.features)) == len(self.features), "features", "a list of different names", self.features)
        _require_text("length_unit", self.length_unit)
        require(
            _is_positive(self.time_between_frames), "time_between_frames", "a positive number", self.time_between_frames
        )
        self._check_splits()
        require(isinstance(self.provenance, Mapping), "provenance", "an object", self.provenance)
        if self.time_unit is not None:
            _require_text("time_unit", self.time_unit)
        if self.group is not None:
            self._check_group(self.group)
        self._check_vector(self.velocity_names)
        self._check_vector(self.anchor_names)
        if self.reruns is not None:
            check_reruns(self.reruns, self.files)
        self._check_box()
        if self.edges is not None:
            files = {"": self.edges} if isinstance(self.edges, str) else self.edges
            self._check_files("edges", files, complete=not isinstance(self.edges, str))

    def _check_splits(self) -> None:
        require(isinstance(self.splits, Mapping), "splits", "an object of lists of files", self.splits)
        for split, files in self.splits.items():
            require(_are_texts(files), f"splits.{split}", "a list of files", files)
            for file in files:
                require(_is_inside(file), f"splits.{split}", "a list of files inside the dataset", file)

    def _check_group(self, group: Mapping[str, str | int]) -> None:
        require(isinstance(group, Mapping), "group", "an object that maps files to simulations", group)
        for file, simulation in group.items():
            require(file in self.files, "group", "about files of `splits`", file)
            require(type(simulation) in (str, int), f"group.{file}", "a text or an integer", simulation)

    def _check_vector(self, expected: tuple[str, ...]) -> None:
        features = list(self.features)
        start = features.index(expected[0]) if expected[0] in features else 0
        right = tuple(features[start : start + len(expected)]) == expected or not set(expected) & set(features)
        require(right, "features", f"with successive {', '.join(expected)}, or none of them", features)

    def _check_box(self) -> None:
        require(self.box is None or self.box_files is None, "box", "left out beside `box_files`", self.box)
        if self.box is not None:
            lattice_vectors(self.box, self.num_dimensions)
        if self.box_files is not None:
            self._check_files("box_files", self.box_files, complete=True)

    def _check_files(self, name: str, files: Mapping[str, str], *, complete: bool) -> None:
        require(isinstance(files, Mapping), name, "an object that maps files to .npy files", files)
        known = self.files if name == "edges" else [*self.files, *(self.reruns or {})]
        for file, side_file in files.items():
            right = isinstance(side_file, str) and side_file.endswith(".npy") and _is_inside(side_file)
            require(right, name, "of .npy files inside the dataset", side_file)
            require(not complete or file in known, name, "about files of `splits`", file)
        missing = sorted(set(known) - set(files)) if complete else []
        require(not missing, name, "about every file of `splits`", f"none for {', '.join(missing[:3])}")

    @property
    def files(self) -> list[str]:
        """All trajectory files of `splits`, split after split."""
        return [file for files in self.splits.values() for file in files]

    @property
    def side_files(self) -> list[str]:
        """All files of boxes and edges."""
        edges = [self.edges] if isinstance(self.edges, str) else (self.edges or {}).values()
        return list(dict.fromkeys([*(self.box_files or {}).values(), *edges]))

    @property
    def num_columns(self) -> int:
        """Columns of a trajectory file: positions and `features`."""
        return self.num_dimensions + len(self.features)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of a trajectory file."""
        return ("x", "y", "z")[: self.num_dimensions] + tuple(self.features)

    @property
    def is_periodic(self) -> bool:
        """Whether positions are in a periodic box."""
        return self.box is not None or self.box_files is not None

    @property
    def velocity_names(self) -> tuple[str, ...]:
        """Names that columns of observed velocities have."""
        return tuple(f"velocity_{axis}" for axis in "xyz"[: self.num_dimensions])

    @property
    def velocity_start(self) -> int | None:
        """Place of `velocity_x` among the features; None without observed velocities."""
        features = list(self.features)
        return features.index("velocity_x") if "velocity_x" in features else None

    @property
    def anchor_names(self) -> tuple[str, ...]:
        """Names that the columns of anchors have."""
        return tuple(f"anchor_{axis}" for axis in "xyz"[: self.num_dimensions])

    @property
    def anchor_start(self) -> int | None:
        """Place of `anchor_x` among `particle_features`; None without anchors."""
        features = list(self.particle_features)
        return features.index("anchor_x") if "anchor_x" in features else None

    @property
    def particle_features(self) -> tuple[str, ...]:
        """Names of the features that are constant in time (F), as models take them: all but observed velocities."""
        return tuple(name for name in self.features if name not in self.velocity_names)

    @property
    def own_features(self) -> tuple[str, ...]:
        """Names of the features that describe a particle: `particle_features` without anchors, which are places."""
        return tuple(name for name in self.particle_features if name not in self.anchor_names)

    def original_of(self, file: str) -> str:
        """The file of `splits` that a re-run restarts; a file of `splits` itself."""
        return str((self.reruns or {}).get(file, {"of": file})["of"])

    def reruns_of(self, file: str) -> dict[int, tuple[str, ...]]:
        """The re-runs of a file of `splits`: frame at which they restart it -> their files."""
        found: dict[int, tuple[str, ...]] = {}
        for rerun, entry in (self.reruns or {}).items():
            if entry["of"] == file:
                frame = int(entry["frame"])
                found[frame] = (*found.get(frame, ()), rerun)
        return dict(sorted(found.items()))

    def edges_of(self, file: str) -> str | None:
        """The file of the bonds in a file of `splits` or its re-run; None without bonds."""
        return self.edges if self.edges is None or isinstance(self.edges, str) else self.edges[self.original_of(file)]

    def group_of(self, file: str) -> str | int:
        """The simulation that a file is a part of: its `group`, or the file itself where none is stated.

        Args:
            file: A file of `splits`, or a re-run, which is of the group of the file that it restarts.
        """
        original = self.original_of(file)
        return (self.group or {}).get(original, original)

    @classmethod
    def load(cls, directory: Path) -> "Manifest":
        """Read `dataset.json` of a dataset.

        Args:
            directory: The directory of the dataset.

        Returns:
            The manifest.

        Raises:
            UserError: The directory or the manifest does not exist, the manifest is not JSON, or a field is
                missing, unknown, or has the wrong type or value.
        """
        path = Path(directory) / MANIFEST_FILE
        values = _read_json_object(path)
        try:
            found = values.pop("format", None)
            require(found == FORMAT, "format", str(FORMAT), found)
            _check_names(cls, values)
            return cls(**values)._with_tuples()
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def _with_tuples(self) -> "Manifest":
        splits = {split: tuple(files) for split, files in self.splits.items()}
        box = None if self.box is None else tuple(tuple(row) if isinstance(row, list) else row for row in self.box)
        return dataclasses.replace(self, features=tuple(self.features), splits=splits, box=box)

    def save(self, directory: Path) -> None:
        """Write `dataset.json` atomically; equal manifests give equal bytes.

        Args:
            directory: The directory of the dataset; created if missing.
        """
        values = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        text = json.dumps({"format": FORMAT, **values}, indent=2, ensure_ascii=False)
        write_text(Path(directory) / MANIFEST_FILE, f"{text}\n")


def _require_text(name: str, value: object) -> None:
    require(isinstance(value, str), name, "a text", value)


def _are_texts(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) and value for value in values)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def _is_inside(file: str) -> bool:
    path = PurePath(file)
    return not path.is_absolute() and ".." not in path.parts


def _check_names(cls: type[Manifest], values: Mapping[str, Any]) -> None:
    fields = dataclasses.fields(cls)
    missing = [field.name for field in fields if field.default is dataclasses.MISSING and field.name not in values]
    known = [field.name for field in fields]
    unknown = [name for name in values if name not in known]
    for problem, names in (("missing", missing), ("unknown", unknown)):
        if names:
            raise UserError(f"{problem} field {', '.join(map(repr, names))}; expected format, {', '.join(known)}")


def _read_json_object(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        found = "a file" if path.parent.exists() else "no such directory"
        raise UserError(f"{path.parent}: {found}; expected the directory of a dataset")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(values, ensure_ascii=False).encode()  # \ud800 alone is JSON but no text
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; expected the manifest of a dataset, which `prepare` writes "
            "from trajectories of molecules"
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except UnicodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UserError(f"{path}: not JSON that can be read: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values
