import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from socialmd_tf.config import ModelConfig
from socialmd_tf.export.signatures import Signatures
from socialmd_tf.export.write import export
from socialmd_tf.model import build_model, rollout_layer

SMALL = {
    "num_features": 1,
    "rollout_steps": 3,
    "units": 4,
    "input_embedding": 4,
    "state_embedding": 4,
    "interaction_embedding": 4,
    "bins": 4,
    "filters": (2,),
    "kernel_size": 2,
    "side_lengths": (4.0, 2.0),
    "softening": 0.5,
}
KINDS = {
    "mixture": {"num_components": 2, "correlated": False},
    "both": {"interaction": "both", "head": "kinematic"},
    "plain": {"cell": "plain", "interaction": "none", "lstm_layers": (4, 2), "head": "displacement"},
    "langevin": {"cell": "none", "interaction": "none", "head": "langevin"},
    "shared noise": {"cell": "none", "interaction": "none", "head": "langevin", "shared_noise": True},
    "verlet": {"interaction": "pairwise", "head": "verlet", "num_components": 2, "charges": 2, "substeps": 2},
}
MAX_HORIZON = 20


@pytest.fixture(
    scope="module", params=["plain", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind != "plain")]
)
def both(request):
    """(the rollout layer of a model with random weights, its signatures)."""
    keras.utils.set_random_seed(1)
    model = build_model(ModelConfig(**{**SMALL, **KINDS[request.param]}))
    if model.config.shared_noise:
        rollout_layer(model).head.noise_shares.assign(keras.random.normal((2, 8), stddev=0.3, seed=2))
    return rollout_layer(model), Signatures(model, MAX_HORIZON)


def random_rows():
    """Three rows of five particles; the second has only three real ones."""
    generator = np.random.default_rng(0)
    positions = generator.normal(size=(3, 4, 5, 2)).astype(np.float32)
    features = generator.normal(size=(3, 5, 1)).astype(np.float32)
    mask = np.ones((3, 5), np.float32)
    mask[1, 3:] = 0
    return {
        "positions": positions * mask[:, None, :, None],
        "features": features * mask[..., None],
        "mask": mask,
        "horizon": np.array([6, 2, 4], np.int32),
        "seed": np.array([[1, 2], [3, 4], [5, 6]], np.int32),
    }


def numpy_of(outputs):
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def test_density_is_the_rollout_s_own(both):
    layer, signatures = both
    rows = random_rows()
    inputs = {name: rows[name] for name in ("positions", "features", "mask")}
    expected, _ = layer.run(inputs, 5)
    found = signatures.density(**inputs, horizon=5)["parameters"].numpy()
    real = np.broadcast_to(rows["mask"][:, None] > 0, found.shape[:3])
    np.testing.assert_allclose(found[real], np.asarray(expected)[real], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_row_among_others_is_the_row_alone(both):
    _, signatures = both
    rows = random_rows()
    together = numpy_of(signatures.rollout_rows(**rows))
    for i, horizon in enumerate(rows["horizon"]):
        alone = numpy_of(signatures.rollout_rows(**{name: value[i : i + 1] for name, value in rows.items()}))
        assert set(alone) == set(together)
        assert alone["num_frames"] == together["num_frames"][i] == horizon
        for name in ("mean", "covariance", "positions"):
            np.testing.assert_allclose(together[name][i, :horizon], alone[name][0], rtol=1e-4, atol=1e-4)
            assert np.all(together[name][i, horizon:] == 0)


def test_a_row_is_what_rollout_and_sample_say(both):
    _, signatures = both
    rows = random_rows()
    found = numpy_of(signatures.rollout_rows(**rows))
    for i, horizon in enumerate(rows["horizon"]):
        real = rows["mask"][i] > 0
        one = {"positions": rows["positions"][i : i + 1, :, real], "features": rows["features"][i : i + 1, real]}
        expected = numpy_of(signatures.rollout(**one, horizon=horizon))
        for name in ("mean", "covariance"):
            np.testing.assert_allclose(found[name][i, :horizon, real], expected[name][0].swapaxes(0, 1), 1e-4, 1e-4)
            assert np.all(found[name][i, :, ~real] == 0)
        if real.all():  # draws depend on N, padding included
            drawn = signatures.sample(**one, horizon=horizon, seed=rows["seed"][i])["positions"].numpy()
            np.testing.assert_allclose(found["positions"][i, :horizon], drawn[0], rtol=1e-3, atol=1e-3)
        assert np.all(found["positions"][i, :, ~real] == 0)


def test_a_faulty_row_is_refused_and_the_others_do_not_notice(both):
    _, signatures = both
    rows = random_rows()
    undisturbed = numpy_of(signatures.rollout_rows(**rows))
    faulty = {name: value.copy() for name, value in rows.items()}
    faulty["positions"][0, 1, 2, 0] = np.nan
    faulty["horizon"][2] = MAX_HORIZON + 1
    found = numpy_of(signatures.rollout_rows(**faulty))
    assert found["refused"].tolist() == [
        b"`positions` must be finite",
        b"",
        b"`horizon` must be from 1 to 20. Received: 21",
    ]
    assert found["num_frames"].tolist() == [0, 2, 0]
    for name in ("mean", "covariance", "positions"):
        assert np.all(found[name][[0, 2]] == 0)
        np.testing.assert_allclose(found[name][1], undisturbed[name][1, :2], rtol=1e-4, atol=1e-4)
    faulty["mask"][1, 0] = 2
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`positions` must be finite \(row 0\)"):
        signatures.rollout_rows(**faulty)


def test_a_chain_of_steps_is_the_rollout(both):
    _, signatures = both
    rows = random_rows()
    frames = rows["positions"].swapaxes(0, 1)
    state, found = numpy_of(signatures.initial_state(frames[0])), {}
    expected = numpy_of(signatures.rollout_rows(**{**rows, "horizon": np.full(3, 5, np.int32)}))
    for index in range(len(frames) + 4):
        observed = index < len(frames)
        found = numpy_of(
            signatures.step(
                positions=frames[index] if observed else found["mean"],
                features=rows["features"],
                mask=rows["mask"],
                observed=np.full(3, observed),
                state=state,
            )
        )
        state = {name: found[name] for name in signatures.state_shapes}
        if index >= len(frames) - 1:
            for name in ("mean", "covariance"):
                frame = expected[name][:, index - len(frames) + 1]
                np.testing.assert_allclose(found[name], frame, rtol=1e-5, atol=1e-5)


def test_a_step_refuses_rows_one_by_one(both):
    _, signatures = both
    rows = random_rows()
    frame = rows["positions"][:, 0]
    state = numpy_of(signatures.initial_state(frame))
    inputs = {"positions": frame, "features": rows["features"], "mask": rows["mask"], "observed": np.ones(3, bool)}
    undisturbed = numpy_of(signatures.step(**inputs, state=state))
    faulty = frame.copy()
    faulty[1] = np.nan
    for name, tensor in numpy_of(signatures.initial_state(faulty)).items():
        assert np.all(tensor[1] == 0)
        np.testing.assert_array_equal(tensor[[0, 2]], state[name][[0, 2]])
    name = next(iter(signatures.state_shapes))
    state[name][1, 0, 0] = np.inf
    found = numpy_of(signatures.step(**inputs, state=state))
    assert found["refused"].tolist() == [b"", f"`{name}` must be finite".encode(), b""]
    for name in set(found) - {"refused"}:
        assert np.all(found[name][1] == 0)
        np.testing.assert_allclose(found[name][[0, 2]], undisturbed[name][[0, 2]], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("both", "share"), [("both", 1), ("verlet", (1 + 1 / 16) / 2)], indirect=["both"])
def test_a_head_that_adds_up_starts_anew_where_a_frame_was_observed(both, share):
    """Without observations, the uncertainty of each row grows from frame to frame, in every component."""
    _, signatures = both
    rows = random_rows()
    frame = rows["positions"][:, 0]
    inputs = {"positions": frame, "features": rows["features"], "mask": np.ones((3, 5), np.float32)}
    state = numpy_of(signatures.initial_state(frame))
    state["state_head_position_covariance"] += 7 * np.eye(2, dtype=np.float32)
    found = numpy_of(signatures.step(**inputs, observed=np.array([True, False, True]), state=state))
    trace = np.trace(found["covariance"], axis1=-2, axis2=-1).min(axis=1)
    plain = numpy_of(signatures.step(**inputs, observed=np.ones(3, bool), state=state))["covariance"]
    np.testing.assert_array_equal(found["covariance"][[0, 2]], plain[[0, 2]])
    np.testing.assert_allclose(trace[1], np.trace(plain, axis1=-2, axis2=-1)[1].min() + 14 * share, rtol=1e-5)


def test_the_bound_and_the_defaults_are_those_of_the_export(tmp_path):
    keras.utils.set_random_seed(1)
    path = export(build_model(ModelConfig(**SMALL, interaction="none")), tmp_path / "bounded", {}, max_horizon=4)
    card = json.loads((path / "assets.extra" / "model_card.json").read_text())
    assert card["max_horizon"] == 4
    assert card["state"] == {"state_hidden": [4], "state_cell": [4], "state_positions": [2]}
    rollout = tf.saved_model.load(str(path)).signatures["rollout"]
    inputs = {name: tf.constant(random_rows()[name]) for name in ("positions", "features")}
    assert rollout(**inputs, horizon=tf.constant(4))["mean"].shape[1] == 4
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`horizon` must be from 1 to 4\. Received: 5"):
        rollout(**inputs, horizon=tf.constant(5))
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    defaults = {
        name: {key: tf.make_ndarray(value).tolist() for key, value in signature.defaults.items()}
        for name, signature in saved.meta_graphs[0].signature_def.items()
        if signature.defaults
    }
    horizon = {"horizon": 3}  # frames predicted in training
    assert defaults == {
        "serving_default": horizon,
        "rollout": horizon,
        "density": horizon,
        "sample": {**horizon, "seed": [0, 0]},
    }
