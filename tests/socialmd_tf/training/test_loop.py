import dataclasses
import json
import shutil
import subprocess
import sys
import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines import dataset
from pipelines.manifest import Manifest
from socialmd_tf import mixture
from socialmd_tf.config import TrainConfig, preset, to_dict
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training import loop
from socialmd_tf.training.motion_scales import motion_scales
from socialmd_tf.training.sample_weights import with_sample_weights
from tests.socialmd_tf.training.small import ALONE, SMALL, WINDOWS


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = build_model(SMALL)
    loop.compile_for_training(model, 0.01)
    return model


def test_the_optimizer_is_the_thesis_s(model):
    settings = model.optimizer.get_config()
    assert isinstance(model.optimizer, keras.optimizers.Nadam)
    expected = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert {name: settings[name] for name in expected} == pytest.approx(expected)
    assert all(settings[name] is None for name in ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay"))
    assert not model.jit_compile


def slow_gaussian_loss(parameters, targets, layout):
    """-log N of one particle and step."""
    difference = targets - np.asarray(layout.mean(parameters))
    covariance = np.asarray(layout.covariance(parameters), np.float64)
    square = difference @ np.linalg.inv(covariance) @ difference
    return 0.5 * (square + np.log(np.linalg.det(2 * np.pi * covariance)))


@pytest.mark.slow
def test_the_loss_is_the_mean_over_real_particles_however_a_batch_is_filled(mixed_data, model):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=32, seed=0, shuffle=False)
    ((inputs, targets),) = plain
    parameters, layout = np.asarray(model(inputs)), rollout_layer(model).head.layout
    losses, errors = [], []
    for b, i in np.argwhere(inputs["mask"].numpy() > 0)[::7]:
        for step in range(3):
            losses.append(slow_gaussian_loss(parameters[b, step, i], targets[b, step, i].numpy(), layout))
            errors.append(np.abs(np.asarray(layout.mean(parameters[b, step, i])) - targets[b, step, i]).mean())

    chosen = np.zeros(inputs["mask"].shape, np.float32)
    chosen[tuple(np.argwhere(inputs["mask"].numpy() > 0)[::7].T)] = 1
    weights = np.repeat((chosen / chosen.mean())[:, None], 3, axis=1)
    assert float(model.compute_loss(y=targets, y_pred=parameters, sample_weight=weights)) == pytest.approx(
        np.mean(losses), rel=1e-4
    )
    for num_replicas in (1, 5):
        found = model.evaluate(with_sample_weights(plain, num_replicas), verbose=0, return_dict=True)
        every = np.argwhere(inputs["mask"].numpy() > 0)
        mean_error = np.abs(np.asarray(layout.mean(parameters)) - targets.numpy())[every[:, 0], :, every[:, 1]].mean()
        assert found["mae"] == pytest.approx(mean_error, rel=1e-5)
        assert found["loss"] == pytest.approx(
            np.mean(
                [
                    slow_gaussian_loss(parameters[b, k, i], targets[b, k, i].numpy(), layout)
                    for b, i in every
                    for k in range(3)
                ]
            ),
            rel=1e-4,
        )


def test_all_cpus_are_devices_where_there_is_no_gpu():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    assert loop.visible_devices() == [device.name for device in tf.config.list_logical_devices("CPU")]


@pytest.mark.slow
def test_a_curriculum_trains_on_few_frames_first_and_validates_on_all(mixed_data, tmp_path):
    config = TrainConfig(
        windows=WINDOWS,
        model=dataclasses.replace(ALONE, dropout=0.0),
        curriculum=(2, 2, 0),
        epochs=4,
        batch_size=8,
        run_directory=str(tmp_path / "run"),
    )
    lengths = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            steps = rollout_layer(self.model).training_steps
            lengths.append((epoch, steps))
            if steps == 0:
                return
            trained = np.asarray(self.model(inputs, training=True))
            validated = np.asarray(self.model(inputs))
            np.testing.assert_allclose(trained[:, :steps], validated[:, :steps], rtol=1e-5)
            np.testing.assert_array_equal(
                trained[:, steps:], np.repeat(trained[:, steps - 1 : steps], 3 - steps, axis=1)
            )

    inputs, _ = next(iter(dataset.batches(mixed_data, "train", WINDOWS, batch_size=1, seed=0, shuffle=False)))
    strategy = tf.distribute.MirroredStrategy(loop.visible_devices())
    model = loop.new_model(config, Manifest.load(mixed_data), (1.0, 1.0), strategy)
    history = loop.run_epochs(model, config, mixed_data, 0, [Watch()])
    assert lengths == [(0, 2), (1, 2), (2, 0), (3, 3)]
    assert len(history.history["loss"]) == len(history.history["val_loss"]) == 4
    assert history.epoch == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_sampled_head_is_trained_and_validated_on_single_frames_after_true_ones(mixed_data, tmp_path):
    config = TrainConfig(
        windows=WINDOWS,
        model=dataclasses.replace(preset("langevin"), rollout_steps=3),
        epochs=2,
        batch_size=8,
        run_directory=str(tmp_path / "run"),
    )
    strategy = tf.distribute.MirroredStrategy(loop.visible_devices())
    model = loop.new_model(config, Manifest.load(mixed_data), (1.0, 1.0), strategy)
    history = loop.run_epochs(model, config, mixed_data, 0, []).history
    assert history["loss"][1] < history["loss"][0]
    layer, losses, counts = rollout_layer(model), [], []
    for inputs, targets in dataset.batches(mixed_data, "validation", WINDOWS, batch_size=1, seed=0, shuffle=False):
        frames = np.concatenate([inputs["positions"], targets], axis=1)
        for k in range(3):
            seen = {**inputs, "positions": frames[:, : k + 2]}
            density = layer.run(seen, 1)[0][:, 0]
            values = mixture.NegativeLogLikelihood(layer.head.layout).call(frames[:, k + 2], density)
            losses.append(float(np.sum(values * inputs["mask"])))
            counts.append(float(np.sum(inputs["mask"])))
    assert history["val_loss"][1] == pytest.approx(sum(losses) / sum(counts), rel=1e-4)


@pytest.mark.slow
def test_the_drift_of_given_weights_stays_as_it_is(mixed_data, tmp_path):
    config = TrainConfig(
        windows=WINDOWS,
        model=dataclasses.replace(preset("langevin"), rollout_steps=3),
        epochs=1,
        batch_size=8,
        run_directory=str(tmp_path / "first"),
    )
    first, _ = loop.fit(config, mixed_data)
    drift = rollout_layer(first).head.coefficients
    drift.kernel.assign(2 * drift.kernel)
    first.save_weights(next((tmp_path / "first").rglob("*.weights.h5")))
    again = dataclasses.replace(
        config, initial_weights=config.run_directory, run_directory=str(tmp_path / "second"), seed=1
    )
    second, _ = loop.fit(again, mixed_data)
    np.testing.assert_array_equal(rollout_layer(second).head.coefficients.kernel, drift.kernel)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "frozen"),
    [
        ("kinematic", {"cell", "acceleration"}),
        ("verlet", {"force"}),
    ],
    ids=["kinematic", "verlet"],
)
def test_calibration_trains_the_spread_over_whole_rollouts_and_leaves_the_motion(mixed_data, tmp_path, head, frozen):
    config = TrainConfig(
        windows=WINDOWS,
        model=dataclasses.replace(SMALL, head=head, interaction="none", num_components=2),
        curriculum=(1, 1),
        calibration_epochs=1,
        epochs=2,
        batch_size=8,
        run_directory=str(tmp_path / "run"),
    )
    strategy = tf.distribute.MirroredStrategy(loop.visible_devices())
    model = loop.new_model(config, Manifest.load(mixed_data), (1.0, 1.0), strategy)
    kept = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            kept.append((rollout_layer(model).training_steps, {w.path: w.numpy() for w in model.weights}))

    loop.run_epochs(model, config, mixed_data, 0, [Watch()])
    (first, _), (second, before) = kept
    assert (first, second) == (1, 3)
    parts = {w.path: w.path.split("/")[2 if "/head/" in w.path else 1] for w in model.weights}
    changed = {parts[w.path] for w in model.weights if not np.array_equal(w.numpy(), before[w.path])}
    assert changed == set(parts.values()) - frozen and {"scale", "mixture"} <= changed
    assert len(model.trainable_weights) == len(model.weights)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
@pytest.mark.slow
def test_a_run_begins_with_the_best_weights_and_the_scales_of_another(mixed_data, write_dataset, tmp_path):
    settings = {
        "windows": WINDOWS,
        "model": dataclasses.replace(SMALL, head="kinematic", interaction="none"),
        "batch_size": 8,
    }
    first = TrainConfig(**settings, data=str(mixed_data), epochs=2, run_directory=str(tmp_path / "first"))
    best, _ = loop.fit(first, mixed_data)
    faster = [2 * np.load(mixed_data / "train" / file) for file in ("00000.npy", "00001.npy")]
    other_data = write_dataset({"train": faster, "validation": faster[:1]}, name="faster")
    second = dataclasses.replace(
        first,
        windows=dataclasses.replace(WINDOWS, rollout_steps=2),
        curriculum=(1,),
        model=dataclasses.replace(first.model, softening=0.5),
        initial_weights=str(tmp_path / "first"),
        learning_rate=1e-30,
        epochs=1,
        run_directory=str(tmp_path / "second"),
    )
    assert motion_scales(other_data, second) != motion_scales(mixed_data, first)
    begun, run = loop.fit(second, other_data)
    assert begun.optimizer.iterations == 3  # its own alone
    for old, new in zip(best.get_weights(), begun.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    old_cell, new_cell = (rollout_layer(model).cell for model in (best, begun))
    assert old_cell.velocity_scale == new_cell.velocity_scale
    assert run.scales() == motion_scales(mixed_data, first)
    shutil.rmtree(tmp_path / "first")  # a run that has begun does not need the other any more
    _, run = loop.fit(second, other_data)
    assert len(run.epochs) == 1


def test_data_of_an_unusual_scale_are_warned_of_before_training(
    write_dataset, random_trajectory, tmp_path, capsys, monkeypatch
):
    heavy = random_trajectory() * np.float32([1, 1, 5e3])
    directory = write_dataset({"train": [heavy], "validation": [heavy]})
    config = TrainConfig(windows=WINDOWS, model=SMALL, run_directory=str(tmp_path / "run"))
    monkeypatch.setattr(loop, "new_model", unittest.mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        loop.fit(config, directory)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ") and "feature 'mass' reaches 6" in line


REPLICAS = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
from pathlib import Path
from pipelines import dataset
from pipelines.config import DataConfig
from socialmd_tf.config import ModelConfig, from_dict
from socialmd_tf.model import build_model
from socialmd_tf.training import loop
from socialmd_tf.training.sample_weights import with_sample_weights

directory, windows, model_config = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
windows, model_config = from_dict(DataConfig, windows), from_dict(ModelConfig, model_config)
assert len(loop.visible_devices()) == 2

def train(devices, batch_size):
    keras.utils.set_random_seed(0)
    with tf.distribute.MirroredStrategy(devices).scope():
        model = build_model(model_config)
        loop.compile_for_training(model, 0.01)
    losses = []
    for epoch in range(2):
        data = dataset.batches(directory, "train", windows, batch_size=batch_size, seed=0, shuffle=True,
                               first_epoch=epoch, num_epochs=epoch + 1)
        model.fit(with_sample_weights(data, len(devices)), shuffle=False, verbose=0)
        whole = dataset.batches(directory, "train", windows, batch_size=32, seed=0, shuffle=False)
        losses.append(model.evaluate(with_sample_weights(whole), verbose=0))
    return losses, [np.asarray(weight).tolist() for weight in model.get_weights()]

print(json.dumps([[train(loop.visible_devices()[:number], size) for number in (1, 2)] for size in (8, 5)]))
"""


@pytest.mark.slow
def test_two_replicas_learn_what_one_learns_also_from_uneven_batches(mixed_data):
    """Batches of 8; and of 5, the last of 1: filled up, a share of one sample and one of padding only."""
    settings = [json.dumps(to_dict(config)) for config in (WINDOWS, SMALL)]
    command = [sys.executable, "-c", REPLICAS, str(mixed_data), *settings]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    for one, two in json.loads(result.stdout.splitlines()[-1]):
        np.testing.assert_allclose(two[0], one[0], rtol=1e-4)
        for weights, expected in zip(two[1], one[1], strict=True):
            np.testing.assert_allclose(weights, expected, rtol=1e-3, atol=1e-4)
