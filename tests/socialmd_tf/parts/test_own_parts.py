"""Parts from outside the package are built, trained, exported and searched by name."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from socialmd_tf.config import ModelConfig, TrainConfig, from_dict, to_dict
from socialmd_tf.export.signatures import Signatures
from socialmd_tf.mixture import NegativeLogLikelihood
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.tuning.hyperparameters import with_values
from socialmd_tf.tuning.search_space import search_space

ROOT = Path(__file__).parents[3]
CENTRE, STAND_STILL = (f"tests.socialmd_tf.parts.own_parts:{name}" for name in ("centre", "stand_still"))
CONFIG = ModelConfig(
    num_features=1, rollout_steps=2, units=4, input_embedding=3, interaction=CENTRE, head=STAND_STILL, correlated=False
)


def frames():
    generator = np.random.default_rng(0)
    mask = np.ones((2, 5), np.float32)
    mask[1, 3:] = 0
    positions = generator.normal(size=(2, 3, 5, 2)).astype(np.float32) * mask[:, None, :, None]
    return {"positions": positions, "features": np.ones((2, 5, 1), np.float32), "mask": mask}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build_model(CONFIG)


def test_they_are_the_layers_of_the_model(model):
    layer = rollout_layer(model)
    assert type(layer.cell.interaction).__name__ == "Centre"
    assert type(layer.head).__name__ == "StandStill"


def test_an_interaction_without_box_is_refused_for_periodic_data():
    with pytest.raises(UserError, match=r"`interaction` must be one that takes `box`.*own_parts:centre"):
        build_model(dataclasses.replace(CONFIG, periodic=True))
    for own in ("none", "pairwise"):
        build_model(dataclasses.replace(CONFIG, periodic=True, interaction=own))


def test_they_are_trained(model):
    inputs = frames()
    targets = np.zeros((2, 2, 5, 2), np.float32)
    with tf.GradientTape() as tape:
        loss = NegativeLogLikelihood(rollout_layer(model).head.layout)(targets, model(inputs))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    assert np.isfinite(loss) and all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.slow
def test_they_are_exported(model, tmp_path):
    module, inputs = Signatures(model, 10), frames()
    tf.saved_model.save(module, tmp_path, signatures={"density": module.density})
    loaded = tf.saved_model.load(str(tmp_path)).signatures["density"]
    found = loaded(**{name: tf.constant(array) for name, array in inputs.items()}, horizon=tf.constant(2))
    real = np.broadcast_to(inputs["mask"][:, None] > 0, (2, 2, 5))
    np.testing.assert_allclose(found["parameters"][real], np.asarray(model(inputs))[real], rtol=1e-5, atol=1e-6)


def test_a_saved_configuration_finds_them_again():
    config = TrainConfig(model=CONFIG)
    assert from_dict(TrainConfig, to_dict(config)).model == CONFIG


def test_they_are_searched():
    space = search_space(
        TrainConfig(), {"model.interaction": f"none,{CENTRE}", "model.head": STAND_STILL, "model.cutoff": "1:2"}
    )
    assert space["model.cutoff"].when == ("model.interaction", (CENTRE,))
    assert space["model.correlated"].when is None  # the one head searched reads it
    assert with_values(TrainConfig(), {"model.interaction": CENTRE}).model.interaction == CENTRE


@pytest.mark.slow
def test_train_and_tune_take_them_by_name(write_dataset, random_trajectory, tmp_path):
    pytest.importorskip("keras_tuner", reason="needs the extra `tuning`")
    trajectories = [random_trajectory(num_particles=3, seed=seed) for seed in range(3)]
    data = write_dataset({"train": trajectories[:1], "validation": trajectories[1:2], "test": trajectories[2:]})
    flags = f"--data {data} --subsample 1 --warm-up-steps 3 --rollout-steps 3 --rotations 0 --epochs 1 --batch-size 8"
    flags += f" --preset thesis --model.head {STAND_STILL} --model.no-correlated"
    train = f"--model.interaction {CENTRE} --run-directory {tmp_path}/run --export-directory {tmp_path}/model"
    tune = f"--output {tmp_path}/search --max-trials 2 --tuner grid --ranges model.interaction=none,{CENTRE}"
    for command, more in (("train", train), ("tune", f"{tune} --only model.interaction")):
        arguments = [sys.executable, "-m", f"socialmd_tf.{command}", *flags.split(), *more.split()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        result = subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "model" / "1" / "saved_model.pb").exists()
    assert (tmp_path / "search" / "best.json").exists()
