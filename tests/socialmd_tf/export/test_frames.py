import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.export.frames import Frames, read


@pytest.fixture
def data(write_dataset, random_trajectory):
    return write_dataset({"test": [random_trajectory(num_frames=16)]})


def test_a_file_knows_its_dataset(data):
    stored = np.load(data / "test/00000.npy")
    frames = read(data / "test/00000.npy")
    np.testing.assert_array_equal(frames.positions, stored[..., :2])
    assert list(frames.features) == ["mass"]
    np.testing.assert_array_equal(frames.features["mass"], stored[0, :, 2])
    assert (frames.length_unit, frames.time_unit, frames.time_between_frames) == ("1", None, 0.1)
    dataclasses.replace(Manifest.load(data), time_unit="ps").save(data)
    assert read(data / "test/00000.npy").time_unit == "ps"
    assert (len(frames), frames.first_frame, frames.mask) == (16, 0, None)
    assert frames.name == str(data / "test/00000.npy")
    np.testing.assert_array_equal(read(str(data / "test/00000.npy")).positions, frames.positions)


def test_a_file_is_read_when_its_frames_are_used(data):
    owner = read(data / "test/00000.npy").positions
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    assert isinstance(owner, np.memmap)


def test_a_file_elsewhere_needs_the_dataset_named(data, tmp_path):
    elsewhere = tmp_path / "elsewhere.npy"
    elsewhere.write_bytes((data / "test/00000.npy").read_bytes())
    with pytest.raises(UserError, match=r"found no dataset\.json.*`data`"):
        read(elsewhere)
    assert read(elsewhere, data=data).time_between_frames == 0.1


def test_a_relative_path_finds_its_dataset(data, monkeypatch):
    monkeypatch.chdir(data / "test")
    assert len(read("00000.npy")) == 16


def test_faulty_files_are_refused(data, tmp_path):
    with pytest.raises(UserError, match=r"no such file"):
        read(data / "test/9.npy")
    with pytest.raises(UserError, match=r"no such file"):
        read(tmp_path.parent / "nowhere.npy")
    dataclasses.replace(Manifest.load(data), features=("mass", "charge")).save(data)
    with pytest.raises(UserError, match=r"expected 4 columns.*found 3"):
        read(data / "test/00000.npy")


@pytest.mark.parametrize("name", ["features", "mask", "velocities", "box"])
def test_a_file_holds_its_own_features(data, name):
    with pytest.raises(UserError, match=rf"`{name}` must be left out for a file"):
        read(data / "test/00000.npy", **{name: [1.0]})


def test_positions_are_one_system_or_several():
    for shape in ((4, 3, 2), (5, 4, 3, 3)):
        frames = read(np.zeros(shape))
        assert (frames.positions.shape, frames.positions.dtype, len(frames)) == (shape, np.float32, 4)
        assert (frames.length_unit, frames.time_between_frames) == (None, None)
    nested = read([[[0, 1], [2, 3]], [[4, 5], [6, 7]]], features=[[1.0], [2.0]], mask=[1, 0])
    assert nested.positions.shape == (2, 2, 2) and nested.mask.tolist() == [1, 0]


def test_positions_of_a_dataset_have_its_units(data):
    frames = read(np.zeros((4, 3, 2)), data=data)
    assert (frames.length_unit, frames.time_between_frames, frames.features) == ("1", 0.1, None)


def test_numbers_beyond_float32_become_infinite():
    assert np.isinf(read(np.full((1, 1, 2), 1e300)).positions).all()


def test_frames_are_read_as_they_are():
    frames = read(np.zeros((4, 3, 2)))
    assert read(frames) is frames
    assert repr(frames) == "Frames(frames, positions [4, 3, 2])"


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ({"source": np.zeros((3, 2))}, ["`positions`", "(3, 2)"]),
        ({"source": np.zeros((4, 3, 4))}, ["`positions`", "2 or 3 coordinates", "(4, 3, 4)"]),
        ({"source": np.zeros((0, 3, 2))}, ["`positions`", "(0, 3, 2)"]),
        ({"source": np.zeros((4, 0, 2))}, ["`positions`", "(4, 0, 2)"]),
        ({"source": [["a"]]}, ["`positions`", "numbers"]),
        ({"source": [[1.0], [1.0, 2.0]]}, ["`positions`", "numbers"]),
        ({"source": np.zeros((4, 3, 2), complex)}, ["`positions`", "numbers", "complex"]),
        ({"source": np.zeros((4, 3, 2)), "mask": [1, 1]}, ["`mask`", "[3]", "(2,)"]),
        ({"source": np.zeros((5, 4, 3, 2)), "mask": np.ones((4, 3))}, ["`mask`", "[5, 3]", "(4, 3)"]),
        ({"source": np.zeros((4, 3, 2)), "data": "nowhere"}, ["nowhere"]),
    ],
)
def test_other_arrays_are_refused_in_one_line(arguments, fragments):
    with pytest.raises(UserError) as error:
        read(**arguments)
    message = str(error.value)
    assert "\n" not in message and all(fragment in message for fragment in fragments)


def test_slices_keep_what_is_known():
    positions = np.arange(24.0, dtype=np.float32).reshape(6, 2, 2)
    frames = Frames(positions, velocities=positions + 1, time_between_frames=0.5, length_unit="nm")
    part = frames[1:][1:5:2]
    np.testing.assert_array_equal(part.positions, positions[2:6:2])
    np.testing.assert_array_equal(part.velocities, positions[2:6:2] + 1)
    assert (part.first_frame, part.time_between_frames, part.length_unit) == (2, 1.0, "nm")
    batched = Frames(np.stack([positions, positions]))[4:]
    assert batched.positions.shape == (2, 2, 2, 2) and batched.time_between_frames is None
    for wrong in (0, slice(None, None, -1)):
        with pytest.raises(UserError, match="`frames` must be a slice"):
            frames[wrong]
    with pytest.raises(UserError, match="without empty axes"):
        frames[6:]


def test_positions_far_from_the_origin_are_rounded_with_a_warning():
    """At 3e5 float32 numbers are 0.03 apart, so that positions change by 0.008 on average; moves are about 1."""
    generator = np.random.default_rng(0)
    near = generator.normal(size=(20, 5, 2)).cumsum(axis=0)
    far = near + np.array([0.0, 3e5])
    with pytest.warns(UserWarning, match=r"changes y by 0\.0081, 1\.0% of a typical move .*: subtract a reference"):
        frames = read(far)
    np.testing.assert_array_equal(frames.positions, far.astype(np.float32))  # nothing is subtracted
    for quiet in (
        near,
        far.astype(np.float32),
        near + np.array([0.0, 3e2]),
        far[:1],
        np.zeros((3, 2, 2)),
        far * np.nan,
    ):
        read(quiet)  # a warning is an error in these tests
    still = near * np.array([1.0, 0.0]) + np.array([0.0, 3e5 + 0.01])
    with pytest.warns(UserWarning, match="changes y by"):  # an axis without moves counts by those of the other
        read(np.stack([still, still]))
