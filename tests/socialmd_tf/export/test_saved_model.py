import json
import math
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig, to_dict
from socialmd_tf.export.saved_model import Exported, add_metrics, export, model_card, versions
from socialmd_tf.layers.pairs.neighbor_list import DENSE_LIMIT
from socialmd_tf.model import build_model, for_data, rollout_layer
from socialmd_tf.serving import warmup
from socialmd_tf.training.run import RunState

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)
SMALL = {
    "units": 8,
    "input_embedding": 4,
    "state_embedding": 4,
    "interaction_embedding": 4,
    "bins": 8,
    "filters": (2, 2),
    "kernel_size": 2,
    "side_lengths": (4.0, 2.0),
}
KINDS = {
    "gaussian": (2, SMALL),
    "mixture-3d": (3, {**SMALL, "filters": (2,), "num_components": 3, "correlated": False}),
    "pairwise": (2, {**SMALL, "interaction": "pairwise", "head": "kinematic", "softening": 0.5}),
    "verlet": (
        3,
        {**SMALL, "interaction": "pairwise", "head": "verlet", "softening": 0.5, "num_components": 2, "substeps": 2},
    ),
}


def untrained(num_dimensions, settings):
    """A model with random weights, its configuration and its data set's manifest."""
    manifest = Manifest("tiny", num_dimensions, ("mass",), "nm", 0.5, {"train": ("a.npy",)}, {})
    config = TrainConfig(data="d", windows=WINDOWS, model=ModelConfig(**settings))
    keras.utils.set_random_seed(3)
    return build_model(for_data(config.model, manifest, WINDOWS, (1.0, 1.0))), config, manifest


def export_untrained(directory, num_dimensions, settings):
    model, config, manifest = untrained(num_dimensions, settings)
    state = RunState([{"epoch": 1, "val_loss": 2.0}, {"epoch": 2, "val_loss": 1.0}, {"epoch": 3, "val_loss": 1.5}])
    return model, export(model, directory, model_card(config, model, manifest, state))


@pytest.fixture(scope="module")
def gaussian(tmp_path_factory):
    """(model, directory of the version)."""
    return export_untrained(tmp_path_factory.mktemp("saved") / "small", *KINDS["gaussian"])


@pytest.fixture(scope="module")
def mixture_3d(tmp_path_factory):
    return export_untrained(tmp_path_factory.mktemp("saved") / "small", *KINDS["mixture-3d"])


@pytest.fixture(scope="module")
def pairwise(tmp_path_factory):
    return export_untrained(tmp_path_factory.mktemp("saved") / "small", *KINDS["pairwise"])


@pytest.fixture(params=["mixture_3d", "pairwise"])
def exported(request):
    return request.getfixturevalue(request.param)


def random_inputs(batch_size, num_steps, num_particles, num_dimensions):
    generator = np.random.default_rng(num_steps)
    positions = generator.normal(size=(batch_size, num_steps, num_particles, num_dimensions))
    return positions.astype(np.float32), generator.normal(size=(batch_size, num_particles, 1)).astype(np.float32)


SIZES = [(2, 2, 3, 3), (1, 5, 4, 8), (3, 1, 1, 1), (1, 2, 1, 4)]
"""B, T, N, horizon: the trained one; longer; one particle, one frame, one step; one particle."""

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

# TensorFlow imports Keras where there is one, so that there must be none.
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


def test_few_particles_and_many_are_seen_in_two_ways_that_one_export_knows(tmp_path):
    model, directory = export_untrained(tmp_path / "verlet", *KINDS["verlet"])
    loaded, layer = Exported(directory), rollout_layer(model)
    for num_particles in (4, DENSE_LIMIT + 10):
        positions, features = random_inputs(1, 2, num_particles, 3)
        steady = 6 * positions[:, :1] + 0.1 * np.arange(2, dtype=np.float32)[:, None, None]
        mean, covariance = loaded.rollout(steady, features, 2)
        inputs = {"positions": steady, "features": features, "mask": np.ones((1, num_particles), np.float32)}
        parameters, _ = layer.run(inputs, 2)
        np.testing.assert_allclose(mean, layer.head.layout.mean(parameters), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(covariance, layer.head.layout.covariance(parameters), rtol=1e-3, atol=1e-3)


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


def test_the_density_is_the_model_s_own(exported):
    model, directory = exported
    positions, features = random_inputs(2, 2, 3, rollout_layer(model).head.layout.num_dimensions)
    mask = np.array([[1, 1, 1], [1, 1, 0]], np.float32)
    positions *= mask[:, None, :, None]
    inputs = {"positions": positions, "features": features, "mask": mask}
    real = np.broadcast_to(mask[:, None] > 0, (2, 3, 3))
    found = Exported(directory).density(inputs)
    np.testing.assert_allclose(found[real], np.asarray(model(inputs))[real], rtol=1e-5, atol=1e-5)


def test_samples_have_seeds_and_fit_the_predicted_mean_and_covariance(exported):
    _, directory = exported
    loaded = Exported(directory)
    positions, features = random_inputs(1, 2, 3, loaded.layout.num_dimensions)
    first = loaded.sample(positions, features, 2, (1, 2))
    np.testing.assert_array_equal(loaded.sample(positions, features, 2, (1, 2)), first)
    assert not np.any(loaded.sample(positions, features, 2, (1, 3)) == first)

    number = 4000
    many = [np.repeat(array, number, axis=0) for array in (positions, features)]
    drawn = loaded.sample(*many, 1, (0, 0))[:, 0].astype(np.float64)
    mean, covariance = (array[0, 0].astype(np.float64) for array in loaded.rollout(positions, features, 1))
    for i in range(3):
        deviations = np.sqrt(np.diag(covariance[i]))
        assert np.all(np.abs(drawn[:, i].mean(axis=0) - mean[i]) < 5 * deviations / math.sqrt(number))
        found = np.cov(drawn[:, i].T)
        # The variance of a covariance's estimate is (C_aa C_bb + C_ab^2) / n for a Gaussian, and of that order here.
        error = np.sqrt((np.outer(deviations**2, deviations**2) + covariance[i] ** 2) / number)
        assert np.all(np.abs(found - covariance[i]) < 6 * error)
    assert np.abs(np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1]) < 5 / math.sqrt(number)  # particles are apart


def test_samples_feed_back_what_was_drawn(gaussian):
    """The second frame's mean, given the first as drawn, is that of a rollout that observed it."""
    _, directory = gaussian
    loaded = Exported(directory)
    positions, features = random_inputs(1, 2, 3, 2)
    # The draws of step 1 have a seed of their own, so the whole pair is compared by way of its residual:
    # with equal seeds the standardised residual is the same whatever came before.
    drawn = loaded.sample(positions, features, 2, (5, 6))
    longer = np.concatenate([positions, drawn[:, :1]], axis=1)
    mean, covariance = loaded.rollout(longer, features, 1)
    unfed_mean, unfed_covariance = loaded.rollout(positions, features, 2)
    again = loaded.sample(positions + 3.0, features, 2, (5, 6))
    mean_again, covariance_again = loaded.rollout(np.concatenate([positions + 3.0, again[:, :1]], axis=1), features, 1)

    def residual(frame, center, matrix):
        return np.linalg.solve(np.linalg.cholesky(matrix), (frame - center)[..., None])

    expected = residual(again[:, 1], mean_again[:, 0], covariance_again[:, 0])
    found = residual(drawn[:, 1], mean[:, 0], covariance[:, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)
    wrong = residual(drawn[:, 1], unfed_mean[:, 1], unfed_covariance[:, 1])
    assert not np.allclose(wrong, expected, rtol=1e-2, atol=1e-3)


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


def test_versions_count_up_and_a_half_written_one_is_in_nobody_s_way(gaussian, tmp_path, monkeypatch):
    model, first = gaussian
    directory = tmp_path / "name"
    shutil.copytree(first, directory / "9")
    half = directory / ".10.partial"
    half.mkdir()
    (half / "saved_model.pb").write_text("half")
    assert versions(directory) == [9]
    assert (directory / "9" / warmup.FILE).exists() == warmup.is_possible()
    monkeypatch.setattr(warmup, "is_possible", lambda: False)  # as without the extra `serving`
    path = export(model, directory, {"windows": to_dict(WINDOWS)})
    assert path == directory / "10"
    assert [entry.name for entry in (path / "assets.extra").iterdir()] == ["model_card.json"]
    assert sorted(entry.name for entry in directory.iterdir()) == ["10", "9"]
    newest, chosen = Exported(directory), Exported(directory / "9")
    assert (newest.path, newest.name) == (path, "name")
    assert (chosen.path, chosen.name) == (directory / "9", "name")
    assert versions(tmp_path / "none") == []


def test_a_model_is_named_by_its_directory_also_from_inside(gaussian, monkeypatch):
    _, directory = gaussian
    monkeypatch.chdir(directory.parent)
    assert Exported(".").name == "small"
    monkeypatch.chdir(directory)
    assert Exported(".").name == "small"


def test_other_directories_are_refused(gaussian, tmp_path):
    model, directory = gaussian
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UserError, match=r"must be a SavedModel or a directory of its versions\. Found none in "):
        Exported(other)
    (other / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"must hold only versions 1, 2, \.\.\. Found 'notes.txt' in "):
        export(model, other, {})
    assert [entry.name for entry in other.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match="`export_directory` must be a directory"):
        export(model, other / "notes.txt", {})
    shutil.copytree(directory, tmp_path / "foreign" / "1", ignore=shutil.ignore_patterns("assets.extra"))
    with pytest.raises(UserError, match=r"`model` must be a SavedModel of socialmd_tf. Found no assets.extra/model"):
        Exported(tmp_path / "foreign")


def test_the_card_says_what_the_model_is(gaussian):
    model, directory = gaussian
    card = json.loads((directory / "assets.extra" / "model_card.json").read_text())
    assert {key: card[key] for key in ("data", "num_dimensions", "features", "length_unit", "preset")} == {
        "data": "tiny",
        "num_dimensions": 2,
        "features": ["mass"],
        "length_unit": "nm",
        "preset": "thesis",
    }
    assert card["time_between_frames"] == 1.0  # every second frame, 0.5 apart
    assert card["windows"] == to_dict(WINDOWS) and card["warm_up_steps"] == WINDOWS.warm_up_steps
    assert {key: card["model"][key] for key in SMALL} == json.loads(json.dumps(SMALL))
    assert card["num_parameters"] == model.count_params()
    assert card["training"] == {"seed": 0, "batch_size": 32, "best": {"epoch": 2, "val_loss": 1.0}}
    assert card["versions"]["tensorflow"] == tf.__version__ and card["versions"]["keras"] == keras.__version__
    assert card["density_layout"] == {"num_dimensions": 2, "num_components": 1, "correlated": True}


def test_metrics_come_into_the_card_and_nothing_else_changes(gaussian, tmp_path):
    _, directory = gaussian
    shutil.copytree(directory, tmp_path / "1")
    path = tmp_path / "1" / "assets.extra" / "model_card.json"
    before, entries = json.loads(path.read_text()), sorted(path.parent.iterdir())
    add_metrics(tmp_path / "1", "test", {"nll": -1.5, "mae": 0.25, "nll_per_move": math.nan, "mae_per_step": [0.1]})
    assert json.loads(path.read_text()) == {**before, "metrics": {"split": "test", "nll": -1.5, "mae": 0.25}}
    assert sorted(path.parent.iterdir()) == entries  # the card appeared whole, by renaming
