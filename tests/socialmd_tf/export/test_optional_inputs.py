"""Boxes, bonds and observed velocities from files and arrays to exported models."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.dataset import batches
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.export.frames import Frames, read
from socialmd_tf.export.model_card import model_card
from socialmd_tf.export.model_inputs import model_inputs
from socialmd_tf.export.saved_model import ExportedModel, load_keras_model
from socialmd_tf.export.write import export
from socialmd_tf.model import build_model, for_data, rollout_layer
from socialmd_tf.training.run import RunState
from tests.socialmd_tf.export.untrained import SCALES, SMALL, WINDOWS

BOX, FEATURES = (6.0, 5.0), ("mass", "velocity_x", "velocity_y")
BONDS = np.array([[1, 0, 2], [2, 3, 1]])
KINDS = {
    "kinematic": {**SMALL, "head": "kinematic"},
    "verlet": {**SMALL, "interaction": "pairwise", "head": "verlet", "softening": 0.5, "substeps": 2},
}


def trajectory(num_frames=20, num_particles=4, seed=0):
    generator = np.random.default_rng(seed)
    positions = (0.3 * generator.normal(size=(num_frames, num_particles, 2))).cumsum(axis=0) % np.array(BOX)
    others = generator.normal(size=(1, num_particles, 1)).repeat(num_frames, axis=0)
    return np.concatenate([positions, others, generator.normal(size=positions.shape)], axis=-1).astype(np.float32)


@pytest.fixture(scope="module", params=["kinematic", pytest.param("verlet", marks=pytest.mark.slow)])
def exported(request, tmp_path_factory):
    """(the dataset, the Keras model, its export)."""
    directory = tmp_path_factory.mktemp("periodic")
    np.save(directory / "a.npy", trajectory())
    np.save(directory / "bonds.npy", BONDS)
    options = {"box": BOX, "edges": "bonds.npy"}
    manifest = Manifest("tiny", 2, FEATURES, "nm", 0.5, {"train": ("a.npy",)}, {}, time_unit="ps", **options)
    manifest.save(directory)
    config = TrainConfig(data=str(directory), windows=WINDOWS, model=ModelConfig(**KINDS[request.param]))
    keras.utils.set_random_seed(3)
    model = build_model(for_data(config.model, manifest, WINDOWS, SCALES, directory))
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(scale=0.3, size=weight.shape) for weight in model.weights])
    card = model_card(config, model, manifest, RunState([{"epoch": 1, "val_loss": 1.0}]))
    return directory, model, ExportedModel(export(model, directory / "saved", card))


@pytest.fixture(scope="module")
def window(exported):
    """Inputs of the first window as a batch of one."""
    inputs, _ = next(iter(batches(exported[0], "train", WINDOWS, batch_size=1, seed=0, shuffle=False)))
    return {name: value.numpy() for name, value in inputs.items()}


def test_signatures_have_the_inputs_that_the_data_have(exported):
    for name, signature in exported[2]._loaded.signatures.items():
        found = {key: spec.shape.as_list() for key, spec in signature.structured_input_signature[1].items()}
        optional = {key: shape for key, shape in found.items() if key in ("box", "edges", "velocities")}
        in_time = [None, None, 2] if name == "step" else [None, None, None, 2]
        expected = {"box": [None, 2, 2], "edges": [None, None, None], "velocities": in_time}
        assert optional == ({} if name == "initial_state" else expected)
        assert ("velocities_observed" in found) == (name == "step")


@pytest.mark.slow
def test_the_export_gives_the_densities_of_the_model(exported, window):
    _, model, loaded = exported
    np.testing.assert_allclose(loaded.density(window), model(window), rtol=1e-4, atol=1e-5)
    rebuilt = load_keras_model(loaded.path)
    np.testing.assert_allclose(rebuilt(window), model(window), rtol=1e-5, atol=1e-6)


def test_a_file_gives_the_inputs_of_the_pipeline(exported, window):
    directory, _, loaded = exported
    positions, features, mask, known = model_inputs(read(directory / "a.npy"), loaded.card)
    assert mask is None and set(known) == {"box", "edges", "velocities"}
    for name, found in {"positions": positions, "features": features, **known}.items():
        np.testing.assert_allclose(found, window[name], rtol=1e-5, atol=1e-6)
        assert found.dtype == window[name].dtype


def test_file_and_arrays_give_the_same_forecast_whatever_the_images(exported):
    directory, model, loaded = exported
    from_file = loaded.rollout(directory / "a.npy", 4)
    stored = trajectory()[: 2 * WINDOWS.subsample : WINDOWS.subsample]
    arrays = {"features": stored[0, :, 2:3], "velocities": stored[..., 3:], "edges": BONDS}
    from_arrays = loaded.rollout(read(stored[..., :2], box=BOX, **arrays), 4)
    np.testing.assert_allclose(from_arrays.mean, from_file.mean, rtol=1e-4, atol=1e-4)
    shift = (np.random.default_rng(2).integers(-2, 3, (4, 2)) * BOX).astype(np.float32)
    moved = loaded.rollout(read(stored[..., :2] + shift, box=np.diag(BOX), **arrays), 4)
    np.testing.assert_allclose(moved.mean - shift, from_file.mean, rtol=1e-3, atol=1e-3)
    layout = rollout_layer(model).head.layout
    batch = next(iter(batches(directory, "train", WINDOWS, batch_size=1, seed=0, shuffle=False)))[0]
    np.testing.assert_allclose(from_file.mean[:3], layout.mean(model(batch))[0], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_samples_of_several_systems_are_those_of_each(exported):
    loaded = exported[2]
    stored = trajectory()[:6:2]
    known = {"features": stored[0, :, 2:3], "box": BOX, "edges": BONDS}
    one = loaded.sample(read(stored[..., :2], velocities=stored[..., 3:], **known), 2, num_samples=3)
    both = [np.stack([values] * 2) for values in (stored[..., :2], stored[..., 3:])]
    two = loaded.sample(read(both[0], velocities=both[1], **known), 2, num_samples=3)
    assert one.positions.shape == (3, 2, 4, 2) and two.positions.shape == (2, 3, 2, 4, 2)
    masked = loaded.sample(read(stored[..., :2], velocities=stored[..., 3:], mask=np.ones(4), **known), 2, 3)
    assert masked.positions.shape == (3, 2, 4, 2)


def test_steps_are_those_of_the_rollout(exported, window):
    loaded = exported[2]
    mean = loaded.moments(window["positions"], window["features"], 3, known=window)[0]
    signatures = loaded._loaded.signatures
    static = {name: tf.constant(window[name]) for name in ("features", "mask", "box", "edges")}
    frames = tf.constant(window["positions"])
    state, following = signatures["initial_state"](positions=frames[:, 0]), None
    for index in range(frames.shape[1] + 2):
        observed = index < frames.shape[1]
        velocities = window["velocities"][:, index] if observed else np.zeros_like(window["velocities"][:, 0])
        answer = signatures["step"](
            positions=frames[:, index] if observed else following,
            velocities=tf.constant(velocities),
            velocities_observed=tf.constant([observed]),
            observed=tf.constant([observed]),
            **static,
            **{name: value for name, value in state.items() if name.startswith("state_")},
        )
        state, following = answer, answer["mean"]
    np.testing.assert_allclose(following, mean[:, 2], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_drawn_frames_step_by_step_are_the_sample(exported, window):
    """A drawn frame counts as observed, and its velocities as not: `step` gives the densities that `sample` drew from.

    The sample itself stands in for the draws, since `step` leaves drawing to its caller.
    """
    _, model, loaded = exported
    drawn = loaded.paths(window["positions"], window["features"], 3, (1, 2), known=window)
    layer, inputs = rollout_layer(model), {name: tf.constant(value) for name, value in window.items()}
    expected, _ = layer.run(
        inputs, 4, choose=lambda _, number: tf.gather(drawn, tf.clip_by_value(number, 0, 2), axis=1)
    )
    signatures, observed = loaded._loaded.signatures, window["positions"].shape[1]
    frames = np.concatenate([window["positions"], drawn], axis=1)
    state = signatures["initial_state"](positions=tf.constant(frames[:, 0]))
    static = {name: inputs[name] for name in ("features", "mask", "box", "edges")}
    for index in range(frames.shape[1]):
        measured = index < observed
        answer = signatures["step"](
            positions=tf.constant(frames[:, index]),
            velocities=inputs["velocities"][:, index] if measured else tf.fill((1, 4, 2), 1e3),
            velocities_observed=tf.constant([measured]),
            observed=tf.constant([True]),
            **static,
            **{name: value for name, value in state.items() if name.startswith("state_")},
        )
        state = answer
        if index >= observed - 1:
            wanted = layer.head.layout.mean(expected[:, index - observed + 1])
            np.testing.assert_allclose(answer["mean"], wanted, rtol=1e-4, atol=1e-4)


def test_the_card_names_the_state(exported):
    card = exported[2].card
    heads = {"position_covariance": [2, 2], "position_velocity_covariance": [2, 2], "velocity_covariance": [2, 2]}
    if card["model"]["head"] == "verlet":
        heads |= {"predicted_positions": [2], "velocities": [2]}
    expected = {f"state_head_{name}": shape for name, shape in heads.items()}
    units = {"state_hidden": [SMALL["units"]], "state_cell": [SMALL["units"]]}
    assert card["state"] == {**units, "state_positions": [2], **expected}


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"box": None}, "`box` must be given"),
        ({"edges": None}, "`edges` must be given"),
        ({"velocities": None}, "`velocities` must be given"),
        ({"box": (2.0, 2.0)}, "`box` must be at least"),
        ({"edges": np.array([[0, 1, 3]])}, "`edges` must be of types from 1 to 2"),
        ({"velocities": np.full((3, 4, 2), np.nan)}, "`velocities` must be finite"),
    ],
)
def test_what_does_not_fit_the_model_is_one_line(exported, changes, fragment):
    stored = trajectory()[:6:2]
    known = {"features": stored[0, :, 2:3], "box": BOX, "edges": BONDS, "velocities": stored[..., 3:], **changes}
    with pytest.raises(UserError) as error:
        exported[2].rollout(read(stored[..., :2], **known), 2)
    assert fragment in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("known", "field"),
    [
        ({"box": np.ones(3)}, "box"),
        ({"box": np.ones((2, 2, 2))}, "box"),
        ({"box": -np.ones(2)}, "box"),
        ({"edges": np.array([[0, 9, 1]])}, "edges"),
        ({"edges": np.array([[0.0, 1.0, 1.0]])}, "edges"),
        ({"velocities": np.ones((3, 4))}, "velocities"),
    ],
)
def test_what_does_not_fit_the_positions_is_refused(known, field):
    with pytest.raises(UserError, match=f"`{field}`"):
        read(np.zeros((3, 4, 2)), **known)


def test_values_are_checked_in_the_graph_too(exported, window):
    loaded = exported[2]
    for name, value in (
        ("box", window["box"] / 4),
        ("edges", window["edges"] * 2),
        ("velocities", np.nan * window["velocities"]),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"`{name}` must be"):
            loaded.density({**window, name: value})


def test_a_box_in_every_frame_is_cut_and_used_at_the_last_observed_one(exported):
    stored = trajectory()[:8]
    boxes = np.stack([np.diag(BOX) * (1 + 0.01 * frame) for frame in range(8)])
    frames = Frames(
        stored[..., :2],
        features=stored[0, :, 2:3],
        velocities=stored[..., 3:],
        box=boxes,
        edges=BONDS,
        time_between_frames=0.5,
    )
    *_, known = model_inputs(frames[1:], exported[2].card)
    np.testing.assert_allclose(known["box"][0], boxes[1 + WINDOWS.subsample * (WINDOWS.warm_up_steps - 1)], rtol=1e-6)


def test_a_model_without_them_refuses_a_box_and_bonds_and_leaves_out_velocities_of_a_file(exported):
    directory, _, loaded = exported
    card = json.loads(json.dumps(loaded.card))
    card["model"] |= {"periodic": False, "num_edge_types": 0, "observed_velocities": False}
    frames = read(directory / "a.npy")
    for name in ("box", "edges"):
        others = {other: None for other in ("box", "edges") if other != name}
        with pytest.raises(UserError, match=f"`{name}` must be left out"):
            model_inputs(dataclasses.replace(frames, **others), card)
    assert len(model_inputs(dataclasses.replace(frames, box=None, edges=None), card)) == 3
