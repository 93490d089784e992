import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from socialmd_tf.config import to_dict
from socialmd_tf.export.versions import versions
from socialmd_tf.export.write import WEIGHTS, _partial_version, _publish, export
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.serving import warmup
from socialmd_tf.training.loop import compile_for_training
from tests.socialmd_tf.export.untrained import WINDOWS, random_inputs

SIZES = [(2, 2, 3, 3), (1, 5, 4, 8), (3, 1, 1, 1), (1, 2, 1, 4)]
"""B, T, N, horizon: as in training; longer; one particle, frame and step; one particle."""

LOADER = """
import sys

NAMES = ("keras", "tf_keras", "tensorflow_probability", "socialmd_tf", "pipelines")

class AsIfNotInstalled:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in NAMES else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

# TensorFlow imports Keras if it is installed, so it must not be.
sys.meta_path = [AsIfNotInstalled(finder) for finder in sys.meta_path]
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
inputs = np.load(sys.argv[2])
out = {}
for i in range(int(inputs["count"])):
    given = dict(positions=tf.constant(inputs[f"positions{i}"]), features=tf.constant(inputs[f"features{i}"]),
                 horizon=tf.constant(inputs[f"horizon{i}"], tf.int32))
    for name in ("serving_default", "rollout"):
        for key, value in loaded.signatures[name](**given).items():
            out[f"{name}_{key}{i}"] = value.numpy()
    drawn = loaded.signatures["sample"](seed=tf.constant([1, 2]), **given)
    out[f"sample{i}"] = drawn["positions"].numpy()
np.savez(sys.argv[3], **out)
foreign = [name for name in sys.modules if name.split(".")[0] in NAMES]
assert foreign == [], foreign
"""


@pytest.mark.slow  # test_c_api.py runs exports without Python
def test_plain_tensorflow_gives_the_model_s_rollout(exported, tmp_path):
    model, directory = exported
    rollout = rollout_layer(model)
    layout = rollout.head.layout
    cases = [(*random_inputs(*size[:3], layout.num_dimensions), size[3]) for size in SIZES]
    arrays = {
        f"{key}{i}": value
        for i, case in enumerate(cases)
        for key, value in zip(("positions", "features", "horizon"), case, strict=True)
    }
    np.savez(tmp_path / "in.npz", count=len(cases), **arrays)
    shutil.copytree(directory, tmp_path / "elsewhere")
    command = [sys.executable, "-c", LOADER, "elsewhere", "in.npz", "out.npz"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    found = np.load(tmp_path / "out.npz")
    for i, (positions, features, horizon) in enumerate(cases):
        inputs = {"positions": positions, "features": features, "mask": np.ones(features.shape[:2], np.float32)}
        parameters, _ = rollout.run(inputs, horizon)
        mean, covariance = layout.mean(parameters), layout.covariance(parameters)
        shape = (positions.shape[0], horizon, *positions.shape[2:])
        for name in ("serving_default", "rollout"):
            assert found[f"{name}_mean{i}"].shape == shape
            assert found[f"{name}_covariance{i}"].shape == (*shape, shape[-1])
            np.testing.assert_allclose(found[f"{name}_mean{i}"], mean, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(found[f"{name}_covariance{i}"], covariance, rtol=1e-5, atol=1e-5)
        assert found[f"sample{i}"].shape == shape
        assert np.isfinite(found[f"sample{i}"]).all()


def test_the_signatures_are_the_promised_ones(exported):
    model, directory = exported
    size, features = rollout_layer(model).head.layout.num_dimensions, 1
    loaded = tf.saved_model.load(str(directory))
    common = {
        "positions": ([None, None, None, size], "float32"),
        "features": ([None, None, features], "float32"),
        "horizon": ([], "int32"),
    }
    mask = {"mask": ([None, None], "float32")}
    frame = {"positions": ([None, None, size], "float32")}
    tails = json.loads((directory / "assets.extra" / "model_card.json").read_text())["state"]
    state = {name: ([None, None, *tail], "float32") for name, tail in tails.items()}
    rows = {"horizon": ([None], "int32"), "seed": ([None, 2], "int32")}
    one = {"features": common["features"], "observed": ([None], "bool")}
    expected = {
        "serving_default": (common, {"mean", "covariance"}),
        "rollout": (common, {"mean", "covariance"}),
        "sample": ({**common, "seed": ([2], "int32")}, {"positions"}),
        "density": ({**common, **mask}, {"parameters"}),
        "rollout_rows": ({**common, **mask, **rows}, {"mean", "covariance", "positions", "num_frames", "refused"}),
        "initial_state": (frame, set(state)),
        "step": ({**frame, **one, **mask, **state}, {"mean", "covariance", "refused", *state}),
    }
    assert set(loaded.signatures) == set(expected)
    for name, (inputs, outputs) in expected.items():
        _, given = loaded.signatures[name].structured_input_signature
        assert {key: (spec.shape.as_list(), spec.dtype.name) for key, spec in given.items()} == inputs
        assert set(loaded.signatures[name].structured_outputs) == outputs
        others = {"num_frames": tf.int32, "refused": tf.string}
        for key, spec in loaded.signatures[name].structured_outputs.items():
            assert spec.dtype == others.get(key, tf.float32)


def graph_nodes(directory):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        yield from graph.node
        for function in graph.library.function:
            yield from function.node_def
            assert not function.attr["_XlaMustCompile"].b


def test_the_graph_has_no_python_no_xla_and_no_custom_operations(exported):
    _, directory = exported
    operations = {node.op for node in graph_nodes(directory)}
    assert len(operations) > 20 and {"While", "StatelessWhile"} & operations
    assert [name for name in operations if "Py" in name or "Xla" in name or "XLA" in name] == []
    assert not any(node.attr["_XlaMustCompile"].b for node in graph_nodes(directory))


@pytest.mark.slow
def test_versions_count_up_and_hold_weights_and_card(gaussian, tmp_path, monkeypatch):
    model, first = gaussian
    directory = tmp_path / "name"
    shutil.copytree(first, directory / "0009")
    assert versions(directory) == [9]
    assert (directory / "0009" / warmup.FILE).exists() == warmup.is_possible()
    monkeypatch.setattr(warmup, "is_possible", lambda: False)  # as without the extra `serving`
    path = export(model, directory, {"windows": to_dict(WINDOWS)})
    assert path == directory / "10"
    assert {entry.name for entry in (path / "assets.extra").iterdir()} == {"model_card.json", "model.weights.h5"}
    assert sorted(entry.name for entry in directory.iterdir()) == ["0009", "10"]
    assert json.loads((path / "assets.extra" / "model_card.json").read_text())["model"] == to_dict(model.config)


@pytest.mark.slow
def test_the_weights_are_those_of_the_model_without_the_optimizer_s(gaussian, tmp_path):
    model, first = gaussian
    size = (first / WEIGHTS).stat().st_size
    compiled = build_model(model.config)
    compile_for_training(compiled, 1e-3)
    compiled.optimizer.build(compiled.trainable_variables)
    path = export(compiled, tmp_path / "compiled", {})
    assert (path / WEIGHTS).stat().st_size == size


@pytest.mark.slow
def test_an_export_that_is_interrupted_leaves_nothing(gaussian, tmp_path, monkeypatch):
    model, _ = gaussian

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(model, tmp_path / "name", {})
    assert list((tmp_path / "name").iterdir()) == []


def test_an_abandoned_export_is_removed_and_a_running_one_is_not(tmp_path):
    for name in (".7.partial", ".8.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text("half")
    os.utime(tmp_path / ".7.partial", (0, 0))
    assert versions(tmp_path) == []
    with _partial_version(tmp_path) as partial:
        partial.mkdir()
        assert {entry.name for entry in tmp_path.iterdir()} == {".8.partial", partial.name}


def test_a_number_that_another_process_takes_is_not_used(tmp_path, monkeypatch):
    partial, taken = tmp_path / ".1.partial", tmp_path / "1"
    for directory in (partial, taken):
        directory.mkdir()
        (directory / "saved_model.pb").write_text(directory.name)
    stale = [[], [1]]  # what `versions` sees, before and after the other process's rename
    monkeypatch.setattr("socialmd_tf.export.write.versions", lambda _: stale.pop(0))
    assert _publish(partial, tmp_path) == tmp_path / "2"
    assert (taken / "saved_model.pb").read_text() == "1"


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.socialmd_tf.export.untrained import KINDS, export_untrained
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
export_untrained(sys.argv[1], *KINDS["gaussian"])
"""


@pytest.mark.slow
def test_a_process_killed_before_the_rename_leaves_no_version(gaussian, tmp_path):
    model, _ = gaussian
    directory = tmp_path / "name"
    process = subprocess.run([sys.executable, "-c", KILLED, str(directory)], capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL
    assert versions(directory) == [] and len(list(directory.glob(".*.partial/saved_model.pb"))) == 1
    path = export(model, directory, {})
    assert path == directory / "1" and (path / WEIGHTS).exists()


def test_horizons_below_the_trained_one_are_refused_before_anything_is_written(gaussian, tmp_path):
    model, _ = gaussian
    with pytest.raises(UserError, match=r"`max_horizon` must be at least 3.*Received: 2"):
        export(model, tmp_path / "name", {}, max_horizon=2)
    assert not (tmp_path / "name").exists()


def test_directories_of_other_files_are_refused_and_untouched(gaussian, tmp_path):
    model, _ = gaussian
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"`export_directory`.*'notes.txt'"):
        export(model, tmp_path, {})
    with pytest.raises(UserError, match=r"`export_directory` must be a directory"):
        export(model, tmp_path / "notes.txt", {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]
