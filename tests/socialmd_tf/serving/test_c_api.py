"""Every signature through TensorFlow's C++ loader, which a model server runs, without Python in between."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, saved_model_pb2

from socialmd_tf.export.saved_model import ExportedModel
from socialmd_tf.serving import warmup
from tests.socialmd_tf.serving import exports

LIBRARY = Path(importlib.util.find_spec("tensorflow").submodule_search_locations[0])
INVALID_ARGUMENT = 3
HORIZON, SEED = np.int32(4), np.array([5, 6], np.int32)
HORIZONS, SEEDS = np.array([2, 4], np.int32), np.array([[1, 2], [3, 4]], np.int32)
MASK = np.ones((2, 4), np.float32)

pytestmark = pytest.mark.skipif(
    not (LIBRARY / "libtensorflow_cc.so.2").exists(), reason="this TensorFlow brings no C++ library of its own"
)


@dataclasses.dataclass(frozen=True)
class Refused:
    code: int
    message: str


def ask(directory, requests, folder):
    """Answers of the C++ runtime to pairs (signature, inputs): dictionaries of arrays, or `Refused`.

    An input is an array, or a pair (number of an earlier request, its output).
    """
    saved = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    signatures, arrays, described = saved.meta_graphs[0].signature_def, {}, []
    for number, (signature, inputs) in enumerate(requests):
        feeds = {}
        for name, value in inputs.items():
            key = f"{value[0]}:{value[1]}" if isinstance(value, tuple) else f"given {number}:{name}"
            feeds[signatures[signature].inputs[name].name] = key
            if not isinstance(value, tuple):
                arrays[key] = np.asarray(value)
        fetches = {name: info.name for name, info in signatures[signature].outputs.items()}
        described.append({"feeds": feeds, "fetches": fetches})
    np.savez(folder / "arrays.npz", **arrays)
    config = config_pb2.ConfigProto()
    config.graph_options.optimizer_options.global_jit_level = config_pb2.OptimizerOptions.OFF
    job = {
        **{"library": str(LIBRARY), "model": str(directory), "requests": described},
        **{name.split(".")[0]: str(folder / name) for name in ("arrays.npz", "answers.npz", "failures.json")},
        "config": config.SerializeToString().hex(),
    }
    (folder / "requests.json").write_text(json.dumps(job))
    run_alone(folder / "requests.json")
    answers = np.load(folder / "answers.npz")
    failures = json.loads((folder / "failures.json").read_text())
    return [
        Refused(**failures[str(number)])
        if str(number) in failures
        else {name: answers[f"{number}:{name}"] for name in request["fetches"]}
        for number, request in enumerate(described)
    ]


def run_alone(requests):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(Path(__file__).with_name("c_api.py")), str(requests)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]


def random_inputs(card, batch_size=2, num_steps=3, num_particles=4):
    generator = np.random.default_rng(batch_size)
    positions = generator.normal(size=(batch_size, num_steps, num_particles, card["num_dimensions"]))
    features = generator.normal(size=(batch_size, num_particles, len(card["features"])))
    return {"positions": positions.astype(np.float32), "features": features.astype(np.float32)}


def good_requests(card):
    """One request per signature, then a chain of steps."""
    common, rows = random_inputs(card), {"mask": MASK, "horizon": HORIZONS, "seed": SEEDS}
    return [
        ("serving_default", {**common, "horizon": HORIZON}),
        ("rollout", {**common, "horizon": HORIZON}),
        ("sample", {**common, "horizon": HORIZON, "seed": SEED}),
        ("density", {**common, "horizon": HORIZON, "mask": MASK}),
        ("rollout_rows", {**common, **rows}),
        *chain(5, common, card),
    ]


def chain(number, common, card):
    """T + horizon - 1 steps: each takes the state of the previous one and, after T frames, its mean."""
    frames = np.moveaxis(common["positions"], 1, 0)
    requests = [("initial_state", {"positions": frames[0]})]
    for index in range(len(frames) + HORIZON - 1):
        observed = index < len(frames)
        inputs = {
            "positions": frames[index] if observed else (number + index, "mean"),
            "features": common["features"],
            "mask": MASK,
            "observed": np.full(len(MASK), observed),
            **{name: (number + index, name) for name in card["state"]},
        }
        requests.append(("step", inputs))
    return requests


def faulty_requests(card):
    """(what is wrong, with which input, in which signature, the inputs)."""
    common, size = random_inputs(card), card["num_dimensions"]
    frame = common["positions"][:, 0]
    inputs = {
        "rollout": {**common, "horizon": HORIZON},
        "sample": {**common, "horizon": HORIZON, "seed": SEED},
        "density": {**common, "mask": MASK, "horizon": HORIZON},
        "rollout_rows": {**common, "mask": MASK, "horizon": HORIZONS, "seed": SEEDS},
        "initial_state": {"positions": frame},
        "step": {
            **{name: np.zeros((*MASK.shape, *tail), np.float32) for name, tail in card["state"].items()},
            **{"positions": frame, "features": common["features"], "mask": MASK, "observed": np.array([True, False])},
        },
    }
    infinite = common["positions"].copy()
    infinite[:, 1, 2, 0] = np.inf
    state = inputs["step"]["state_hidden"]
    changes = [
        ("no frame", "horizon", ["rollout", "sample", "density"], np.int32(0)),
        ("less than no frame", "horizon", ["rollout", "sample"], np.int32(-5)),
        ("too many frames", "horizon", ["rollout", "density"], np.int32(2**31 - 1)),
        ("too many frames", "horizon", ["rollout_rows"], np.full(2, 10_001, np.int32)),
        ("one for all rows", "horizon", ["rollout_rows"], np.int32(2)),
        ("one too few", "horizon", ["rollout_rows"], np.ones(1, np.int32)),
        ("one for all rows", "seed", ["rollout_rows"], SEED),
        ("three numbers", "seed", ["sample"], np.array([1, 2, 3], np.int32)),
        ("another N", "features", ["rollout", "sample", "rollout_rows", "step"], common["features"][:, :3]),
        ("another B", "features", ["rollout", "density", "step"], common["features"][:1]),
        ("one feature more", "features", ["rollout"], np.ones((2, 4, len(card["features"]) + 1), np.float32)),
        ("one N more", "mask", ["density", "rollout_rows"], np.ones((2, 5), np.float32)),
        ("one for all", "mask", ["rollout_rows", "step"], np.ones((1, 4), np.float32)),
        ("no zeros and ones", "mask", ["density", "rollout_rows", "step"], 0.5 * MASK),
        ("another D", "positions", ["rollout", "rollout_rows"], np.ones((2, 3, 4, size + 1), np.float32)),
        ("two axes", "positions", ["rollout", "initial_state"], np.ones((2, size), np.float32)),
        ("a number", "positions", ["sample", "rollout_rows", "step"], np.float32(1)),
        ("no particle", "positions", ["initial_state"], frame[:, :0]),
        ("no system", "positions", ["initial_state"], frame[:0]),
        ("no frame at all", "positions", ["rollout", "rollout_rows"], common["positions"][:, :0]),
        ("infinity", "positions", ["rollout", "sample", "density", "rollout_rows"], infinite),
        ("NaN", "positions", ["step"], np.full_like(frame, np.nan)),
        ("another N", "state_hidden", ["step"], state[:, :3]),
        ("another H", "state_hidden", ["step"], state[..., :-1]),
        ("NaN", "state_cell", ["step"], np.full_like(state, np.nan)),
        ("one for all rows", "observed", ["step"], np.array(True)),
    ]
    return [
        (fault, name, signature, {**inputs[signature], name: value})
        for fault, name, where, value in changes
        for signature in where
    ]


def warmup_requests(directory):
    """The warm-up requests, read as the server does: records of `PredictionLog`."""
    protos = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason="needs the extra serving")
    requests = []
    for record in tf.data.TFRecordDataset(str(directory / warmup.FILE)).as_numpy_iterator():
        log = protos.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        inputs = {name: tf.make_ndarray(value) for name, value in log.predict_log.request.inputs.items()}
        requests.append((log.predict_log.request.model_spec.signature_name, inputs))
    return requests


@dataclasses.dataclass(frozen=True)
class Answers:
    """Results of one process that ran all requests, good and bad."""

    good: list
    faulty: list
    good_after_faulty: list
    warmup: list


SLOW_KINDS = {"pooling": exports.TINY, "pairwise": exports.PAIRWISE}


@pytest.fixture(scope="module", params=["alone", *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW_KINDS)])
def served(request, in_process, tmp_path_factory):
    """(the model in this process, the answers of the C++ runtime)."""
    if request.param in SLOW_KINDS:
        directory = tmp_path_factory.mktemp("saved_models") / "tiny"
        model = ExportedModel(exports.export_untrained(directory, SLOW_KINDS[request.param]))
    else:
        model = in_process[2]
    good, faulty = good_requests(model.card), [tuple(fault[2:]) for fault in faulty_requests(model.card)]
    groups = [good, faulty, [good[1]] * len(faulty), warmup_requests(model.path)]
    mixed = [pair for both in zip(*groups[1:3], strict=True) for pair in both]
    answers = ask(model.path, [*good, *mixed, *groups[3]], tmp_path_factory.mktemp("c_api"))
    last = len(good) + len(mixed)
    middle = answers[len(good) : last]
    return model, Answers(answers[: len(good)], middle[::2], middle[1::2], answers[last:])


def test_every_signature_runs_without_python_and_without_xla(served):
    model, answers = served[0], served[1].good
    assert [answer for answer in answers if isinstance(answer, Refused)] == []
    by_default, rollout, sample, density, rows, _, *steps = answers
    common = random_inputs(model.card)
    mean, covariance = model.moments(**common, horizon=4)
    close = {"rtol": 1e-5, "atol": 1e-5}
    for found in (by_default, rollout):
        np.testing.assert_allclose(found["mean"], mean, **close)
        np.testing.assert_allclose(found["covariance"], covariance, **close)
    drawn = model.paths(**common, horizon=4, seed=SEED)
    np.testing.assert_allclose(sample["positions"], drawn, **close)
    np.testing.assert_allclose(model.layout.mean(tf.constant(density["parameters"])), mean, **close)

    np.testing.assert_array_equal(rows["num_frames"], HORIZONS)
    assert rows["refused"].tolist() == ["", ""]
    np.testing.assert_allclose(rows["mean"][0, :2], mean[0, :2], **close)
    np.testing.assert_allclose(rows["mean"][1], mean[1], **close)
    np.testing.assert_allclose(rows["covariance"][1], covariance[1], **close)
    alone = model.paths(common["positions"][1:], common["features"][1:], 4, SEEDS[1])
    # Rounding differs between one row and two, and drawn positions that are fed back carry the difference along.
    np.testing.assert_allclose(rows["positions"][1], alone[0], rtol=1e-3, atol=1e-3)

    chained = steps[common["positions"].shape[1] - 1 :]
    np.testing.assert_allclose(np.stack([step["mean"] for step in chained], axis=1), mean, **close)
    np.testing.assert_allclose(np.stack([step["covariance"] for step in chained], axis=1), covariance, **close)


def test_what_does_not_fit_is_invalid_argument_and_the_input_is_named(served):
    model, answers = served
    for (fault, name, signature, _), found in zip(faulty_requests(model.card), answers.faulty, strict=True):
        assert isinstance(found, Refused), (fault, name, signature)
        assert found.code == INVALID_ARGUMENT, (fault, name, signature, found)
        assert name in found.message, (fault, name, signature, found)
    for answer in answers.good_after_faulty:
        np.testing.assert_array_equal(answer["mean"], answers.good[1]["mean"])


def test_the_warm_up_requests_cover_every_signature_and_are_answered(served):
    check_warmup(served[0], served[1].warmup)


@pytest.mark.slow
def test_the_warm_up_requests_have_a_box_bonds_and_velocities_where_the_model_takes_them(tmp_path):
    model = ExportedModel(exports.export_with_optional_inputs(tmp_path / "saved_models"))
    requests = warmup_requests(model.path)
    names = set().union(*(inputs for _, inputs in requests))
    assert {"box", "edges", "velocities", "velocities_observed"} <= names
    check_warmup(model, ask(model.path, requests, tmp_path))


def check_warmup(model, answers):
    saved = saved_model_pb2.SavedModel.FromString((model.path / "saved_model.pb").read_bytes())
    signatures = {name: signature for name, signature in saved.meta_graphs[0].signature_def.items() if signature.inputs}
    requests = warmup_requests(model.path)
    assert sorted(name for name, _ in requests) == sorted(signatures)
    for (name, inputs), found in zip(requests, answers, strict=True):
        assert isinstance(found, dict), (name, found)
        # All inputs and outputs, since the server keeps an optimised graph for each choice of them.
        assert set(inputs) == set(signatures[name].inputs) and set(found) == set(signatures[name].outputs)
        assert all(np.isfinite(value).all() for value in found.values() if value.dtype.kind == "f")
        assert "refused" not in found or found["refused"].tolist() == [""]


@pytest.mark.slow
def test_another_type_of_number_is_invalid_argument(in_process, tmp_path):
    """The runtime refuses this before it runs the graph, by the number of the input instead of its name."""
    model = in_process[1]
    doubles = {key: value.astype(np.float64) for key, value in random_inputs(model.card).items()}
    (found,) = ask(model.path, [("rollout", {**doubles, "horizon": HORIZON})], tmp_path)
    assert found.code == INVALID_ARGUMENT and "to be float but double is provided" in found.message


def test_the_loader_cannot_use_xla(tmp_path):
    """If XLA were available in the tests above, a model that needs it would pass them and fail in a server."""

    class Compiled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], jit_compile=True)
        def double(self, x):
            return {"y": 2.0 * x}

    module = Compiled()
    tf.saved_model.save(module, tmp_path / "compiled", signatures=module.double)
    (found,) = ask(tmp_path / "compiled", [("serving_default", {"x": np.ones(3, np.float32)})], tmp_path)
    assert isinstance(found, Refused) and "XLA" in found.message
