import dataclasses
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.validation import check, validate


@pytest.fixture
def with_rerun(write_dataset, random_trajectory):
    """A dataset in which a file is run again from frame 7 on: its directory, and a function that writes the re-run."""
    original = random_trajectory()
    directory = write_dataset({"train": [original], "test": [random_trajectory(seed=1)]})
    manifest = Manifest.load(directory)
    moves = np.random.default_rng(3).normal(scale=0.1, size=original[7:].shape)
    moves[0], moves[..., manifest.num_dimensions :] = 0, 0
    rerun = original[7] + np.cumsum(moves, axis=0)

    def write(trajectory=rerun, frame=7, of="train/00000.npy", file="reruns/a.npy"):
        (directory / "reruns").mkdir(exist_ok=True)
        np.save(directory / "reruns/a.npy", np.float32(trajectory))
        dataclasses.replace(manifest, reruns={file: {"of": of, "frame": frame}}).save(directory)
        return directory

    write.rerun = rerun
    return write


def test_a_rerun_begins_at_the_frame_that_it_restarts(with_rerun):
    directory = with_rerun()
    assert validate(directory) == []
    manifest = Manifest.load(directory)
    assert manifest.reruns_of("train/00000.npy") == {7: ("reruns/a.npy",)}
    assert manifest.reruns_of("test/00000.npy") == {}
    assert manifest.group_of("reruns/a.npy") == manifest.group_of("train/00000.npy")
    assert "reruns/a.npy" not in manifest.files
    assert json.loads((directory / "dataset.json").read_text())["reruns"] == {
        "reruns/a.npy": {"of": "train/00000.npy", "frame": 7}
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": "test/00000.npy"}, "not a re-run of test/00000.npy: expected its positions at frame 7, found particle"),
        ({"frame": 8}, "not a re-run of train/00000.npy: expected its positions at frame 8, found particle"),
        ({"frame": 40}, "not a re-run of train/00000.npy: expected a `frame` from 0 to 39, found 40"),
    ],
)
def test_a_rerun_of_another_simulation_or_frame_is_refused(with_rerun, change, message):
    directory = with_rerun(**change)
    with pytest.raises(UserError) as error:
        check(directory)
    assert str(error.value).startswith(f"{directory / 'reruns/a.npy'}: {message}")


def test_a_rerun_of_other_particles_or_features_is_refused(with_rerun):
    fewer = with_rerun.rerun[:, :-1]
    directory = with_rerun(fewer)
    expected = fewer.shape[1] + 1
    (fault,) = validate(directory)
    assert fault.endswith(f"not a re-run of train/00000.npy: expected {expected} particles, found {expected - 1}")
    heavier = with_rerun.rerun.copy()
    heavier[:, 1, 2] += 1
    (fault,) = validate(with_rerun(heavier))
    assert "not a re-run of train/00000.npy: particle 1, column 2 (mass): expected " in fault


def test_faults_of_the_file_itself_are_found(with_rerun):
    broken = with_rerun.rerun.copy()
    broken[3, 0, 0] = np.nan
    (fault,) = validate(with_rerun(broken))
    assert "frame 3, particle 0, column 0 (x): expected a finite number" in fault
    assert "no such file" in validate(with_rerun(file="reruns/missing.npy"))[0]


def test_reruns_are_read_with_the_splits_that_they_restart(with_rerun):
    directory = with_rerun(frame=8)
    assert validate(directory, splits=["test"]) == []
    assert len(validate(directory, splits=["train"])) == 1


def test_in_a_box_the_start_may_be_another_image(write_dataset, random_trajectory):
    original = random_trajectory()
    directory = write_dataset({"train": [original]})
    rerun = original[7:].copy()
    rerun[..., 0] += 1000.0
    np.save(directory / "again.npy", rerun)
    manifest = Manifest.load(directory)
    listed = {"again.npy": {"of": "train/00000.npy", "frame": 7}}
    for box, num_faults in (((1000.0, 1000.0), 0), (None, 1)):
        dataclasses.replace(manifest, reruns=listed, box=box).save(directory)
        assert len(validate(directory)) == num_faults


@pytest.mark.parametrize(
    ("reruns", "message"),
    [
        (["a.npy"], "`reruns` must be an object: file -> "),
        (
            {"train/0.npy": {}},
            "`reruns` must be about .npy files inside the dataset, not in `splits`. Received: 'train",
        ),
        (
            {"../a.npy": {}},
            "`reruns` must be about .npy files inside the dataset, not in `splits`. Received: '../a.npy",
        ),
        ({"a.npy": {"of": "train/0.npy"}}, '`reruns.a.npy` must be an object {"of": file, "frame": number}. Received'),
        (
            {"a.npy": {"of": "b.npy", "frame": 1}},
            "`reruns.a.npy` must be a re-run `of` a file of `splits`. Received: 'b",
        ),
        (
            {"a.npy": {"of": "train/0.npy", "frame": -1}},
            "`reruns.a.npy` must be a re-run from a `frame`, an integer of at least 0. Received: -1",
        ),
    ],
)
def test_refuses_other_forms(reruns, message):
    with pytest.raises(UserError) as error:
        Manifest("tiny", 2, (), "nm", 1.0, {"train": ("train/0.npy",)}, {}, reruns=reruns)
    assert str(error.value).startswith(message)
