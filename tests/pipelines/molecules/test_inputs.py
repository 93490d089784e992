import os
import shutil
from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.molecules.prepare import prepare
from tests.pipelines.molecules.systems import (
    config_of,
    contents,
    nanoparticle,
    walk,
    write_series,
)


@pytest.fixture
def complete(system, tmp_path):
    """The input of a dataset that is complete, and the contents of the dataset."""
    path, _ = system
    prepare(config_of(path), tmp_path / "data", command="")
    return path, contents(tmp_path / "data")


def refused(config, tmp_path, before, *values):
    with pytest.raises(UserError) as error:
        prepare(config, tmp_path / "data", command="")
    assert all(value in str(error.value) for value in values)
    assert contents(tmp_path / "data") == before


def test_the_same_input_again_is_complete(complete, tmp_path):
    path, before = complete
    again = prepare(config_of(path), tmp_path / "data", command="")
    assert again.was_complete and str(again).startswith("The dataset was complete already; nothing was done.")
    assert contents(tmp_path / "data") == before


def test_equal_input_that_was_moved_or_touched_is_the_same(complete, tmp_path):
    path, _ = complete
    moved = path.rename(tmp_path / "elsewhere.pdb")
    assert prepare(config_of(moved), tmp_path / "data", command="").was_complete
    shutil.copy(moved, path)
    assert prepare(config_of(path), tmp_path / "data", command="").was_complete


def test_a_longer_trajectory_is_not(complete, tmp_path):
    path, before = complete
    text = path.read_text()
    path.write_text(text.removesuffix("END\n") + text[text.index("MODEL") :])
    refused(config_of(path), tmp_path, before, str(path), "has changed", "--output")


def test_another_file_of_the_same_size_and_time_of_change_elsewhere_is_not(complete, tmp_path):
    path, before = complete
    other = tmp_path / "other.pdb"
    other.write_text(path.read_text().replace("1.00  0.00", "1.00  1.00"))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    refused(config_of(other), tmp_path, before, str(other), "has changed")


def test_a_frame_more_in_a_directory_is_not(tmp_path):
    molecules, first = nanoparticle()
    paths = write_series(tmp_path / "series", molecules, walk(first, 40))
    prepare(config_of(tmp_path / "series"), tmp_path / "data", command="")
    before = contents(tmp_path / "data")
    added = Path(shutil.copy(paths[-1], tmp_path / "series" / "frame_41.pdb"))
    refused(config_of(tmp_path / "series"), tmp_path, before, f"{added} was added")
    added.unlink()
    paths[-1].unlink()
    refused(config_of(tmp_path / "series"), tmp_path, before, f"{paths[-1]} is missing")


def test_input_that_is_gone_cannot_be_compared(complete, tmp_path):
    path, before = complete
    path.unlink()
    refused(config_of(path), tmp_path, before, f"{path}: no such file")


def test_another_number_of_simulations_is_not_the_same(complete, tmp_path):
    path, before = complete
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        shutil.copy(path, folder)
    refused(config_of(*folders), tmp_path, before, "1 simulations", "has 2")


def test_a_run_that_was_stopped_does_not_resume_with_changed_input(eight, tmp_path):
    directory = tmp_path / "data"
    prepare(eight, directory, command="")
    for name in ("dataset.json", "simulations/00007.json"):
        (directory / name).unlink()
    changed = eight.trajectory[2]
    changed.write_text(changed.read_text().replace("1.00  0.00", "1.00  1.00", 1))
    with pytest.raises(UserError, match=f"{changed}: the input has changed"):
        prepare(eight, directory, command="")
    assert not (directory / "dataset.json").exists()
