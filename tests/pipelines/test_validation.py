import numpy as np
import pytest

from pipelines import npy_files
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.validation import check, validate


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
    monkeypatch.setattr(npy_files, "_CHUNK_NUMBERS", chunk_numbers)
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
        (
            np.zeros((3, 2, 3), np.float32),
            "expected at least 4 frames for one window, found 3; "
            "--subsample, --warm-up-steps and --rollout-steps shorten the windows",
        ),
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
def test_validate_finds_truncated_files_and_other_formats(write_dataset, random_trajectory, damage):
    directory = write_dataset({"train": [random_trajectory()]})
    path = directory / "train/00000.npy"
    path.write_bytes(damage(path.read_bytes()))
    (fault,) = validate(directory)
    assert fault.startswith(f"{path}: not an .npy file, or truncated: ") and "\n" not in fault


def test_validate_finds_content_that_the_header_does_not_mention(write_dataset, random_trajectory):
    directory = write_dataset({"train": [random_trajectory(num_frames=40)]})
    path = directory / "train/00000.npy"
    # As if one digit of the header were damaged: the file would be read as a shorter one.
    path.write_bytes(path.read_bytes().replace(b"(40, 3, 3)", b"(10, 3, 3)"))
    assert validate(directory) == [f"{path}: expected 488 bytes as the header says, found 1568"]


def wrapped_walk(seed=0, box=5.0, num_features=1):
    generator = np.random.default_rng(seed)
    walk = generator.uniform(0, box, (1, 4, 2)) + 0.2 * generator.normal(size=(200, 4, 2)).cumsum(axis=0)
    return np.concatenate([walk % box, np.ones((200, 4, num_features))], axis=-1).astype(np.float32)


def test_validate_finds_wrapped_positions(write_dataset, random_trajectory):
    wrapped = wrapped_walk()
    directory = write_dataset({"train": [random_trajectory(), wrapped]})
    (fault,) = validate(directory)
    frame, particle = np.argwhere(np.abs(np.diff(wrapped[:, :, 0], axis=0)) > 2.5)[0]
    assert fault.startswith(
        f"{directory / 'train/00001.npy'}: frame {frame + 1}, particle {particle}, column 0 (x): expected positions "
    )
    with pytest.raises(UserError, match="unwrap the positions"):
        check(directory)


def test_a_number_that_is_not_finite_is_no_jump(write_dataset):
    directory = write_dataset({"train": [changed(wrapped_walk(), (5, 0, 0), np.inf)]})
    (fault,) = validate(directory)
    assert "expected a finite number, found inf" in fault


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
