"""Writing of trajectories to HDF5 and Zarr (version 3), in the layout of H5MD; see `pipelines.h5md`."""

import os
import shutil
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import require
from pipelines.h5md import ZARR_SUFFIX, load_library
from pipelines.manifest import Manifest

_CHUNK_NUMBERS = 1 << 18
_GROUP = "particles/all"


def save_h5md(
    path: Path, manifest: Manifest, shape: Sequence[int], chunks: Iterable[npt.NDArray[Any]], dtype: str
) -> None:
    """Write a trajectory whose features but for velocities are constant in time, atomically and chunk by chunk.

    Args:
        path: The file, .h5md or .zarr; its directory is created if missing.
        manifest: Describes the columns and their units.
        shape: (num_frames, N, D + F).
        chunks: Consecutive frames `[frames, N, D + F]`.
        dtype: Of the positions, float32 or float64.

    Raises:
        UserError: The library is missing, or the chunks do not add up to `shape`.
        OSError: The file cannot be written; `filename` says which.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(load_library(path), path.suffix == ZARR_SUFFIX, temporary, manifest, shape, chunks, dtype)
        _remove(path)  # a directory is not replaced
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        _remove(temporary)


def _write(
    library: Any,
    is_zarr: bool,
    path: Path,
    manifest: Manifest,
    shape: Sequence[int],
    chunks: Iterable[npt.NDArray[Any]],
    dtype: str,
) -> None:
    (num_frames, num_particles, _), size = shape, manifest.num_dimensions
    rows = min(num_frames, max(1, _CHUNK_NUMBERS // (num_particles * size)))
    options = {"shape": (num_frames, num_particles, size), "dtype": dtype, "chunks": (rows, num_particles, size)}
    root = library.open_group(path, mode="w", zarr_format=3) if is_zarr else library.File(path, "w")
    try:
        create = root.create_array if is_zarr else root.create_dataset
        h5md = root.create_group("h5md")
        h5md.attrs["version"] = [1, 1]
        h5md.create_group("author").attrs["name"] = "unknown"
        h5md.create_group("creator").attrs.update({"name": "socialmd_tf", "version": version("socialmd_tf")})
        # Without compression: windows are read from any place.
        positions = create(f"{_GROUP}/position/value", **options, **({"compressors": None} if is_zarr else {}))
        positions.attrs["unit"] = manifest.length_unit
        for name, value in (("step", 1), ("time", manifest.time_between_frames)):
            _scalar(root, is_zarr, f"{_GROUP}/position/{name}", value)
        box = root[_GROUP].create_group("box")
        boundary = ["periodic" if manifest.is_periodic else "none"] * size
        box.attrs.update({"dimension": size, "boundary": boundary})
        moving, velocities = manifest.velocity_start, None
        if moving is not None:
            velocities = create(f"{_GROUP}/velocity/value", **options, **({"compressors": None} if is_zarr else {}))
        done, features = 0, None
        for chunk in chunks:
            require(chunk.shape[1:] == tuple(shape[1:]), "chunks", f"[frames, {shape[1]}, {shape[2]}]", chunk.shape)
            positions[done : done + len(chunk)] = chunk[..., :size].astype(dtype)
            if velocities is not None and moving is not None:
                velocities[done : done + len(chunk)] = chunk[..., size + moving : 2 * size + moving].astype(dtype)
            features = chunk[0, :, size:] if features is None and len(chunk) else features
            done += len(chunk)
        require(done == num_frames, "chunks", f"{num_frames} frames in total", done)
        for place, name in enumerate(manifest.features):
            if velocities is not None and name in manifest.velocity_names:
                continue
            values = np.asarray(features)[:, place].astype(np.float32)
            create(f"{_GROUP}/{name}", data=values)
    finally:
        if not is_zarr:
            root.close()


def _scalar(root: Any, is_zarr: bool, name: str, value: float) -> None:
    data = np.asarray(value)
    if is_zarr:
        root.create_array(name, data=data)
    else:
        root.create_dataset(name, data=data)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
