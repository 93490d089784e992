"""HDF5 and Zarr files in the layout of H5MD give the batches of .npy files, and each fault is one line."""

import contextlib
import dataclasses
import re

import h5py
import numpy as np
import pytest
import zarr

from pipelines import windows
from pipelines.config import DataConfig
from pipelines.dataset import batches
from pipelines.description import describe
from pipelines.errors import UserError
from pipelines.fingerprint import fingerprint, same_content
from pipelines.manifest import Manifest
from pipelines.stored_trajectory import StoredTrajectory
from pipelines.validation import validate

CONFIG = DataConfig(subsample=4, subsample_phases=2, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=2)
NAMES = ("mass", "dipole_x", "dipole_y", "velocity_x", "velocity_y", "charge")


def write(path, arrays):
    """Write arrays by their paths in the file."""
    if path.suffix == ".zarr":
        root = zarr.open_group(path, mode="w", zarr_format=3)
        for name, values in arrays.items():
            root.create_array(name, data=np.asarray(values), chunks=tuple(min(7, size) for size in values.shape))
        return
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)


def parts(trajectory):
    """Columns of `NAMES` as arrays of an H5MD file."""
    group = "particles/all/"
    return {
        f"{group}position/value": trajectory[..., :2],
        f"{group}velocity/value": trajectory[..., 5:7],
        f"{group}mass": trajectory[0, :, 2],
        f"{group}dipole": trajectory[0, :, 3:5],
        f"{group}charge/value": trajectory[..., 7],
    }


@pytest.fixture
def trajectories(random_trajectory):
    """Two systems of different sizes, whose velocities are those of the positions."""
    found = [random_trajectory(num_particles=n, num_features=len(NAMES), seed=n) for n in (3, 2)]
    for trajectory in found:
        trajectory[..., 5:7] = np.gradient(trajectory[..., :2], 0.1, axis=0)
    return found


@pytest.fixture(params=[".h5", ".zarr"])
def files(request, write_dataset, trajectories):
    """A dataset of .npy files, and the same one in another format."""
    npy = write_dataset({"train": trajectories}, features=NAMES, name="npy")
    other = write_dataset({"train": trajectories}, features=NAMES, name="other")
    manifest = Manifest.load(other)
    names = [f"train/{number}{request.param}" for number in range(2)]
    for name, trajectory in zip(names, trajectories, strict=True):
        write(other / name, parts(trajectory))
    dataclasses.replace(manifest, splits={"train": tuple(names)}).save(other)
    return npy, other


@pytest.mark.slow_cases("*-134217728")
@pytest.mark.parametrize("kept", [1 << 27, 0])
def test_batches_are_those_of_npy_files(files, monkeypatch, kept):
    monkeypatch.setattr(windows, "_KEPT_BYTES", kept)
    assert [validate(directory) for directory in files] == [[], []]
    streams = [
        list(batches(directory, "train", CONFIG, batch_size=5, seed=1, shuffle=True).as_numpy_iterator())
        for directory in files
    ]
    assert len(streams[0]) == len(streams[1]) > 3
    for (inputs, targets), (other, other_targets) in zip(*streams, strict=True):
        assert inputs.keys() == other.keys()
        for name, values in inputs.items():
            np.testing.assert_array_equal(values, other[name])
        np.testing.assert_array_equal(targets, other_targets)


def test_frames_are_read_by_number_slice_and_list(files, trajectories):
    _, other = files
    manifest = Manifest.load(other)
    stored = StoredTrajectory.check(other / manifest.files[0], manifest)
    for frames in (3, slice(1, 30, 7), slice(None), np.array([2, 5, 30])):
        np.testing.assert_array_equal(stored[frames], trajectories[0][frames])


def test_the_description_is_that_of_npy_files(files):
    npy, other = map(describe, files)
    assert (other.num_frames, other.ranges, other.spacing) == (npy.num_frames, npy.ranges, npy.spacing)


def test_another_byte_order_reads_the_same(write_dataset, trajectories):
    directory = write_dataset({"train": trajectories[:1]}, features=NAMES)
    path = directory / "train/0.h5"
    write(
        path, {name: values.astype(values.dtype.newbyteorder(">")) for name, values in parts(trajectories[0]).items()}
    )
    stored = StoredTrajectory.check(path, Manifest.load(directory))
    np.testing.assert_array_equal(stored[:], trajectories[0])


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
def test_a_damaged_chunk_is_one_line(write_dataset, trajectories, suffix):
    directory = write_dataset({"train": trajectories[:1]}, features=NAMES)
    path = directory / f"train/0{suffix}"
    arrays = parts(trajectories[0])
    position = arrays["particles/all/position/value"]
    if suffix == ".zarr":
        write(path, arrays)
        chunks = sorted((path / "particles/all/position/value/c").rglob("*"))
        next(file for file in chunks if file.is_file()).write_bytes(b"junk")
    else:
        write(path, {name: values for name, values in arrays.items() if values is not position})
        with h5py.File(path, "a") as file:
            stored = file.create_dataset("particles/all/position/value", data=position, fletcher32=True)
            offset, size = stored.id.get_chunk_info(0).byte_offset, stored.id.get_chunk_info(0).size
        content = bytearray(path.read_bytes())
        content[offset : offset + size // 2] = bytes(size // 2)
        path.write_bytes(content)
    manifest = dataclasses.replace(Manifest.load(directory), splits={"train": (f"train/0{suffix}",)})
    manifest.save(directory)
    with pytest.raises(
        UserError, match=rf"^{re.escape(str(path))}: .*position/value: cannot read frames \d+ to \d+; the"
    ):
        StoredTrajectory.check(path, manifest)[:]
    (fault,) = validate(directory)
    assert fault.startswith(f"{path}: ") and "the file is damaged" in fault


def test_a_store_that_lacks_chunks_is_refused(write_dataset, trajectories):
    """Zarr would read zeros."""
    directory = write_dataset({"train": trajectories[:1]}, features=NAMES)
    path = directory / "train/0.zarr"
    write(path, parts(trajectories[0]))
    files = [file for file in (path / "particles/all/position/value/c").rglob("*") if file.is_file()]
    files[0].unlink()
    with pytest.raises(UserError, match=rf"0.zarr: expected {len(files)} chunks of `position`, found {len(files) - 1}"):
        StoredTrajectory.check(path, Manifest.load(directory))


@pytest.mark.parametrize(("boundary", "is_refused"), [(None, True), (["periodic"] * 2, True), (["none"] * 2, False)])
def test_a_box_that_the_manifest_does_not_state_is_refused(write_dataset, trajectories, boundary, is_refused):
    directory = write_dataset({"train": trajectories[:1]}, features=NAMES)
    path = directory / "train/0.h5"
    write(path, {**parts(trajectories[0]), "particles/all/box/edges": np.full(2, 50.0)})
    if boundary:
        with h5py.File(path, "a") as file:
            file["particles/all/box"].attrs["boundary"] = boundary
    refusal = pytest.raises(
        UserError, match=r"0.h5: has a periodic box \(`box/edges`\), but dataset.json states none; exp"
    )
    with refusal if is_refused else contextlib.nullcontext():
        StoredTrajectory.check(path, Manifest.load(directory))


def test_a_changed_array_is_another_content(files, trajectories):
    _, other = files
    manifest = Manifest.load(other)
    before = fingerprint(other, manifest.files)
    assert same_content(before, fingerprint(other, manifest.files)) is None
    write(other / manifest.files[1], parts(trajectories[1] + np.float32(1)))
    assert same_content(before, fingerprint(other, manifest.files)) == f"{manifest.files[1]} has changed"


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda arrays: {"other": np.zeros(3)},
            "expected one group in `particles` that holds `position/value`, found none; the file has other",
        ),
        (
            lambda arrays: {**arrays, "particles/more/mass": np.zeros(3)},
            "expected one group in `particles` that holds `position/value`, found all, more",
        ),
        (
            lambda arrays: {name: values for name, values in arrays.items() if "position" not in name},
            "expected the array `position` (or `position/value`), found charge, dipole, mass, velocity",
        ),
        (
            lambda arrays: {name: values for name, values in arrays.items() if "mass" not in name},
            "expected the array `mass` (or `mass/value`), found charge, dipole, position, velocity",
        ),
        (
            lambda arrays: {**arrays, "particles/all/position/value": np.zeros((40, 3, 3), np.float32)},
            "expected `position` [num_frames, N, 2], found [40, 3, 3]",
        ),
        (
            lambda arrays: {**arrays, "particles/all/position/value": np.zeros((40, 3, 2), np.int32)},
            "expected `position` of dtype float32 or float64, found int32",
        ),
        (
            lambda arrays: {**arrays, "particles/all/mass": np.zeros(4)},
            "expected 'mass' [3] or [40, 3], found [4]",
        ),
        (
            lambda arrays: {
                **arrays,
                "particles/all/box/edges/value": np.stack([np.full(2, 50.0 + (frame > 6)) for frame in range(40)]),
            },
            "expected the `box` of dataset.json in all frames, found [[51.0, 0.0], [0.0, 51.0]] in frame 7; state the "
            "boxes of all frames in `box_files`",
        ),
    ],
)
def test_every_fault_is_one_line(write_dataset, trajectories, suffix, change, message):
    directory = write_dataset({"train": trajectories[:1]}, features=NAMES, box=(50.0, 50.0))
    path = directory / f"train/0{suffix}"
    write(path, change(parts(trajectories[0])))
    manifest = dataclasses.replace(Manifest.load(directory), splits={"train": (f"train/0{suffix}",)})
    manifest.save(directory)
    assert validate(directory) == [f"{path}: {message}"]
    with pytest.raises(UserError, match=re.escape(message)):
        batches(directory, "train", CONFIG, batch_size=5, seed=1, shuffle=True)


@pytest.mark.parametrize(("suffix", "kind"), [(".h5", "an HDF5 file"), (".zarr", "a Zarr store of version 3")])
def test_damaged_and_missing_files_are_refused(tmp_path, suffix, kind):
    manifest, path = Manifest("tiny", 2, (), "1", 0.1, {}, {}), tmp_path / f"0{suffix}"
    with pytest.raises(UserError, match=re.escape(f"{path}: no such file")):
        StoredTrajectory.check(path, manifest)
    if suffix == ".zarr":
        path.mkdir()
        (path / "zarr.json").write_text("{")
    else:
        path.write_bytes(b"\x89HDF")
    with pytest.raises(UserError, match=re.escape(f"{path}: not {kind}, or truncated")):
        StoredTrajectory.check(path, manifest)
