import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, from_dict, preset, to_dict
from socialmd_tf.layers import (
    MultiscalePoolingInteraction,
    NoInteraction,
    PairwiseInteraction,
    StackedPoolingInteraction,
)
from socialmd_tf.layers.forces import SumOfTerms
from socialmd_tf.layers.pairs import few_or_many
from socialmd_tf.mixture import NegativeLogLikelihood
from socialmd_tf.model import build_model, for_data, rollout_layer
from socialmd_tf.parts import FORCES, Force

SMALL = ModelConfig(
    rollout_steps=2,
    input_embedding=4,
    units=6,
    interaction_embedding=5,
    state_embedding=3,
    bins=8,
    side_lengths=(6.0, 2.0),
    filters=(3, 4),
    kernel_size=3,
)
SMALL_3D = dataclasses.replace(SMALL, num_dimensions=3, bins=4)
SMALL_MIXTURE = dataclasses.replace(SMALL, num_components=3, correlated=False)
SMALL_VERLET = dataclasses.replace(
    SMALL, head="verlet", interaction="pairwise", num_components=2, charges=2, substeps=2, pair_units=4, pair_channels=2
)
SMALL_KINEMATIC = dataclasses.replace(
    SMALL, head="kinematic", interaction="multiscale_pooling", bins=3, num_components=2
)
CONFIGS = {"2d": SMALL, "3d": SMALL_3D, "mixture": SMALL_MIXTURE}
SMALL_PLAIN = dataclasses.replace(
    SMALL, cell="plain", interaction="none", input_layers=(4,), lstm_layers=(5, 3), output_layers=()
)
SMALL_DISPLACEMENT = dataclasses.replace(SMALL, head="displacement", num_components=2)
ALL_CONFIGS = {
    **CONFIGS,
    "kinematic": SMALL_KINEMATIC,
    "verlet": SMALL_VERLET,
    "plain": SMALL_PLAIN,
    "displacement": SMALL_DISPLACEMENT,
}


@functools.cache
def built(config):
    """A model with the same weights every time, for tests that do not change it."""
    keras.utils.set_random_seed(0)
    return build_model(config)


def make_batch(num_systems=2, num_steps=2, num_particles=5, num_dimensions=2, num_features=2, seed=0):
    """A batch whose second system is padded."""
    generator = np.random.default_rng(seed)
    shape = (num_systems, num_steps + 2, num_particles, num_dimensions)
    frames = generator.normal(size=shape).astype("float32")
    features = generator.normal(size=(num_systems, num_particles, num_features)).astype("float32")
    mask = np.ones((num_systems, num_particles), "float32")
    mask[1:, 2:] = 0
    return {"positions": frames[:, :num_steps], "features": features, "mask": mask}, frames[:, num_steps:]


def num_parameters(config):
    """Trainable parameters, layer by layer (thesis section 4.4)."""
    embedding, units, taps = config.input_embedding, config.units, config.kernel_size**config.num_dimensions
    total = (config.num_dimensions + config.num_features) * embedding  # input embedding
    channels, bins = config.state_embedding, config.bins
    total += units * channels  # state embedding
    for filters in config.filters:
        total += (taps * channels + 1) * filters
        channels, bins = filters, bins // 2
    total += bins**config.num_dimensions * channels * config.interaction_embedding
    total += 4 * units * (embedding + config.interaction_embedding + units + 1)  # LSTM
    scales = config.num_dimensions * (config.num_dimensions + 1) // 2 if config.correlated else config.num_dimensions
    component = config.num_dimensions + scales + (config.num_components > 1)
    return total + (units + embedding) * config.num_components * component


def test_the_thesis_has_its_number_of_parameters():
    model = build_model("thesis")
    assert model.count_params() == 140_768
    assert sum(weight.shape.num_elements() for weight in model.trainable_variables) == 140_768
    assert model.output_shape == (None, 30, None, 5)


@pytest.mark.parametrize(
    ("preset", "size", "num_params"),
    [
        ("thesis-mixture", 25, 143_968),
        ("thesis-monogrid", 5, 189_920),
        ("lstm", 5, 83_360),
        ("molecules-lstm", 5, 239_296),
        ("pairwise", 5, 33_675),
        ("kinematic", 18, 193_929),
        ("verlet", 18, 36_893),
        ("langevin", 5, 660),
    ],
)
def test_other_presets(preset, size, num_params):
    model = build_model(preset)
    assert model.output_shape == (None, 30, None, size)
    assert rollout_layer(model).head.layout.size == size
    assert model.count_params() == num_params


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(),
        *CONFIGS.values(),
        dataclasses.replace(SMALL, num_features=0),
        dataclasses.replace(SMALL, bins=11, filters=(3,), kernel_size=2),
        dataclasses.replace(SMALL_3D, num_components=2),
    ],
)
def test_number_of_parameters_is_the_formula(config):
    assert build_model(config).count_params() == num_parameters(config)


def test_unknown_preset():
    with pytest.raises(UserError) as error:
        build_model("thesys")
    assert "`preset`" in str(error.value) and str(error.value).endswith("Received: 'thesys'")


@pytest.mark.parametrize(("field", "value"), [("num_components", 3), ("pair_channels", 1)])
def test_a_langevin_head_is_one_gaussian_and_has_functions_that_lie_apart(field, value):
    with pytest.raises(UserError, match=rf"`{field}` .* for the head 'langevin'\. Received: {value}"):
        build_model(dataclasses.replace(preset("langevin"), **{field: value}))


def test_a_langevin_head_takes_a_fitted_law_and_no_other_force(monkeypatch):
    config = dataclasses.replace(preset("langevin"), force="basis")
    head = rollout_layer(build_model(config)).head
    assert isinstance(head.force, SumOfTerms) and rollout_layer(build_model("langevin")).head.force is None
    monkeypatch.setitem(FORCES._parts, "own", Force("own", lambda config, name: None))
    with pytest.raises(UserError, match=r"`force` must be basis, or absent, for the head 'langevin'\. Received: 'own'"):
        build_model(dataclasses.replace(config, force="own"))


@pytest.mark.parametrize(("centered", "periodic"), [(True, True), (False, False)])
def test_a_langevin_head_has_no_centre_in_a_box_or_if_told_so(centered, periodic):
    config = dataclasses.replace(preset("langevin"), centered=centered, periodic=periodic)
    assert not rollout_layer(build_model(config)).head.is_centered
    assert rollout_layer(build_model("langevin")).head.is_centered


@pytest.mark.slow_cases(all_but=["plain", "kinematic"])
@pytest.mark.parametrize("config", ALL_CONFIGS.values(), ids=ALL_CONFIGS)
def test_any_number_of_systems_steps_and_particles(config):
    model = built(config)
    for num_systems, num_steps, num_particles in ((2, 3, 5), (1, 1, 1)):
        inputs, _ = make_batch(num_systems, num_steps, num_particles, config.num_dimensions)
        expected_shape = (num_systems, 2, num_particles, rollout_layer(model).head.layout.size)
        result = model(inputs)
        assert result.shape == expected_shape


@pytest.mark.slow
def test_one_graph_serves_any_number_of_systems_steps_and_particles():
    model = built(SMALL)
    shapes = {"positions": (None, None, None, 2), "features": (None, None, 2), "mask": (None, None)}
    signature = {name: tf.TensorSpec(shape, "float32") for name, shape in shapes.items()}
    graph = tf.function(model, input_signature=[signature])
    for num_systems, num_steps, num_particles in ((2, 3, 5), (1, 1, 1)):
        inputs, _ = make_batch(num_systems, num_steps, num_particles)
        np.testing.assert_allclose(graph(inputs), model(inputs), atol=1e-5)


def test_takes_exactly_the_dictionary_of_a_batch():
    model = built(SMALL)
    assert set(model.input) == {"positions", "features", "mask"}
    inputs, _ = make_batch()
    for missing in inputs:
        with pytest.raises((ValueError, KeyError)):
            model({name: value for name, value in inputs.items() if name != missing})


def test_no_features_are_needed():
    inputs, _ = make_batch(num_features=0)
    assert build_model(dataclasses.replace(SMALL, num_features=0))(inputs).shape == (2, 2, 5, 5)


def test_particles_alone():
    inputs, _ = make_batch()
    model = build_model(dataclasses.replace(SMALL, interaction="none"))
    moved = {**inputs, "positions": inputs["positions"] + np.eye(5, dtype="float32")[0][:, None]}
    np.testing.assert_array_equal(model(moved)[:, :, 1:], model(inputs)[:, :, 1:])


def test_interaction_is_the_one_named():
    def interaction(config):
        return rollout_layer(built(config)).cell.interaction

    assert isinstance(interaction(SMALL), StackedPoolingInteraction)
    assert isinstance(interaction(dataclasses.replace(SMALL, interaction="none")), NoInteraction)
    both = interaction(dataclasses.replace(SMALL, interaction="both"))
    assert [type(part) for part in both.interactions] == [MultiscalePoolingInteraction, PairwiseInteraction]
    assert isinstance(interaction(SMALL_KINEMATIC), MultiscalePoolingInteraction)


def test_particles_see_each_other():
    inputs, _ = make_batch()
    model = built(SMALL)
    apart = {**inputs, "positions": inputs["positions"] + 100 * np.eye(5, dtype="float32")[0][:, None]}
    assert np.abs(model(apart) - model(inputs))[0, :, 1:].max() > 1e-4


@pytest.mark.slow_cases(all_but=["plain", "kinematic", "2d"])
@pytest.mark.parametrize("config", ALL_CONFIGS.values(), ids=ALL_CONFIGS)
def test_renumbered_particles_give_renumbered_results(config):
    inputs, _ = make_batch(num_dimensions=config.num_dimensions)
    order = np.random.default_rng(1).permutation(5)
    renumbered = {
        "positions": inputs["positions"][:, :, order],
        "features": inputs["features"][:, order],
        "mask": inputs["mask"][:, order],
    }
    model = built(config)
    np.testing.assert_allclose(model(renumbered), tf.gather(model(inputs), order, axis=2), atol=1e-5)


def test_for_data_takes_dimensions_features_and_steps_from_the_data():
    manifest = Manifest("x", 3, ("mass",), "1", 0.1, {"train": ("a.npy",)}, {})
    config = for_data(SMALL, manifest, DataConfig(rollout_steps=7), (0.5, 0.1))
    sizes = {"num_dimensions": 3, "num_features": 1, "rollout_steps": 7}
    assert config == dataclasses.replace(SMALL, **sizes, move_scale=0.5, acceleration_scale=0.1)


def test_for_data_takes_boxes_bonds_and_velocities_from_the_data(tmp_path):
    np.save(tmp_path / "bonds.npy", np.array([[0, 1, 3]]))
    features, options = ("mass", "velocity_x", "velocity_y"), {"box": (6.0, 5.0), "edges": "bonds.npy"}
    manifest = Manifest("x", 2, features, "1", 0.1, {"train": ("a.npy",)}, {}, **options)
    config = for_data(SMALL, manifest, DataConfig(rollout_steps=2), (0.5, 0.1), tmp_path)
    found = config.periodic, config.num_edge_types, config.observed_velocities, config.num_features
    assert found == (True, 3, True, 1)
    assert max(config.side_lengths) == pytest.approx(5.0)
    model = build_model(config)
    assert {name: tuple(value.shape[1:]) for name, value in model.input.items()} == {
        "positions": (None, None, 2),
        "features": (None, 1),
        "mask": (None,),
        "box": (2, 2),
        "edges": (None, None),
        "velocities": (None, None, 2),
    }
    inputs = {
        "positions": np.zeros((2, 3, 4, 2), "float32"),
        "features": np.zeros((2, 4, 1), "float32"),
        "mask": np.ones((2, 4), "float32"),
        "box": np.stack([np.eye(2) * 5] * 2).astype("float32"),
        "edges": np.zeros((2, 4, 4), "int32"),
        "velocities": np.zeros((2, 3, 4, 2), "float32"),
    }
    assert model(inputs).shape[:3] == (2, 2, 4)


@pytest.mark.slow_cases("*both*", "*verlet*", "*stacked*")
@pytest.mark.parametrize(
    "settings",
    [
        {"head": "kinematic", "interaction": "pairwise"},
        {"head": "verlet", "interaction": "pairwise", "substeps": 2},
        {"head": "kinematic", "interaction": "both"},
        {"head": "kinematic", "interaction": "stacked_pooling"},
    ],
    ids=str,
)
def test_nothing_depends_on_where_the_system_is(settings):
    settings = {"bins": 4, "filters": (2, 2), "units": 5, "input_embedding": 3, "rollout_steps": 3, **settings}
    model = build_model(ModelConfig(**settings))
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(scale=0.1, size=weight.shape) for weight in model.weights])
    inputs, _ = make_batch()
    inputs["positions"] = np.round(inputs["positions"] * 256) / 256  # exact wherever the system is
    moved = {**inputs, "positions": inputs["positions"] + np.float32(8) * inputs["mask"][:, None, :, None]}
    real = inputs["mask"][:, None, :, None] > 0
    here, there = (np.where(real, model(system), 0) for system in (inputs, moved))
    np.testing.assert_allclose(there[..., :2] - 8 * real, here[..., :2], atol=1e-4)
    np.testing.assert_allclose(there[..., 2:], here[..., 2:], rtol=1e-3, atol=1e-4)


def coincident(inputs):
    inputs["positions"][:] = 0.5


def at_rest(inputs):
    inputs["positions"][:] = inputs["positions"][:, :1]


def far_away(inputs):
    inputs["positions"] += np.float32(1e4)


def scattered(inputs):
    inputs["positions"] *= np.float32(1e4)


def padding_alone_in_a_row(inputs):
    inputs["mask"][1] = 0
    inputs["positions"][1] = 0


def none_moves_and_none_is_apart(inputs):
    inputs["positions"][:] = 0
    inputs["features"][:] = 0


HARD_CASES = [coincident, at_rest, far_away, scattered, padding_alone_in_a_row, none_moves_and_none_is_apart]


def loss_and_gradients(model, inputs, targets, real):
    """Mean loss of the real particles, and its gradients."""
    layout = rollout_layer(model).head.layout
    with tf.GradientTape() as tape:
        loss = NegativeLogLikelihood(layout)(targets, model(inputs), sample_weight=real)
    return loss, tape.gradient(loss, [weight.value for weight in model.trainable_variables])


def assert_finite(model, inputs, targets):
    real = np.repeat(inputs["mask"][:, None], targets.shape[1], axis=1)
    loss, gradients = loss_and_gradients(model, inputs, targets, real)
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert max(np.abs(gradient).max() for gradient in gradients) > 0


FINITE = [
    pytest.param(config, spoil, id=f"{name}-{spoil.__name__}")
    for name, config in ALL_CONFIGS.items()
    for spoil in HARD_CASES
]


@pytest.mark.slow_cases(all_but=["plain-*", "3d-at_rest", "kinematic-coincident"])
@pytest.mark.parametrize(("config", "spoil"), FINITE)
def test_loss_and_gradients_are_finite(config, spoil):
    inputs, targets = make_batch(num_dimensions=config.num_dimensions)
    spoil(inputs)
    targets = inputs["positions"][:, -1:] + 0.1 * targets
    assert_finite(built(config), inputs, targets.astype("float32"))


@pytest.mark.slow_cases(all_but=["plain", "kinematic"])
@pytest.mark.parametrize("config", ALL_CONFIGS.values(), ids=ALL_CONFIGS)
def test_loss_and_gradients_are_finite_for_a_lone_particle(config):
    inputs, targets = make_batch(num_systems=1, num_particles=1, num_dimensions=config.num_dimensions)
    assert_finite(built(config), inputs, targets)


@pytest.mark.slow  # test_pairs.py has the same in small
def test_one_graph_trains_on_any_number_of_particles(monkeypatch):
    """Few are looked at all, many are listed; the graph that does not know the number chooses, step by step."""
    monkeypatch.setattr(few_or_many, "LIMIT", 3)
    model = built(dataclasses.replace(SMALL_VERLET, interaction="none", substeps=1))

    def step(inputs, targets):
        return loss_and_gradients(model, inputs, targets, inputs["mask"][:, None] * tf.ones_like(targets[..., 0]))

    shapes = {"positions": (None, None, None, 2), "features": (None, None, 2), "mask": (None, None)}
    signature = {name: tf.TensorSpec(shape, "float32") for name, shape in shapes.items()}
    graph = tf.function(step, input_signature=[signature, tf.TensorSpec((None, None, None, 2), "float32")])
    for num_particles in (3, 5):
        inputs, targets = make_batch(num_particles=num_particles)
        inputs = {name: tf.constant(array) for name, array in inputs.items()}
        for found, wanted in zip(
            tf.nest.flatten(graph(inputs, targets)), tf.nest.flatten(step(inputs, targets)), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_targets_far_from_the_prediction_have_a_finite_loss():
    inputs, targets = make_batch()
    assert_finite(built(SMALL), inputs, targets + np.float32(1e4))


@pytest.mark.slow_cases(all_but=["lstm"])
@pytest.mark.parametrize("name", ["lstm", "molecules-lstm", "pairwise", "verlet"])
def test_presets_do_not_take_anchors_for_numbers_of_a_particle(name):
    """The model takes them among the features, and predicts the same wherever they are."""
    features = ("kind", "anchor_x", "anchor_y", "anchor_z")
    manifest = Manifest("x", 3, features, "1", 0.1, {"train": ("a.npy",)}, {})
    config = for_data(preset(name), manifest, DataConfig(rollout_steps=2), (0.5, 0.1))
    assert (config.num_features, config.anchor_start) == (4, 1)
    assert from_dict(ModelConfig, to_dict(config)) == config
    model = build_model(config)
    inputs, _ = make_batch(num_dimensions=3, num_features=4)
    moved = {**inputs, "features": inputs["features"] + np.array([0, 1, 2, 3], "float32")}
    np.testing.assert_array_equal(model(inputs), model(moved))
    alone = build_model(dataclasses.replace(config, num_features=1, anchor_start=None))
    assert model.count_params() == alone.count_params()
