import numpy as np
import pytest

from pipelines import stored_trajectory
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
    monkeypatch.setattr(stored_trajectory, "_CHUNK_NUMBERS", chunk_numbers)
    sound = changed(random_trajectory(), (slice(None), slice(None), 2), 4.0)
    directory = write_dataset({"train": [sound, changed(sound, index, value)]})
    assert validate(directory) == [f"{directory / 'train/00001.npy'}: {message}"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 2, 3), np.int32), "expected dtype float32 or float64, found int32"),
        (np.zeros((4, 2, 3), np.float16), "expected dtype float32 or float64, found float16"),
        (np.zeros((4, 6), np.float32), "expected rank 3, [num_frames, N, 3], found rank 2, [4, 6]"),
        (np.zeros((4, 2, 5), np.float32), "expected 3 columns (positions and features), found 5"),
        (np.zeros((0, 2, 3), np.float32), "expected at least one frame and one particle, found [0, 2, 3]"),
        (np.zeros((4, 0, 3), np.float32), "expected at least one frame and one particle, found [4, 0, 3]"),
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


def moving(num_frames=60, num_particles=4, seed=0):
    """Smooth paths and their velocities, 0.1 of time between frames as `write_dataset` says."""
    generator = np.random.default_rng(seed)
    phase, centre = generator.uniform(0, 6, (2, 1, num_particles, 2))
    angles = 2 * 0.1 * np.arange(num_frames)[:, None, None] + phase
    return centre + 3 * np.sin(angles), 6 * np.cos(angles)


VELOCITIES = ("velocity_x", "velocity_y")


def test_velocities_may_change_in_time_and_other_features_may_not(write_dataset):
    positions, velocities = moving()
    trajectory = np.concatenate([positions, velocities, np.ones_like(positions[..., :1])], axis=-1).astype(np.float32)
    for value, faults in ((1.0, 0), (2.0, 1)):
        trajectory[9:, 2, 4] = value
        found = validate(write_dataset({"train": [trajectory]}, features=(*VELOCITIES, "mass")))
        assert len(found) == faults
        assert all("frame 9, particle 2, column 4 (mass)" in fault for fault in found)


@pytest.mark.parametrize("box", [None, (4.0, 5.0)])
@pytest.mark.parametrize(("factor", "is_refused"), [(1, False), (1.5, False), (10, True), (1e-3, True), (-1, True)])
def test_velocities_in_another_unit_are_found(write_dataset, box, factor, is_refused):
    positions, velocities = moving()
    if box is not None:
        positions = positions % np.array(box)
    trajectory = np.concatenate([positions, factor * velocities], axis=-1).astype(np.float32)
    faults = validate(write_dataset({"train": [trajectory]}, features=VELOCITIES, box=box))
    assert len(faults) == is_refused
    assert all(f"{1 / factor:.1g}"[:3] in fault and "time_between_frames" in fault for fault in faults)


def test_velocities_that_turn_between_stored_frames_say_nothing(write_dataset):
    generator = np.random.default_rng(0)
    positions = (0.1 * generator.normal(size=(60, 4, 2))).cumsum(axis=0)
    trajectory = np.concatenate([positions, 100 * generator.normal(size=(60, 4, 2))], axis=-1).astype(np.float32)
    still = np.zeros((60, 4, 4), np.float32)
    assert validate(write_dataset({"train": [trajectory, still, trajectory[:1]]}, features=VELOCITIES)) == []


def walk_in_a_box(box, step=0.2, seed=0):
    generator = np.random.default_rng(seed)
    walk = generator.uniform(0, 10, (1, 5, 2)) + step * generator.normal(size=(300, 5, 2)).cumsum(axis=0)
    return np.where(np.array(box) > 0, walk % np.where(np.array(box) > 0, box, 1), walk).astype(np.float32)


def test_jumps_are_faults_only_where_the_axis_is_open(write_dataset):
    data = {"train": [walk_in_a_box((10.0, 10.0))]}
    assert len(validate(write_dataset(data, features=()))) == 1
    assert validate(write_dataset(data, features=(), box=(10.0, 10.0))) == []
    assert validate(write_dataset(data, features=(), box=((10.0, 0.0), (0.0, 10.0)))) == []
    (fault,) = validate(write_dataset(data, features=(), box=(10.0, 0.0)))
    assert "column 1 (y)" in fault


def test_moves_too_long_for_the_box_are_a_fault(write_dataset):
    (fault,) = validate(write_dataset({"train": [walk_in_a_box((1.0, 1.0), step=0.5)]}, features=(), box=(1.0, 1.0)))
    assert "0.4 of the box" in fault
    assert validate(write_dataset({"train": [walk_in_a_box((1.0, 1.0), step=0.05)]}, features=(), box=(1.0, 1.0))) == []


@pytest.mark.parametrize("chunk_numbers", [1, 1 << 22])
def test_a_box_of_another_length_and_a_wrong_bond_are_faults(
    write_dataset, random_trajectory, monkeypatch, chunk_numbers
):
    monkeypatch.setattr(stored_trajectory, "_CHUNK_NUMBERS", chunk_numbers)
    options = {"box_files": {"train/00000.npy": "box.npy"}, "edges": "bonds.npy"}
    directory = write_dataset({"train": [random_trajectory(num_particles=3)]}, **options)
    np.save(directory / "bonds.npy", np.array([[0, 1, 1]]))
    np.save(directory / "box.npy", np.full((40, 2), 30.0))
    assert validate(directory) == []
    np.save(directory / "bonds.npy", np.array([[0, 3, 1]]))
    (fault,) = validate(directory)
    assert fault.startswith(f"{directory / 'bonds.npy'}: row 0: ")
    np.save(directory / "box.npy", np.full((39, 2), 30.0))
    (fault,) = validate(directory)
    assert fault.startswith(f"{directory / 'box.npy'}: expected a box for each of the 40 frames")
