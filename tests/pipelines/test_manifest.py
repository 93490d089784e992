import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.atomic_files import write_atomically
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.npy_files import open_trajectory, save_chunks, save_trajectory
from pipelines.validation import check, validate

FIELDS = {
    "format": 1,
    "name": "tiny",
    "num_dimensions": 2,
    "features": ["mass", "charge"],
    "length_unit": "nm",
    "time_between_frames": 1e-4,
    "splits": {"train": ["train/0.npy"], "test": []},
    "provenance": {"seed": 0},
}


def write_fields(directory: Path, fields: object) -> Path:
    (directory / "dataset.json").write_text(json.dumps(fields), encoding="utf-8")
    return directory


def test_manifest_reads_the_promised_format(tmp_path):
    manifest = Manifest.load(write_fields(tmp_path, FIELDS))
    assert manifest == Manifest(
        name="tiny",
        num_dimensions=2,
        features=("mass", "charge"),
        length_unit="nm",
        time_between_frames=1e-4,
        splits={"train": ("train/0.npy",), "test": ()},
        provenance={"seed": 0},
    )


def test_manifest_survives_saving_and_equal_manifests_give_equal_bytes(tmp_path):
    manifest = Manifest.load(write_fields(tmp_path, FIELDS))
    for name in ("a", "b"):
        manifest.save(tmp_path / name)
        assert Manifest.load(tmp_path / name) == manifest
    assert (tmp_path / "a/dataset.json").read_bytes() == (tmp_path / "b/dataset.json").read_bytes()
    assert json.loads((tmp_path / "a/dataset.json").read_text(encoding="utf-8")) == FIELDS
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["dataset.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "`format` must be 1. Received: 2"),
        ({"name": ""}, "`name` must be a text. Received: ''"),
        ({"num_dimensions": 4}, "`num_dimensions` must be 2 or 3. Received: 4"),
        ({"num_dimensions": "2"}, "`num_dimensions` must be 2 or 3. Received: '2'"),
        ({"features": "mass"}, "`features` must be a list of texts. Received: 'mass'"),
        ({"features": [1]}, "`features` must be a list of texts. Received: [1]"),
        ({"features": ["a", "a"]}, "`features` must be a list of different names. Received: ['a', 'a']"),
        ({"length_unit": None}, "`length_unit` must be a text. Received: None"),
        ({"time_between_frames": 0}, "`time_between_frames` must be a positive number. Received: 0"),
        ({"time_between_frames": float("nan")}, "`time_between_frames` must be a positive number. Received: nan"),
        ({"time_between_frames": True}, "`time_between_frames` must be a positive number. Received: True"),
        ({"splits": []}, "`splits` must be an object of lists of files. Received: []"),
        ({"splits": {"train": "a.npy"}}, "`splits.train` must be a list of files. Received: 'a.npy'"),
        (
            {"splits": {"train": ["../a.npy"]}},
            "`splits.train` must be a list of files inside the dataset. Received: '../a.npy'",
        ),
        (
            {"splits": {"train": ["/a.npy"]}},
            "`splits.train` must be a list of files inside the dataset. Received: '/a.npy'",
        ),
        ({"provenance": "me"}, "`provenance` must be an object. Received: 'me'"),
        (
            {"extra": 1},
            "unknown field 'extra'; expected format, name, num_dimensions, features, length_unit, "
            "time_between_frames, splits, provenance",
        ),
    ],
)
def test_manifest_refuses_a_wrong_field(tmp_path, change, message):
    with pytest.raises(UserError) as error:
        Manifest.load(write_fields(tmp_path, FIELDS | change))
    assert str(error.value) == f"{tmp_path / 'dataset.json'}: {message}"


@pytest.mark.parametrize("name", list(FIELDS))
def test_manifest_refuses_a_missing_field(tmp_path, name):
    write_fields(tmp_path, {key: value for key, value in FIELDS.items() if key != name})
    expected = "`format` must be 1" if name == "format" else f"missing field '{name}'"
    with pytest.raises(UserError, match=re.escape(expected)):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"format": 1,\n "name" "tiny"}', "line 2, column 9: not JSON: Expecting ':' delimiter"),
        (b"[1]", "expected a JSON object, found list"),
        (b'{"name": "\xff"}', "not UTF-8 text"),
    ],
)
def test_manifest_refuses_what_is_no_json_object(tmp_path, content, message):
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"dataset.json: {message}")):
        Manifest.load(tmp_path)


def test_missing_directory_and_missing_manifest_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="gone: no such directory"):
        Manifest.load(tmp_path / "gone")
    for read in (Manifest.load, validate, check):
        with pytest.raises(UserError, match=r"dataset\.json: No such file or directory"):
            read(tmp_path)


def test_constructed_manifest_is_checked_too():
    with pytest.raises(UserError, match=r"`num_dimensions` must be 2 or 3\. Received: 1"):
        Manifest("tiny", 1, (), "1", 1.0, {}, {})


def test_saved_trajectory_is_float32_in_c_order_and_alone_in_its_directory(tmp_path):
    trajectory = np.asfortranarray(np.arange(24.0).reshape(4, 2, 3))
    path = tmp_path / "train/0.npy"
    save_trajectory(path, trajectory)
    stored = np.load(path)
    assert stored.dtype == np.float32 and stored.flags.c_contiguous
    np.testing.assert_array_equal(stored, trajectory)
    np.testing.assert_array_equal(open_trajectory(path, 3), trajectory)
    assert list(path.parent.iterdir()) == [path]


def test_save_trajectory_refuses_another_rank(tmp_path):
    expected = re.escape("`trajectory` must be [num_frames, N, D + F]. Received: (4, 2)")
    with pytest.raises(UserError, match=expected):
        save_trajectory(tmp_path / "0.npy", np.zeros((4, 2)))


def test_interrupted_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_half(file):
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write_half)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_sound_dataset_has_no_faults(write_dataset, random_trajectory):
    directory = write_dataset({"train": [random_trajectory(), random_trajectory(num_particles=5)], "test": []})
    assert validate(directory, min_frames=40) == []
    check(directory, min_frames=40)


def changed(trajectory, index, value):
    trajectory = trajectory.copy()
    trajectory[index] = value
    return trajectory


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (
            (7, 1, 0),
            np.nan,
            "frame 7, particle 1, column 0 (x): expected a finite number, found nan (1 such number in the file)",
        ),
        (
            (slice(5, 7), 2, 1),
            -np.inf,
            "frame 5, particle 2, column 1 (y): expected a finite number, found -inf (2 such numbers in the file)",
        ),
        (
            (0, 0, 2),
            np.nan,
            "frame 0, particle 0, column 2 (mass): expected a finite number, found nan (1 such number in the file)",
        ),
        (
            (30, 0, 2),
            np.inf,
            "frame 30, particle 0, column 2 (mass): expected a finite number, found inf (1 such number in the file)",
        ),
        (
            (slice(9, None), 2, 2),
            8.0,
            "frame 9, particle 2, column 2 (mass): expected 4.0 as in frame 0 (features are constant in time), "
            "found 8.0",
        ),
    ],
)
@pytest.mark.parametrize("chunk_numbers", [1, 25, 1 << 22])
def test_validate_finds_wrong_numbers_whatever_the_chunks(
    write_dataset, random_trajectory, monkeypatch, index, value, message, chunk_numbers
):
    monkeypatch.setattr("pipelines.validation._CHUNK_NUMBERS", chunk_numbers)
    sound = changed(random_trajectory(), (slice(None), slice(None), 2), 4.0)
    directory = write_dataset({"train": [sound, changed(sound, index, value)]})
    assert validate(directory) == [f"{directory / 'train/00001.npy'}: {message}"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 2, 3)), "expected dtype float32, found float64"),
        (np.zeros((4, 2, 3), ">f4"), "expected dtype float32, found >f4"),
        (np.zeros((4, 6), np.float32), "expected rank 3, [num_frames, N, 3], found rank 2, [4, 6]"),
        (np.zeros((4, 2, 5), np.float32), "expected 3 columns (positions and features), found 5"),
        (np.zeros((0, 2, 3), np.float32), "expected at least one frame and one particle, found [0, 2, 3]"),
        (np.zeros((4, 0, 3), np.float32), "expected at least one frame and one particle, found [4, 0, 3]"),
        (
            np.zeros((4, 2, 3), np.float32, order="F"),
            "expected C order, found Fortran order; save numpy.ascontiguousarray(trajectory)",
        ),
        (np.zeros((3, 2, 3), np.float32), "expected at least 4 frames for one window, found 3"),
    ],
)
def test_validate_finds_wrong_arrays(write_dataset, random_trajectory, array, message):
    directory = write_dataset({"train": [random_trajectory()]})
    np.save(directory / "train/00000.npy", array)
    assert validate(directory, min_frames=4) == [f"{directory / 'train/00000.npy'}: {message}"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"0.5 0.25\n" * 20,
        lambda content: content[:50],
        lambda content: content[:-1],
    ],
)
def test_validate_finds_files_cut_short_and_of_another_kind(write_dataset, random_trajectory, damage):
    directory = write_dataset({"train": [random_trajectory()]})
    path = directory / "train/00000.npy"
    path.write_bytes(damage(path.read_bytes()))
    (fault,) = validate(directory)
    assert fault.startswith(f"{path}: not an .npy file, or cut short: ") and "\n" not in fault


def test_validate_finds_missing_and_repeated_files(write_dataset, random_trajectory):
    directory = write_dataset({"train": [random_trajectory()]})
    Manifest(
        "tiny",
        2,
        ("mass",),
        "1",
        0.1,
        {"train": ("train/00000.npy", "train/1.npy"), "validation": ("./train/00000.npy",)},
        {},
    ).save(directory)
    assert validate(directory) == [
        f"{directory / 'train/00000.npy'}: expected once in one split, found in train, validation",
        f"{directory / 'train/1.npy'}: no such file",
    ]


def test_validate_reads_only_the_splits_asked_for(write_dataset, random_trajectory):
    sound = random_trajectory()
    directory = write_dataset({"train": [sound], "test": [changed(sound, (0, 0, 0), np.nan)]})
    assert validate(directory, splits=["train"]) == []
    assert len(validate(directory, splits=["train", "test"])) == 1
    assert len(validate(directory)) == 1


@pytest.mark.parametrize(
    ("num_faulty", "end"),
    [
        (1, " (1 such number in the file)"),
        (2, " (1 such number in the file) ... and 1 more fault"),
        (3, " (1 such number in the file) ... and 2 more faults"),
    ],
)
def test_check_says_the_first_fault_and_counts_the_others(write_dataset, random_trajectory, num_faulty, end):
    faulty = changed(random_trajectory(), (0, 0, 0), np.nan)
    directory = write_dataset({"train": [faulty] * num_faulty})
    with pytest.raises(UserError) as error:
        check(directory)
    assert str(error.value).startswith(f"{directory / 'train/00000.npy'}: frame 0, particle 0, column 0 (x): ")
    assert str(error.value).endswith(f"found nan{end}")


def test_a_trajectory_written_in_pieces_has_the_bytes_of_one_written_whole(tmp_path, random_trajectory):
    trajectory = random_trajectory(num_frames=7)
    save_trajectory(tmp_path / "whole.npy", trajectory)
    save_chunks(tmp_path / "pieces.npy", trajectory.shape, (trajectory[:3], trajectory[3:3], trajectory[3:]))
    assert (tmp_path / "pieces.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    ("shape", "message"),
    [((8, 3, 3), "`chunks` must be 8 frames in all. Received: 7"), ((7, 2, 3), r"`chunks` must be \[frames, 2, 3\]")],
)
def test_pieces_that_do_not_fit_leave_no_file(tmp_path, random_trajectory, shape, message):
    with pytest.raises(UserError, match=message):
        save_chunks(tmp_path / "pieces.npy", shape, [random_trajectory(num_frames=7)])
    assert list(tmp_path.iterdir()) == []
