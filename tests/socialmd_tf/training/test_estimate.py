import dataclasses
import itertools
import types

import numpy as np
import pytest

from pipelines import dataset
from socialmd_tf.config import TrainConfig
from socialmd_tf.training import estimate
from tests.socialmd_tf.training.small import ALONE, WINDOWS

CONFIG = TrainConfig(windows=WINDOWS, model=ALONE, epochs=7, batch_size=4)


@pytest.fixture
def tick(monkeypatch):
    """Let the clock show some seconds more at each reading, that is, after each batch."""

    def tick(seconds):
        clock = types.SimpleNamespace(monotonic=itertools.count(0.0, seconds).__next__)
        monkeypatch.setattr(estimate, "time", clock)

    return tick


def num_batches(directory, split):
    return -(-dataset.num_windows(directory, split, WINDOWS) // CONFIG.batch_size)


@pytest.mark.slow
def test_epochs_take_as_long_as_their_batches_the_first_one_and_their_checkpoints(mixed_data, tick):
    tick(1.0)
    seconds, num_timed = estimate._epochs(CONFIG, mixed_data, (1.0, 1.0), 3)
    expected = 7 * (num_batches(mixed_data, "train") + num_batches(mixed_data, "validation") / 3)
    assert num_timed == 5 and seconds == pytest.approx(1 + 7 * estimate._EPOCH + expected)


@pytest.mark.slow
def test_the_time_of_smaller_batches_counts_in_proportion(mixed_data, tick, monkeypatch):
    tick(1.0)
    whole, _ = estimate._epochs(CONFIG, mixed_data, (1.0, 1.0), 3)
    monkeypatch.setattr(estimate, "_MOST_PARTICLES", 2 * 3)
    half, _ = estimate._epochs(CONFIG, mixed_data, (1.0, 1.0), 3)
    beside = 1 + 7 * estimate._EPOCH
    assert half - beside == pytest.approx(2 * (whole - beside))


@pytest.mark.slow
def test_slow_batches_are_few(mixed_data, tick):
    tick(60.0)
    text = estimate.time_of_training(dataclasses.replace(CONFIG, epochs=1), mixed_data)
    batches = num_batches(mixed_data, "train") + num_batches(mixed_data, "validation") / 3
    assert text.startswith(f"about {1 + batches:.0f} minutes at most, by the speed of 1 batch; then export")


@pytest.mark.slow
def test_the_fit_is_a_range(write_dataset):
    generator = np.random.default_rng(0)
    angles = generator.uniform(0, 6, (3, 1, 3)) + 0.1 * np.arange(20)[:, None]
    frames = np.stack([np.cos(angles), np.sin(angles), np.ones_like(angles)], axis=-1).astype(np.float32)
    data = write_dataset({"train": frames[:2], "validation": frames[2:]})
    config = dataclasses.replace(TrainConfig.of_preset("forces"), windows=WINDOWS)
    text = estimate.time_of_training(config, data)
    assert "minute" in text and "by the speed of some batches and of the parts of the fit" in text


def test_no_time_is_invented_for_a_fit_to_very_many_particles(write_dataset, random_trajectory, monkeypatch):
    walk = random_trajectory(num_particles=5)
    data = write_dataset({"train": [walk], "validation": [walk]})
    monkeypatch.setattr(estimate, "_FIT_PARTICLES", 4)
    config = dataclasses.replace(TrainConfig.of_preset("forces"), windows=WINDOWS)
    assert estimate.time_of_training(config, data).startswith("not estimated for 5 particles")
