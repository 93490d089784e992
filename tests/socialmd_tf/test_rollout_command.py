import dataclasses
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf import commands
from socialmd_tf.export.saved_model import load
from socialmd_tf.rollout import main
from tests.socialmd_tf.evaluation.small_model import RANDOM, exported_model

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)


@pytest.fixture(scope="module")
def model(small_export):
    """Directory of an untrained model for two dimensions and one feature."""
    return small_export.path.parent


@pytest.fixture
def data(write_dataset, random_trajectory):
    return write_dataset({"test": [random_trajectory(num_frames=16)]})


@pytest.fixture
def call(monkeypatch, capsys, model, data, tmp_path):
    """Run the command in this process, with some flags replaced -> exit status, stdout, stderr."""

    def call(*switches, **flags):
        usual = {
            "model": model,
            "input": data / "test/00000.npy",
            "data": data,
            "output": tmp_path / "out.npz",
            "num_steps": 3,
        }
        given = [f"--{name.replace('_', '-')}={value}" for name, value in {**usual, **flags}.items()]
        monkeypatch.setattr(sys, "argv", ["rollout", *given, *switches])
        with pytest.raises(SystemExit) as stop:
            commands.run(main)
        return stop.value.code, *capsys.readouterr()

    return call


def test_the_prediction_a_picture_and_an_animation_are_written(call, model, data, tmp_path):
    code, out, _ = call("--gif", output=tmp_path / "new" / "out.npz", num_steps=4, num_samples=2, seed=7)
    assert code == 0
    assert out.startswith(f"wrote {tmp_path / 'new' / 'out.npz'}: observed [2, 3, 2], mean [4, 3, 2]")
    assert f"pictures: {tmp_path / 'new' / 'out.png'}, {tmp_path / 'new' / 'out.gif'}" in out
    found = np.load(tmp_path / "new" / "out.npz")
    assert set(found) == {"observed", "mean", "covariance", "truth", "times", "samples"}
    stored = np.load(data / "test/00000.npy")
    positions, features = stored[::2, :, :2], stored[:1, :, 2:]
    np.testing.assert_array_equal(found["observed"], positions[:2])
    np.testing.assert_array_equal(found["truth"], positions[2:6])
    np.testing.assert_allclose(found["times"], [0.4, 0.6, 0.8, 1.0])  # 0.1 apart in the file, every second read
    exported = load(model)
    mean, covariance = exported.moments(positions[None, :2], features, 4)
    np.testing.assert_array_equal(found["mean"], mean[0])
    np.testing.assert_array_equal(found["covariance"], covariance[0])
    assert found["samples"].shape == (2, 4, 3, 2)
    drawn = exported.paths(np.repeat(positions[None, :2], 2, axis=0), np.repeat(features, 2, axis=0), 4, (7, 0))
    np.testing.assert_array_equal(found["samples"], drawn)
    assert not np.array_equal(drawn[0], drawn[1])
    with Image.open(tmp_path / "new" / "out.png") as picture:
        assert min(picture.size) > 500
    with Image.open(tmp_path / "new" / "out.gif") as film:
        assert film.n_frames == 2 + 4
    assert len(list((tmp_path / "new").iterdir())) == 3


@pytest.mark.slow
def test_a_rollout_starts_at_the_first_frame_and_continues_beyond_the_file(call, data, tmp_path):
    status, output, _ = call(first_frame=3, warm_up_steps=5, num_steps=6)
    assert status == 0 and "the file has true positions for 2 of 6 predicted frames" in output
    found = np.load(tmp_path / "out.npz")
    positions = np.load(data / "test/00000.npy")[3::2, :, :2]
    np.testing.assert_array_equal(found["observed"], positions[:5])
    np.testing.assert_array_equal(found["truth"], positions[5:])
    assert (len(found["truth"]), len(found["mean"])) == (2, 6)
    assert "samples" not in found

    assert call(warm_up_steps=8, num_steps=1)[0] == 0  # no true frame is left
    assert np.load(tmp_path / "out.npz")["truth"].shape == (0, 3, 2)


@pytest.mark.slow
def test_any_number_of_particles(call, random_trajectory, tmp_path):
    np.save(tmp_path / "many.npy", random_trajectory(num_frames=4, num_particles=9))
    assert call(input=tmp_path / "many.npy")[0] == 0
    assert np.load(tmp_path / "out.npz")["mean"].shape == (3, 9, 2)


@pytest.mark.slow_cases("flags9-words9", "flags10-words10", "flags5-words5")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"model": "nowhere"}, ["`model`", "nowhere"]),
        ({"input": "nowhere.npy"}, ["nowhere.npy: no such file"]),
        ({"data": "nowhere"}, ["nowhere: no such directory"]),
        ({"output": "out.npy"}, ["`output`", ".npz", "out.npy"]),
        ({"num_steps": 0}, ["`num_steps`", "at least 1", "0"]),
        ({"num_steps": 10_001}, ["`num_steps`", "at most 10000", "10001", "--num-steps"]),
        ({"num_samples": -1}, ["`num_samples`", "at least 0", "-1"]),
        ({"warm_up_steps": 0}, ["`warm_up_steps`", "at least 1", "0"]),
        ({"seed": 2**31}, ["`seed`", "2147483648"]),
        ({"first_frame": 14}, ["at least 2 frames", "frame 14", "found 1", "--first-frame"]),
        ({"first_frame": 99}, ["at least 2 frames", "frame 99", "found 0", "--first-frame"]),
        ({"warm_up_steps": 9}, ["at least 9 frames", "--warm-up-steps"]),
        ({"num_steps": "many"}, ["many"]),
    ],
)
def test_mistakes_are_one_line(call, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(**flags)
    (line,) = error.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("error: ") and all(word in line for word in words)
    assert not list(tmp_path.glob("out.*"))


def test_an_output_path_inside_a_file_is_refused(call, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, _, error = call(output=tmp_path / "file" / "out.npz")
    assert code == 2 and "`output`" in error and len(error.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_file_names_with_any_characters_are_drawn(call, data, tmp_path):
    name = "x$1_{2$ a_{ \\frac{"
    shutil.copy(data / "test/00000.npy", tmp_path / f"{name}.npy")
    code, _, error = call("--gif", input=tmp_path / f"{name}.npy")
    assert (code, error) == (0, "")
    assert {path.suffix for path in tmp_path.glob("out.*")} == {".npz", ".png", ".gif"}


@pytest.mark.slow_cases("features-value0", "time_between_frames-*")
@pytest.mark.parametrize(
    ("field", "value"), [("features", ("charge",)), ("length_unit", "cm"), ("time_between_frames", 0.05)]
)
def test_data_of_another_kind_are_refused(call, data, field, value):
    dataclasses.replace(Manifest.load(data), **{field: value}).save(data)
    code, _, error = call()
    assert code == 2 and f"`{field}`" in error and len(error.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1_000, 20_000])
def test_a_full_disk_destroys_no_earlier_result(call, tmp_path, limit):
    """No file may grow beyond `limit` bytes: the arrays cannot be written, or the picture cannot."""
    output = tmp_path / "out" / "r.npz"
    assert call(output=output)[0] == 0
    before = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    assert 1_000 < len(before["r.npz"]) < 20_000 < len(before["r.png"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        code, _, error = call(output=output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2 and len(error.splitlines()) == 1
    after = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    assert after["r.png"] == before["r.png"] and sorted(after) == sorted(before)
    np.testing.assert_array_equal(np.load(output)["mean"].shape, (3, 3, 2))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frames: frames[:, :, :2], "expected 3 columns (positions and features), found 2"),
        (lambda frames: frames[0], "expected rank 3, [num_frames, N, 3], found rank 2"),
        (lambda frames: frames.astype(np.int32), "expected dtype float32 or float64, found int32"),
        (
            lambda frames: np.where(np.arange(16)[:, None, None] == 4, np.float32(np.nan), frames),
            "expected finite numbers, found nan in frame 4, particle 0, column 0",
        ),
    ],
)
def test_faulty_files_are_refused(call, data, tmp_path, spoil, message):
    np.save(tmp_path / "bad.npy", spoil(np.load(data / "test/00000.npy")))
    code, _, error = call(input=tmp_path / "bad.npy")
    assert code == 2 and message in error
    assert error.startswith(f"error: {tmp_path / 'bad.npy'}: ")


def test_a_file_that_is_no_array_is_refused(call, tmp_path):
    (tmp_path / "bad.npy").write_text("hello")
    code, _, error = call(input=tmp_path / "bad.npy")
    assert (code, len(error.splitlines())) == (2, 1)


def test_a_real_process_ends_with_one_line_too(model, data):
    command = [
        sys.executable,
        "-m",
        "socialmd_tf.rollout",
        "--model",
        str(model),
        "--data",
        str(data),
        "--input",
        "nowhere.npy",
        "--output",
        "x.npz",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: nowhere.npy: no such file\n"


def test_help_lists_the_flags_without_tensorflow():
    script = (
        "import sys; from socialmd_tf.rollout import main\n"
        "sys.argv = ['rollout', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for flag in ("--model", "--input", "--data", "--num-steps", "--num-samples", "--output", "--gif"):
        assert flag in result.stdout


def in_a_box(directory, boxes=None):
    """Put the dataset of `data` into a square box of side 3, wrapped; returns the true frames `[16, 3, 2]`."""
    manifest, file = Manifest.load(directory), directory / "test/00000.npy"
    frames = np.load(file)
    frames[..., :2] = 0.4 * np.random.default_rng(3).normal(size=(16, 3, 2)).cumsum(axis=0)
    truth = frames[..., :2].copy()
    frames[..., :2] %= 3.0
    np.save(file, frames)
    changes = {"box": (3.0, 3.0)}
    if boxes is not None:
        np.save(directory / "test/00000.box.npy", boxes)
        changes = {"box_files": {"test/00000.npy": "test/00000.box.npy"}}
    dataclasses.replace(manifest, **changes).save(directory)
    return truth


@pytest.mark.slow
@pytest.mark.parametrize("per_frame", [False, True])
def test_periodic_frames_are_unwrapped_and_wrapped_back_if_asked(call, data, tmp_path, per_frame):
    truth = in_a_box(data, np.full((16, 2), 3.0) if per_frame else None)
    assert call(num_samples=2)[0] == 0
    free = dict(np.load(tmp_path / "out.npz"))
    np.testing.assert_array_equal(free["box"], 3.0 * np.eye(2))
    moves = np.diff(np.concatenate([free["observed"], free["truth"]]), axis=0)
    np.testing.assert_allclose(moves, np.diff(truth[:10:2], axis=0), atol=1e-5)
    assert call("--wrap", num_samples=2)[0] == 0
    wrapped = np.load(tmp_path / "out.npz")
    for name in ("observed", "mean", "truth", "samples"):
        assert wrapped[name].dtype == np.float32
        assert wrapped[name].min() > -1e-5 and wrapped[name].max() < 3 + 1e-5
        turns = (free[name] - wrapped[name]) / 3
        np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)
    np.testing.assert_array_equal(wrapped["covariance"], free["covariance"])


def test_data_without_a_box_cannot_be_wrapped(call, data, tmp_path):
    code, _, error = call("--wrap")
    assert code == 2 and "`wrap`" in error and "no box" in error and error.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_a_file_without_its_box_is_refused(call, data, tmp_path):
    in_a_box(data, np.full((16, 2), 3.0))
    elsewhere = shutil.copy(data / "test/00000.npy", tmp_path / "elsewhere.npy")
    code, _, error = call(input=elsewhere)
    assert code == 2 and "elsewhere.npy: expected a file" in error and "box" in error


@pytest.mark.slow
def test_mean_and_covariance_of_random_motion_are_those_of_drawn_paths(call, tmp_path):
    model = exported_model(tmp_path / "random", WINDOWS, network=RANDOM)
    few, many = tmp_path / "few.npz", tmp_path / "many.npz"
    for output, number in ((few, 0), (many, 20)):
        assert call(model=model.path.parent, output=output, num_samples=number)[0] == 0
    with np.load(few) as file:
        less = dict(file)
    with np.load(many) as file:
        found = dict(file)
    assert set(less) == {"observed", "mean", "covariance", "truth", "times"}
    assert found["samples"].shape == (20, 3, 3, 2)
    np.testing.assert_allclose(found["mean"], found["samples"].mean(axis=0), rtol=1e-5)
    for step, particle in ((0, 0), (2, 1)):
        drawn = found["samples"][:, step, particle]
        np.testing.assert_allclose(found["covariance"][step, particle], np.cov(drawn.T), rtol=1e-4)
    first, last = (np.trace(found["covariance"][step].mean(axis=0)) for step in (0, 2))
    assert last > 1.5 * first  # drawn paths spread; the density of a frame does not
    assert np.trace(less["covariance"][0].mean(axis=0)) == pytest.approx(first, rel=0.5)
