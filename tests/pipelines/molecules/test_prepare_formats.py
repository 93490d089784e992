"""`prepare` writes the same dataset in every format, and float64 as it is."""

import dataclasses

import h5py
import numpy as np
import pytest

from pipelines.manifest import Manifest
from pipelines.molecules.prepare import prepare
from pipelines.stored_trajectory import StoredTrajectory
from tests.pipelines.molecules.systems import config_of


def written(path, directory, **settings):
    """All frames of a dataset, file by file."""
    prepare(dataclasses.replace(config_of(path), **settings), directory, command="the command")
    manifest = Manifest.load(directory)
    return {file: StoredTrajectory.check(directory / file, manifest)[:] for file in manifest.files}


@pytest.mark.parametrize("file_format", ["h5md", "zarr"])
def test_every_format_holds_the_numbers_of_npy_files(system, tmp_path, file_format):
    path, _ = system
    expected = written(path, tmp_path / "npy")
    found = written(path, tmp_path / file_format, file_format=file_format)
    assert list(found) == [file.replace(".npy", f".{file_format}") for file in expected]
    for ours, theirs in zip(found.values(), expected.values(), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)
    assert not list((tmp_path / file_format).rglob(".*.tmp"))


@pytest.mark.parametrize("file_format", ["npy", "h5md", "zarr"])
def test_float64_is_kept(system, tmp_path, file_format):
    path, _ = system
    single = written(path, tmp_path / "single")
    double = written(path, tmp_path / "double", file_format=file_format, dtype="float64")
    for ours, theirs in zip(double.values(), single.values(), strict=True):
        assert ours.dtype == np.float64
        assert (ours != ours.astype(np.float32)).any()
        np.testing.assert_array_equal(ours.astype(np.float32), theirs)


def test_an_h5md_file_says_what_it_is(system, tmp_path):
    path, _ = system
    written(path, tmp_path / "data", file_format="h5md")
    with h5py.File(tmp_path / "data/train/00000.h5md") as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        position = file["particles/all/position"]
        assert position["value"].attrs["unit"] == "nm" and position["time"][()] == 1000.0
        assert file["particles/all/OQL"][()].tolist() == [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
