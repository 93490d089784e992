import dataclasses
import re
import types

import numpy as np
import pytest

from pipelines.config import DataConfig
from socialmd_tf.config import TrainConfig
from socialmd_tf.training import progress
from socialmd_tf.training.progress import BarProgress, PhaseNames, PlainProgress, TimeEstimate, header
from tests.socialmd_tf.training.small import SMALL, WINDOWS, linear_model


def fit_plainly(callback, epochs):
    data = np.ones((6, 2), np.float32), np.ones((6, 1), np.float32)
    linear_model().fit(
        *data, validation_data=data, batch_size=2, epochs=epochs, initial_epoch=1, verbose=0, callbacks=[callback]
    )


def test_one_line_per_epoch_where_epochs_are_short(capsys):
    fit_plainly(PlainProgress(7), 3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for number, line in zip((2, 3), lines, strict=True):
        assert re.fullmatch(rf"epoch {number} of 7, done, \d+ s: loss [\d.e-]+, val_loss [\d.e-]+", line)


@pytest.mark.slow
def test_a_line_every_few_seconds_where_epochs_are_long(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    fit_plainly(PlainProgress(2), 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", ")[1] for line in lines] == ["batch 1 of 3", "batch 2 of 3", "batch 3 of 3", "done"]


@pytest.mark.slow
def test_the_bar_counts_all_epochs_and_shows_losses_only(capsys):
    fit_plainly(BarProgress(7), 3)
    out = capsys.readouterr().out
    assert "Epoch 2/7" in out and "Epoch 3/7" in out and "/3\n" not in out.replace("3/3", "")
    assert "val_loss" in out and "learning_rate" not in out


def test_learning_rates_and_no_skipped_gradients_are_left_out():
    logs = {"loss": 0.0, "learning_rate": 1e-9, "skipped_gradients": 0}
    assert progress._shown(logs) == {"loss": 0.0}
    assert progress._shown({**logs, "skipped_gradients": 2}) == {"loss": 0.0, "skipped_gradients": 2}


def test_the_header_counts_windows_batches_and_phases(mixed_data):
    config = TrainConfig(windows=WINDOWS, model=SMALL, epochs=5, curriculum=(0, 1), batch_size=4, data=str(mixed_data))
    text = " ".join(" ".join(header(config, mixed_data)).split())
    phases = (
        "learning motion on single frames (epoch 1), learning motion on rollouts of 1 frame (epoch 2), learning motion "
        f"on rollouts of {WINDOWS.rollout_steps} frames (epochs 3 to 5)"
    )
    assert text.endswith(f"phases {phases}")
    batches = progress.num_batches(config, progress.dataset.num_windows(mixed_data, "train", WINDOWS))
    stream = progress.dataset.batches(mixed_data, "train", WINDOWS, batch_size=4, seed=0, shuffle=False)
    assert batches == len(stream) and f"up to 5 epochs of {batches} batches of 4 windows" in text


def test_phases_are_named_when_they_begin(capsys):
    config = dataclasses.replace(TrainConfig.of_preset("forces"), epochs=4, calibration_epochs=3)
    names = PhaseNames(config, 1)
    for epoch in range(1, config.epochs):
        names.on_epoch_begin(epoch)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("calibrating spread (epochs 2 to 4); ")
    assert "learning drift and noise (epochs 1 to 50)" in "".join(
        PhaseNames(TrainConfig.of_preset("langevin"), 0)._names.values()
    )


@pytest.mark.parametrize(
    ("seconds", "curriculum", "text"),
    [
        (1.0, (), "about 20 minutes at most until epoch 10, by the speed of 5 batches"),  # 10 epochs of 100 + 20 s
        (0.01, (), "less than a minute at most"),
        # Epochs of 10 and 5 + 5 frames in the time of one of 5 + 1: 100 s, and nine times 100 / 6 * (10 + 2) s.
        (1.0, (1,), "about 32 minutes at most"),
    ],
)
def test_the_time_is_that_of_the_first_batches(monkeypatch, capsys, seconds, curriculum, text):
    now = 0.0
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: now))
    windows = DataConfig(warm_up_steps=5, rollout_steps=5, rotations=0)
    estimate = TimeEstimate(TrainConfig(windows=windows, epochs=10, curriculum=curriculum), validation_batches=0.6)
    estimate.set_params({"steps": 100})
    estimate.on_epoch_begin(0)
    for batch in range(100):
        now += 100.0 if batch == 0 else seconds  # the first one builds the graph
        estimate.on_train_batch_end(batch)
    (line,) = capsys.readouterr().out.splitlines()
    assert text in line
