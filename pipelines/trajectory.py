"""The format of trajectories: one `.npy` file a simulation, one `dataset.json` a dataset.

A file holds float32 `[num_frames, N, D + F]` in C order: D columns of positions, in the length unit of the
dataset, then F features of each particle, constant in time.
"""

import dataclasses
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError, require

FORMAT = 1
MANIFEST_FILE = "dataset.json"
_CHUNK_NUMBERS = 1 << 22


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


def _write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write under a temporary name and rename, so that a killed process leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, whole or not at all.

    Args:
        path: The file; its directory is made if missing.
        value: What JSON can hold.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 text, whole or not at all.

    Args:
        path: The file; its directory is made if missing.
        text: What it shall hold.
    """
    content = text.encode()
    _write_atomically(Path(path), lambda file: file.write(content))


def save_trajectory(path: Path, trajectory: npt.NDArray[Any]) -> None:
    """Write a trajectory, whole or not at all.

    Args:
        path: The `.npy` file; its directory is made if missing.
        trajectory: `[num_frames, N, D + F]`, stored as float32 in C order.

    Raises:
        UserError: `trajectory` has another rank.
    """
    require(trajectory.ndim == 3, "trajectory", "[num_frames, N, D + F]", trajectory.shape)
    array = np.ascontiguousarray(trajectory, dtype=np.float32)
    _write_atomically(Path(path), lambda file: np.save(file, array))


def save_chunks(path: Path, shape: Sequence[int], chunks: Iterable[npt.NDArray[Any]]) -> None:
    """Write a trajectory piece by piece, whole or not at all; never more than a piece is in memory.

    Args:
        path: The `.npy` file; its directory is made if missing.
        shape: `[num_frames, N, D + F]` of the whole trajectory.
        chunks: `[frames, N, D + F]`, one after the other; stored as float32 in C order.

    Raises:
        UserError: The pieces don't make up `shape`.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, header)
        num_frames = 0
        for chunk in chunks:
            require(chunk.shape[1:] == tuple(shape[1:]), "chunks", f"[frames, {shape[1]}, {shape[2]}]", chunk.shape)
            file.write(np.ascontiguousarray(chunk, dtype="<f4").data)
            num_frames += len(chunk)
        require(num_frames == shape[0], "chunks", f"{shape[0]} frames in all", num_frames)

    _write_atomically(Path(path), write)


def open_trajectory(path: Path, num_columns: int) -> np.memmap[Any, np.dtype[np.float32]]:
    """Memory-map a trajectory after checking its header; reads no content.

    Args:
        path: The `.npy` file.
        num_columns: D + F.

    Returns:
        float32 `[num_frames, N, D + F]`.

    Raises:
        UserError: The file is missing, cut short, empty or no `.npy` file, or its dtype, rank, order or
            number of columns is not the expected one.
    """
    try:
        trajectory = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not an .npy file, or cut short: {error}") from None
    fault = _header_fault(trajectory, num_columns)
    if fault:
        raise UserError(f"{path}: {fault}")
    return trajectory


@dataclasses.dataclass(frozen=True)
class StoredTrajectory:
    """A trajectory on disk whose header was checked; it keeps no file open, so there can be any number of them."""

    filename: str
    """The `.npy` file."""
    offset: int
    """Bytes before the content."""
    shape: tuple[int, int, int]
    """(num_frames, N, D + F)."""

    @classmethod
    def check(cls, path: Path, num_columns: int) -> "StoredTrajectory":
        """Check the header of a file; arguments and errors as for `open_trajectory`."""
        trajectory = open_trajectory(path, num_columns)
        return cls(str(trajectory.filename), trajectory.offset, trajectory.shape)

    def __len__(self) -> int:
        """num_frames."""
        return self.shape[0]

    def read(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The frames of the given numbers, `[len(frames), N, D + F]`."""
        return np.asarray(open_trajectory(Path(self.filename), self.shape[-1])[frames])


def _header_fault(trajectory: npt.NDArray[Any], num_columns: int) -> str | None:
    shape = trajectory.shape
    if trajectory.dtype != np.float32:
        return f"expected dtype float32, found {trajectory.dtype}"
    if len(shape) != 3:
        return f"expected rank 3, [num_frames, N, {num_columns}], found rank {len(shape)}, {list(shape)}"
    if shape[2] != num_columns:
        return f"expected {num_columns} columns (positions and features), found {shape[2]}"
    if trajectory.size == 0:
        return f"expected at least one frame and one particle, found {list(shape)}"
    if not trajectory.flags.c_contiguous:
        return "expected C order, found Fortran order; save numpy.ascontiguousarray(trajectory)"
    return None


def validate(directory: Path, *, min_frames: int = 1, splits: Sequence[str] | None = None) -> list[str]:
    """Find every fault of a dataset, reading its files in chunks.

    Args:
        directory: The directory of the dataset.
        min_frames: Frames every trajectory must have at least.
        splits: The splits whose files to read; all by default.

    Returns:
        One line a fault: file, frame, particle and column, what was expected, what was found.

    Raises:
        UserError: The manifest cannot be read.
    """
    directory = Path(directory)
    manifest = Manifest.load(directory)
    faults = _repeated_files(directory, manifest)
    columns = ["x", "y", "z"][: manifest.num_dimensions] + list(manifest.features)
    for split, files in manifest.splits.items():
        if splits is None or split in splits:
            for file in files:
                faults += _file_faults(directory / file, columns, manifest.num_dimensions, min_frames)
    return list(dict.fromkeys(faults))


def _repeated_files(directory: Path, manifest: Manifest) -> list[str]:
    places = defaultdict(list)
    for split, files in manifest.splits.items():
        for file in files:
            places[directory / file].append(split)
    return [
        f"{path}: expected once in one split, found in {', '.join(splits)}"
        for path, splits in places.items()
        if len(splits) > 1
    ]


def _file_faults(path: Path, columns: list[str], num_dimensions: int, min_frames: int) -> list[str]:
    try:
        trajectory = open_trajectory(path, len(columns))
    except UserError as error:
        return [str(error)]
    faults = (
        _length_fault(trajectory, min_frames),
        _finite_fault(trajectory, columns),
        _constant_fault(trajectory, columns, num_dimensions),
    )
    return [f"{path}: {fault}" for fault in faults if fault]


def _length_fault(trajectory: npt.NDArray[Any], min_frames: int) -> str | None:
    if len(trajectory) >= min_frames:
        return None
    return f"expected at least {min_frames} frames for one window, found {len(trajectory)}"


def _chunks(trajectory: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """(first frame, frames) of the pieces of a trajectory."""
    step = max(1, _CHUNK_NUMBERS // math.prod(trajectory.shape[1:]))
    for start in range(0, len(trajectory), step):
        yield start, np.asarray(trajectory[start : start + step])


def _finite_fault(trajectory: npt.NDArray[Any], columns: list[str]) -> str | None:
    first, count = "", 0
    for start, frames in _chunks(trajectory):
        wrong = ~np.isfinite(frames)
        if not first and wrong.any():
            frame, particle, column = np.unravel_index(np.argmax(wrong), wrong.shape)
            first = (
                f"frame {start + frame}, particle {particle}, column {column} ({columns[column]}): "
                f"expected a finite number, found {frames[frame, particle, column]}"
            )
        count += int(wrong.sum())
    return f"{first} ({count} such number{'s' if count > 1 else ''} in the file)" if count else None


def _constant_fault(trajectory: npt.NDArray[Any], columns: list[str], num_dimensions: int) -> str | None:
    expected = np.asarray(trajectory[0, :, num_dimensions:])
    for start, frames in _chunks(trajectory):
        found = frames[:, :, num_dimensions:]
        # NaN differs from itself; what is not finite is a fault of its own.
        changed = (found != expected) & np.isfinite(found) & np.isfinite(expected)
        if changed.any():
            frame, particle, feature = np.unravel_index(np.argmax(changed), changed.shape)
            column = num_dimensions + int(feature)
            return (
                f"frame {start + frame}, particle {particle}, column {column} ({columns[column]}): "
                f"expected {expected[particle, feature]} as in frame 0 (features are constant in time), "
                f"found {found[frame, particle, feature]}"
            )
    return None


def check(directory: Path, *, min_frames: int = 1, splits: Sequence[str] | None = None) -> None:
    """Refuse a dataset with faults; see `validate`.

    Args:
        directory: The directory of the dataset.
        min_frames: Frames every trajectory must have at least.
        splits: The splits whose files to read; all by default.

    Raises:
        UserError: The first fault and the count of the others.
    """
    faults = validate(directory, min_frames=min_frames, splits=splits)
    if len(faults) > 1:
        raise UserError(f"{faults[0]} ... and {len(faults) - 1} more fault{'s' if len(faults) > 2 else ''}")
    if faults:
        raise UserError(faults[0])
