"""Training steps that XLA compiles."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import TrainConfig, to_dict
from socialmd_tf.layers import AbsoluteHead, StackedPoolingInteraction
from socialmd_tf.model import rollout_layer
from socialmd_tf.training import compiled_model, loop
from socialmd_tf.training.compiled_model import CompiledModel
from tests.socialmd_tf.training.small import SMALL, WINDOWS

# Without dropout: XLA draws other random numbers.
KINDS = {
    "pooling": {},
    "pairwise": {"interaction": "pairwise", "head": "kinematic", "num_components": 2},
    "verlet": {"interaction": "none", "head": "verlet", "num_components": 2},
    "alone": {"cell": "plain", "interaction": "none", "output_layers": (8,), "dropout": 0.0},
}


def settings(kind, **changes):
    model = dataclasses.replace(SMALL, **KINDS[kind])
    # Batches of 5 leave a smaller one at the end of each epoch.
    return TrainConfig(windows=WINDOWS, model=model, epochs=3, batch_size=5, **changes)


def trained(config, directory):
    """The model, and losses and metrics of each epoch."""
    strategy = tf.distribute.MirroredStrategy(loop.visible_devices()[:1])
    model = loop.new_model(config, Manifest.load(directory), (1.0, 1.0), strategy, directory=directory)
    history = loop.run_epochs(model, config, directory, 0, [])
    return model, history.history


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "curriculum"), [("alone", (0,)), *((kind, (0, 2, 3)) for kind in KINDS)])
def test_compiled_training_is_training(mixed_data, kind, curriculum):
    config = dataclasses.replace(settings(kind), curriculum=curriculum, epochs=len(curriculum))
    plain, expected = trained(dataclasses.replace(config, compile="off"), mixed_data)
    compiled, found = trained(dataclasses.replace(config, compile="on"), mixed_data)
    assert isinstance(compiled, CompiledModel) and not isinstance(plain, CompiledModel)
    for name in ("loss", "mae", "val_loss", "val_mae"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)
    for weight, wanted in zip(compiled.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_a_gpu_that_rounds_trains_the_cnn_in_bfloat16_and_nothing_else(mixed_data, monkeypatch):
    precisions = []
    call = StackedPoolingInteraction.call

    def noted(layer, *arguments, **options):
        precisions.append(layer.pooled_convolution.compute_dtype)
        return call(layer, *arguments, **options)

    config = dataclasses.replace(settings("pooling", compile="on"), epochs=1)
    plain, exact = trained(config, mixed_data)
    monkeypatch.setattr(StackedPoolingInteraction, "call", noted)
    monkeypatch.setattr(compiled_model, "is_rounded", lambda: True)
    model, rounded = trained(config, mixed_data)
    interaction = rollout_layer(model).cell.interaction
    assert set(precisions) == {"bfloat16", "float32"}  # training and validation
    assert interaction.pooled_convolution.compute_dtype == interaction.compute_dtype == "float32"
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(rounded[name], exact[name], rtol=1e-2, atol=1e-2)
    weights = list(zip(model.get_weights(), plain.get_weights(), strict=True))
    assert not all(np.array_equal(weight, wanted) for weight, wanted in weights)
    for weight, wanted in weights:
        np.testing.assert_allclose(weight, wanted, atol=0.02)


def test_the_choice_is_refused_if_it_is_none(tmp_path):
    with pytest.raises(UserError, match="`compile` must be 'auto', 'on' or 'off'"):
        TrainConfig(compile="yes")


@pytest.mark.slow
def test_a_layer_that_xla_cannot_compile_is_named_with_the_remedy(mixed_data, monkeypatch):
    mean = AbsoluteHead.mean
    monkeypatch.setattr(AbsoluteHead, "mean", lambda head, values: mean(head, values) + num_letters(values))
    with pytest.raises(UserError, match=r"XLA cannot compile the training step; use --compile off\. It says: "):
        trained(settings("alone", compile="on"), mixed_data)


def num_letters(values):
    """Zero, by way of strings, which XLA does not know."""
    return 0.0 * tf.cast(tf.strings.length(tf.strings.as_string(values[0, 0, 0])), values.dtype)


REPLICAS = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pathlib import Path
from pipelines.manifest import Manifest
from socialmd_tf.config import TrainConfig, from_dict
from socialmd_tf.training import loop

config, directory = from_dict(TrainConfig, json.loads(sys.argv[1])), Path(sys.argv[2])
results = []
for number in (1, 2):
    strategy = tf.distribute.MirroredStrategy(loop.visible_devices()[:number])
    model = loop.new_model(config, Manifest.load(directory), (1.0, 1.0), strategy, directory=directory)
    loop.visible_devices = lambda found=loop.visible_devices()[:number]: found
    history = loop.run_epochs(model, config, directory, 0, []).history
    results.append([history["loss"], history["val_loss"]])
    loop.visible_devices = lambda: [device.name for device in tf.config.list_logical_devices("CPU")]
print(json.dumps(results))
"""


@pytest.mark.slow
def test_two_replicas_that_xla_compiles_learn_what_one_learns(mixed_data):
    config = dataclasses.replace(settings("pairwise", compile="on"), batch_size=8, epochs=2)
    command = [sys.executable, "-c", REPLICAS, json.dumps(to_dict(config)), str(mixed_data)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    one, two = json.loads(result.stdout.splitlines()[-1])
    np.testing.assert_allclose(two, one, rtol=1e-3)
