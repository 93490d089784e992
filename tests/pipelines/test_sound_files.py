"""A file without faults is read once, and again after any change."""

import json
import os
import time

import numpy as np
import pytest

from pipelines import sound_files, validation
from pipelines.manifest import Manifest
from pipelines.sound_files import MEMORY_FILE
from pipelines.validation import validate


@pytest.fixture
def read_files(monkeypatch):
    """Names of the files whose numbers were read."""
    names, original = [], validation.frame_faults

    def record(manifest, trajectory, **options):
        names.append(trajectory.path.name)
        return original(manifest, trajectory, **options)

    monkeypatch.setattr(validation, "frame_faults", record)
    return names


@pytest.fixture
def directory(write_dataset, random_trajectory, monkeypatch):
    monkeypatch.setattr(sound_files, "_RECENT_SECONDS", 0.0)
    return write_dataset({"train": [random_trajectory(seed=seed) for seed in range(3)]})


def test_files_without_faults_are_read_once(directory, read_files):
    assert validate(directory) == validate(directory) == []
    assert read_files == ["00000.npy", "00001.npy", "00002.npy"]
    assert validate(directory, min_frames=41)[0].startswith(f"{directory / 'train/00000.npy'}: expected at least 41")
    assert len(read_files) == 3


def test_a_file_that_changed_is_read_again_even_if_size_and_time_are_the_same(directory, read_files):
    validate(directory)
    path = directory / "train/00001.npy"
    status, values = path.stat(), np.load(path)
    values[7, 1, 0] = np.nan
    np.save(path, values)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size and path.stat().st_mtime_ns == status.st_mtime_ns
    read_files.clear()
    for _ in range(2):  # a file with a fault is not noted
        (fault,) = validate(directory)
        assert "frame 7, particle 1" in fault
    assert read_files == ["00001.npy"] * 2


def test_another_box_or_another_meaning_of_the_columns_is_checked_anew(directory, read_files):
    validate(directory)
    manifest = Manifest.load(directory)
    vars(manifest)["box"] = (100.0, 100.0)
    manifest.save(directory)
    read_files.clear()
    assert validate(directory) == []
    assert len(read_files) == 3


def test_files_that_changed_just_now_are_not_noted(write_dataset, random_trajectory, read_files):
    directory = write_dataset({"train": [random_trajectory()]})
    validate(directory)
    assert not (directory / MEMORY_FILE).exists()
    time.sleep(0.01)
    validate(directory)
    assert len(read_files) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"sound": 3}', "\0"])
def test_a_damaged_note_is_none(directory, read_files, content):
    (directory / MEMORY_FILE).write_text(content)
    assert validate(directory) == validate(directory) == []
    assert len(read_files) == 3
    assert len(json.loads((directory / MEMORY_FILE).read_text())["sound"]) == 3


def test_a_killed_validation_goes_on_where_it_was(directory, read_files, monkeypatch):
    monkeypatch.setattr(sound_files, "_SECONDS_BETWEEN_WRITES", 0.0)
    original = validation.frame_faults

    def killed(manifest, trajectory, **options):
        if trajectory.path.name == "00002.npy":
            raise KeyboardInterrupt
        return original(manifest, trajectory, **options)

    with monkeypatch.context() as context:
        context.setattr(validation, "frame_faults", killed)
        with pytest.raises(KeyboardInterrupt):
            validate(directory)
    read_files.clear()
    assert validate(directory) == []
    assert read_files == ["00002.npy"]
