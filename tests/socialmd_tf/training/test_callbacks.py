import re

import keras
import numpy as np

from socialmd_tf.training import callbacks
from socialmd_tf.training.callbacks import PlainProgress


def fit(callback, epochs):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.ones((6, 2), np.float32), np.ones((6, 1), np.float32)
    model.fit(
        *data, validation_data=data, batch_size=2, epochs=epochs, initial_epoch=1, verbose=0, callbacks=[callback]
    )


def test_one_line_an_epoch_where_epochs_are_short(capsys):
    fit(PlainProgress(7), 3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for number, line in zip((2, 3), lines, strict=True):
        assert re.fullmatch(rf"epoch {number} of 7, done, \d+ s: loss \d+\.\d{{4}}, val_loss \d+\.\d{{4}}", line)


def test_a_line_every_few_seconds_where_epochs_are_long(capsys, monkeypatch):
    monkeypatch.setattr(callbacks, "_SECONDS", 0.0)
    fit(PlainProgress(2), 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", ")[1] for line in lines] == ["batch 1 of 3", "batch 2 of 3", "batch 3 of 3", "done"]
