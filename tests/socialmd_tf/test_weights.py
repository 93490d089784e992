import subprocess
import sys

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.weights import load_weights, save_weights

# HDF5 files are written by Keras through an old NumPy interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def model(units=3):
    built = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    built.compile(keras.optimizers.Adam(), "mse")
    built.optimizer.build(built.trainable_variables)
    return built


def test_weights_and_optimizer_return(tmp_path):
    saved, loaded = model(), model()
    saved.optimizer.iterations.assign(7)
    save_weights(saved, tmp_path / "model.weights.h5")
    load_weights(loaded, tmp_path / "model.weights.h5")
    for weight, expected in zip(loaded.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert loaded.optimizer.iterations == 7
    model().load_weights(tmp_path / "model.weights.h5")  # an ordinary file of Keras
    assert [path.name for path in tmp_path.iterdir()] == ["model.weights.h5"]


def test_files_that_hold_no_weights_of_the_model_are_refused_in_one_line(tmp_path):
    path = tmp_path / "model.weights.h5"
    save_weights(model(), path)
    whole = path.read_bytes()
    for content in (None, whole[: len(whole) // 2], b"", b"version https://git-lfs.github.com/spec/v1\n"):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(UserError, match=r"model\.weights\.h5") as refused:
            load_weights(model(), path)
        assert "\n" not in str(refused.value)
    path.write_bytes(whole)
    with pytest.raises(UserError):
        load_weights(model(units=4), path)


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    """Keras would continue with a new state."""
    path = tmp_path / "model.weights.h5"
    save_weights(model(), path)
    other = model()
    other.compile(keras.optimizers.SGD(), "mse")
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(UserError, match="optimizer"):
        load_weights(other, path)


FULL = """
import resource, signal, sys
import keras
from socialmd_tf.weights import save_weights
model = keras.Sequential([keras.Input((200,)), keras.layers.Dense(200)])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    save_weights(model, sys.argv[1])
except OSError as error:
    print("refused", error.errno)
"""


@pytest.mark.slow
def test_a_file_too_large_for_the_disk_is_an_error_and_no_crash(tmp_path):
    path = tmp_path / "model.weights.h5"
    path.write_text("earlier")
    command = [sys.executable, "-c", FULL, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stdout.startswith("refused")
    assert "Traceback" not in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.weights.h5"] and path.read_text() == "earlier"
