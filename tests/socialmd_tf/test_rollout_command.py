import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf import commands
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.export.saved_model import ExportedModel, export, model_card
from socialmd_tf.model import build_model, for_data
from socialmd_tf.rollout import main
from socialmd_tf.training.run import RunState

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)
SMALL = ModelConfig(
    units=8,
    input_embedding=4,
    state_embedding=4,
    interaction_embedding=4,
    bins=8,
    filters=(2,),
    kernel_size=2,
    side_lengths=(4.0,),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Directory of an untrained model for two dimensions and one feature."""
    manifest = Manifest("tiny", 2, ("mass",), "1", 0.1, {}, {})
    config = TrainConfig(data="d", windows=WINDOWS, model=SMALL)
    keras.utils.set_random_seed(0)
    built = build_model(for_data(SMALL, manifest, WINDOWS, (1.0, 1.0)))
    card = model_card(config, built, manifest, RunState([{"epoch": 1, "val_loss": 1.0}]))
    return export(built, tmp_path_factory.mktemp("saved") / "small", card).parent


@pytest.fixture
def data(write_dataset, random_trajectory):
    return write_dataset({"test": [random_trajectory(num_frames=16)]})


@pytest.fixture
def call(monkeypatch, capsys, model, data, tmp_path):
    """Run the command here: flags that replace the usual ones -> exit status, stdout, stderr."""

    def call(*switches, **flags):
        usual = {"model": model, "input": data / "test/00000.npy", "data": data, "output": tmp_path / "out.npz"}
        given = [f"--{name.replace('_', '-')}={value}" for name, value in {**usual, **flags}.items()]
        monkeypatch.setattr(sys, "argv", ["rollout", *given, *switches])
        with pytest.raises(SystemExit) as stop:
            commands.run(main)
        return stop.value.code, *capsys.readouterr()

    return call


def test_writes_prediction_picture_and_film(call, model, data, tmp_path):
    code, out, _ = call("--gif", output=tmp_path / "new" / "out.npz", num_steps=4, num_samples=2, seed=7)
    assert code == 0
    assert out.startswith(f"wrote {tmp_path / 'new' / 'out.npz'}: observed [2, 3, 2], mean [4, 3, 2]")
    found = np.load(tmp_path / "new" / "out.npz")
    assert set(found) == {"observed", "mean", "covariance", "truth", "times", "samples"}
    stored = np.load(data / "test/00000.npy")
    positions, features = stored[::2, :, :2], stored[:1, :, 2:]
    np.testing.assert_array_equal(found["observed"], positions[:2])
    np.testing.assert_array_equal(found["truth"], positions[2:6])
    np.testing.assert_allclose(found["times"], [0.4, 0.6, 0.8, 1.0])  # 0.1 apart in the file, every second read
    exported = ExportedModel(model)
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


def test_starts_where_told_and_goes_on_beyond_the_file(call, data, tmp_path):
    assert call(first_frame=3, warm_up_steps=5, num_steps=6)[0] == 0
    found = np.load(tmp_path / "out.npz")
    positions = np.load(data / "test/00000.npy")[3::2, :, :2]
    np.testing.assert_array_equal(found["observed"], positions[:5])
    np.testing.assert_array_equal(found["truth"], positions[5:])
    assert (len(found["truth"]), len(found["mean"])) == (2, 6)
    assert "samples" not in found

    assert call(warm_up_steps=8, num_steps=1)[0] == 0  # nothing true is left
    assert np.load(tmp_path / "out.npz")["truth"].shape == (0, 3, 2)


def test_any_number_of_particles(call, random_trajectory, tmp_path):
    np.save(tmp_path / "many.npy", random_trajectory(num_frames=4, num_particles=9))
    assert call(input=tmp_path / "many.npy")[0] == 0
    assert np.load(tmp_path / "out.npz")["mean"].shape == (30, 9, 2)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": "nowhere"}, "`model` must be a SavedModel or a directory of its versions. Found none in "),
        ({"input": "nowhere.npy"}, "nowhere.npy: no such file"),
        ({"data": "nowhere"}, "nowhere: no such directory; expected the directory of a dataset"),
        ({"output": "out.npy"}, "`output` must end in .npz. Received: out.npy"),
        ({"num_steps": 0}, "`num_steps` must be at least 1. Received: 0"),
        ({"num_samples": -1}, "`num_samples` must be at least 0. Received: -1"),
        ({"warm_up_steps": 0}, "`warm_up_steps` must be at least 1. Received: 0"),
        ({"seed": 2**31}, "`seed` must be below 2**31. Received: 2147483648"),
        (
            {"first_frame": 14},
            "expected at least 2 frames to warm up on, 2 stored frames apart from frame 14 on; found 1",
        ),
        (
            {"first_frame": 99},
            "expected at least 2 frames to warm up on, 2 stored frames apart from frame 99 on; found 0",
        ),
        ({"warm_up_steps": 9}, "expected at least 9 frames to warm up on"),
        ({"num_steps": "many"}, "many"),
    ],
)
def test_what_the_user_can_mend_is_one_line(call, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(**flags)
    (line,) = error.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("error: ") and message in line
    assert not list(tmp_path.glob("out.*"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frames: frames[:, :, :2], "expected 3 columns (positions and features), found 2"),
        (lambda frames: frames[0], "expected rank 3, [num_frames, N, 3], found rank 2"),
        (lambda frames: frames.astype(np.float64), "expected dtype float32, found float64"),
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


def test_data_that_do_not_fit_the_model_are_refused(call, data):
    dataclasses.replace(Manifest.load(data), features=("charge",)).save(data)
    code, _, error = call()
    assert code == 2
    assert error == "error: `features` of the data must be those of the model, ['mass']. Received: ['charge']\n"


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


def test_help_says_what_every_flag_is_without_tensorflow():
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
