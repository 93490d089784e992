import dataclasses
import json
import math
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines import dataset
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig, to_dict
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.training import loop, optimizer

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)
SMALL = ModelConfig(
    num_features=1,
    rollout_steps=3,
    units=8,
    input_embedding=4,
    state_embedding=4,
    interaction_embedding=4,
    bins=8,
    filters=(2,),
    kernel_size=2,
    side_lengths=(4.0,),
)


@pytest.fixture
def mixed_data(write_dataset, random_trajectory):
    """Systems of three and four particles, 8 windows each."""
    trajectories = [random_trajectory(num_particles=number, seed=number) for number in (3, 4)]
    return write_dataset({"train": trajectories, "validation": trajectories[:1]})


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


@pytest.mark.parametrize("spoiled", [math.nan, math.inf, 1e30])
def test_a_gradient_that_overflows_changes_nothing(spoiled):
    weights = [keras.Variable(np.ones(2)), keras.Variable(np.ones(3))]
    steady = optimizer.SteadyNadam(0.1, global_clipnorm=1.0)
    steady.build(weights)
    steady.apply([np.zeros(2, "float32"), np.float32([0, spoiled, 0])], weights)
    assert all(np.array_equal(weight, np.ones(weight.shape)) for weight in weights)
    steady.apply([np.ones(2, "float32"), np.ones(3, "float32")], weights)
    plain = [keras.Variable(np.ones(2)), keras.Variable(np.ones(3))]
    reference = keras.optimizers.Nadam(0.1, global_clipnorm=1.0)
    reference.build(plain)
    for size in (0, 1):
        reference.apply([size * np.ones(2, "float32"), size * np.ones(3, "float32")], plain)
    for weight, wanted in zip(weights, plain, strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_what_is_dropped_out_depends_on_seed_and_epoch_alone():
    """Not on how much was dropped out before: a run that goes on at an epoch does as if it had never ended."""
    plain = build_model(dataclasses.replace(SMALL, cell="plain", interaction="none", output_layers=(16,), dropout=0.5))
    inputs = {
        "positions": tf.random.stateless_normal((1, 2, 3, 2), (0, 0)),
        "features": tf.ones((1, 3, 1)),
        "mask": tf.ones((1, 3)),
    }

    def predicted(seed, epoch):
        callback = optimizer.SeedDropout(seed)
        callback.set_model(plain)
        callback.on_epoch_begin(epoch)
        return plain(inputs, training=True).numpy()

    first = predicted(0, 1)
    others = [predicted(*chosen) for chosen in ((0, 2), (1, 1))]
    assert all((first != other).any() for other in others)
    np.testing.assert_array_equal(predicted(0, 1), first)


def test_sample_weights_average_one_and_leave_out_padding(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    weighted = loop.with_sample_weights(plain)
    assert len(weighted) == len(plain) == 4
    paddings = 0
    for (inputs, targets), (same, same_targets, weights) in zip(plain, weighted, strict=True):
        np.testing.assert_array_equal(same["positions"], inputs["positions"])
        np.testing.assert_array_equal(same_targets, targets)
        mask = inputs["mask"].numpy()
        assert weights.shape == targets.shape[:3]
        assert weights.numpy().mean() == pytest.approx(1.0, rel=1e-6)
        for step in range(3):
            np.testing.assert_array_equal(weights[:, step] > 0, mask > 0)
        assert np.ptp(weights.numpy()[weights.numpy() > 0]) == 0
        paddings += int((mask == 0).sum())
    assert paddings == 8  # one particle in every window of the smaller system


def test_sample_weights_leave_out_later_frames(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    for every, first in zip(loop.with_sample_weights(plain), loop.with_sample_weights(plain, num_steps=2), strict=True):
        np.testing.assert_allclose(first[2][:, :2], every[2][:, :2] * 3 / 2, rtol=1e-6)
        assert not np.any(first[2][:, 2:])
        np.testing.assert_array_equal(first[1], every[1])


def test_forced_batches_observe_all_frames_before_the_last_target(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    pairs = zip(loop.with_sample_weights(plain), loop.with_sample_weights(plain, num_steps=0), strict=True)
    for (inputs, targets, weights), (forced, same_targets, same_weights) in pairs:
        frames = np.concatenate([inputs["positions"], targets], axis=1)
        np.testing.assert_array_equal(forced["positions"], frames[:, :-1])
        np.testing.assert_array_equal(same_targets, targets)
        np.testing.assert_array_equal(same_weights, weights)


def test_batches_are_filled_up_to_even_shares(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    for (inputs, targets), (filled, _, weights) in zip(plain, loop.with_sample_weights(plain, 3), strict=True):
        size, whole = len(targets), -(-len(targets) // 3) * 3
        assert len(weights) == len(filled["positions"]) == whole
        np.testing.assert_array_equal(filled["positions"][:size], inputs["positions"])
        assert not np.any(filled["mask"][size:]) and not np.any(weights[size:])
        assert weights.numpy().mean() == pytest.approx(1.0, rel=1e-6)


def slow_gaussian_loss(parameters, targets, layout):
    """-log N of one particle and step."""
    difference = targets - np.asarray(layout.mean(parameters))
    covariance = np.asarray(layout.covariance(parameters), np.float64)
    square = difference @ np.linalg.inv(covariance) @ difference
    return 0.5 * (square + np.log(np.linalg.det(2 * np.pi * covariance)))


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
        found = model.evaluate(loop.with_sample_weights(plain, num_replicas), verbose=0, return_dict=True)
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


def test_a_curriculum_predicts_few_frames_first_and_judges_all(mixed_data, tmp_path):
    config = TrainConfig(
        windows=WINDOWS,
        model=SMALL,
        curriculum=(2, 2, 1, 0),
        epochs=5,
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
            judged = np.asarray(self.model(inputs))
            np.testing.assert_allclose(trained[:, :steps], judged[:, :steps], rtol=1e-5)
            np.testing.assert_array_equal(
                trained[:, steps:], np.repeat(trained[:, steps - 1 : steps], 3 - steps, axis=1)
            )

    inputs, _ = next(iter(dataset.batches(mixed_data, "train", WINDOWS, batch_size=1, seed=0, shuffle=False)))
    strategy = tf.distribute.MirroredStrategy(loop.visible_devices())
    model = loop.new_model(config, Manifest.load(mixed_data), (1.0, 1.0), strategy)
    history = loop.run_epochs(model, config, mixed_data, 0, [Watch()])
    assert lengths == [(0, 2), (1, 2), (2, 1), (3, 0), (4, 3)]
    assert len(history.history["loss"]) == len(history.history["val_loss"]) == 5
    assert history.epoch == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("head", "frozen"), [("kinematic", {"cell", "acceleration"}), ("verlet", {"force"})], ids=["kinematic", "verlet"]
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
def test_a_run_begins_with_the_best_weights_and_the_scales_of_another(mixed_data, tmp_path):
    settings = {"windows": WINDOWS, "model": dataclasses.replace(SMALL, head="kinematic"), "batch_size": 8}
    first = TrainConfig(**settings, data=str(mixed_data), epochs=2, run_directory=str(tmp_path / "first"))
    best, _ = loop.fit(first, mixed_data)
    second = dataclasses.replace(
        first,
        windows=dataclasses.replace(WINDOWS, subsample=1, rollout_steps=2),
        initial_weights=str(tmp_path / "first"),
        learning_rate=1e-30,
        epochs=1,
        run_directory=str(tmp_path / "second"),
    )
    assert loop.motion_scales(mixed_data, second) != loop.motion_scales(mixed_data, first)
    begun, _ = loop.fit(second, mixed_data)
    assert begun.optimizer.iterations == 5  # its own alone
    for old, new in zip(best.get_weights(), begun.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    old_cell, new_cell = (rollout_layer(model).cell for model in (best, begun))
    assert old_cell.velocity_scale == new_cell.velocity_scale
    scales = [json.loads((tmp_path / name / "scales.json").read_text()) for name in ("first", "second")]
    assert scales[0] == scales[1] == list(loop.motion_scales(mixed_data, first))
    shutil.rmtree(tmp_path / "first")  # a run that has begun needs the other no more
    _, state = loop.fit(dataclasses.replace(second, epochs=2), mixed_data)
    assert len(state.epochs) == 2


def test_the_learning_rate_falls_from_batch_to_batch(mixed_data, tmp_path):
    config = TrainConfig(
        windows=WINDOWS, model=SMALL, learning_rate=0.02, decay="cosine", epochs=2, batch_size=8, run_directory="run"
    )
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate.numpy()))

    model = loop.new_model(config, Manifest.load(mixed_data), (1.0, 1.0), tf.distribute.get_strategy())
    history = loop.run_epochs(model, config, mixed_data, 0, [Watch()])
    expected = [0.01 * (1 + math.cos(math.pi * batch / 4)) for batch in range(4)]
    assert rates == pytest.approx(expected)
    assert history.history["learning_rate"] == pytest.approx(expected[1::2])


def test_the_learning_rate_stays_or_falls_as_half_a_cosine():
    constant, falling = (TrainConfig(learning_rate=0.2, decay=decay, epochs=4) for decay in ("none", "cosine"))
    assert [optimizer.learning_rate(constant, epoch) for epoch in range(4)] == [0.2] * 4
    expected = [0.2, 0.1 + 0.1 / math.sqrt(2), 0.1, 0.1 - 0.1 / math.sqrt(2)]
    assert [optimizer.learning_rate(falling, epoch) for epoch in range(4)] == pytest.approx(expected)
    model = ModelConfig(head="kinematic")
    anew = TrainConfig(learning_rate=0.2, decay="cosine", epochs=5, calibration_epochs=2, model=model)
    assert [optimizer.learning_rate(anew, epoch) for epoch in range(5)] == pytest.approx([0.2, 0.15, 0.05, 0.2, 0.1])


REPLICAS = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
from pathlib import Path
from pipelines import dataset
from pipelines.config import DataConfig
from socialmd_tf import pace, training
from socialmd_tf.config import ModelConfig, from_dict
from socialmd_tf.model import build_model

directory, windows, model_config = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
windows, model_config = from_dict(DataConfig, windows), from_dict(ModelConfig, model_config)
assert len(training.visible_devices()) == 2

def train(devices, batch_size):
    keras.utils.set_random_seed(0)
    with tf.distribute.MirroredStrategy(devices).scope():
        model = build_model(model_config)
        training.compile_for_training(model, 0.01)
    losses = []
    for epoch in range(2):
        data = dataset.batches(directory, "train", windows, batch_size=batch_size, seed=0, shuffle=True,
                               first_epoch=epoch, num_epochs=epoch + 1)
        model.fit(training.with_sample_weights(data, len(devices)), shuffle=False, verbose=0)
        whole = dataset.batches(directory, "train", windows, batch_size=32, seed=0, shuffle=False)
        losses.append(model.evaluate(training.with_sample_weights(whole), verbose=0))
    return losses, [np.asarray(weight).tolist() for weight in model.get_weights()]

print(json.dumps([[train(training.visible_devices()[:number], size) for number in (1, 2)] for size in (8, 5)]))
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
