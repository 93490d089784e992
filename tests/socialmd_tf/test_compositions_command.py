import csv
import dataclasses
import json
import sys

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.npy_files import save_trajectory
from socialmd_tf import commands
from socialmd_tf.compositions import main
from tests.socialmd_tf.evaluation.small_model import exported_model

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    splits = {"train": tuple(f"{number}.npy" for number in range(4)), "test": ("4.npy",)}
    for number in range(5):
        types = np.eye(2)[(np.arange(6) > number).astype(int)]
        path = generator.normal(size=(20, 6, 2)).cumsum(axis=0)
        save_trajectory(
            directory / f"{number}.npy",
            np.concatenate([path, np.broadcast_to(types, (20, 6, 2))], axis=-1).astype(np.float32),
        )
    Manifest("mixtures", 2, ("D", "B"), "nm", 0.1, splits, {}, time_unit="ps").save(directory)
    return directory


@pytest.fixture(scope="module")
def model(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("saved") / "small"
    return exported_model(directory, WINDOWS, dataclasses.replace(Manifest.load(data), provenance={})).path.parent


@pytest.fixture
def call(monkeypatch, capsys, model, data, tmp_path):
    """Run the command in this process -> exit status, stdout, stderr."""

    def call(*flags):
        usual = ["--model", str(model), "--data", str(data), "--output", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", ["compositions", *usual, *flags])
        with pytest.raises(SystemExit) as stop:
            commands.run(main)
        return stop.value.code, *capsys.readouterr()

    return call


def test_numbers_tables_and_a_picture_are_written(call, tmp_path):
    flags = ["--drug", "D", "--background", "B", "--fractions", "0.5", "0.8333", "--num-samples", "3"]
    status, out, _ = call(*flags)
    assert status == 0
    output = tmp_path / "out"
    assert sorted(path.name for path in output.iterdir()) == [
        f"compositions.{suffix}" for suffix in ("csv", "json", "md", "png")
    ]
    assert out == (output / "compositions.md").read_text()
    assert "D 0.8333: contacts of D and B" in out and "| contacts of the drug and the background" in out
    written = json.loads((output / "compositions.json").read_text())
    assert (written["num_steps"], written["duration"]) == (8, pytest.approx(1.6))  # 2, 4, ..., 18 of 20 frames
    rows = list(csv.DictReader((output / "compositions.csv").read_text().splitlines()))
    assert {row["source"] for row in rows} == {
        *("small", "composition_regression", "nearest_composition", "simulation_train", "simulation_unseen")
    }
    (ours,) = [
        row for row in rows if (row["source"], row["fraction"], row["statistic"]) == ("small", "0.5", "contacts_D_B")
    ]
    final = written["compositions"][0]["predictors"]["small"]["final"]["contacts_D_B"]
    assert float(ours["mean"]) == pytest.approx(final["mean"], rel=1e-5)
    assert float(ours["q95"]) == pytest.approx(final["quantiles"][4], rel=1e-5)
    assert ours["unit"] == "1" and (output / "compositions.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--drug", "X", "--background", "B"], ["--drug", "one of D, B", "'X'"]),
        (["--drug", "D", "--background", "D"], ["--background", "another type than the drug"]),
        (["--drug", "D", "--background", "B", "--num-samples", "1"], ["--num-samples", "at least 2"]),
        (["--drug", "D", "--background", "B", "--statistics", "radius"], ["--statistics", "'radius'"]),
        (["--drug", "D"], ["--background"]),
    ],
)
def test_mistakes_are_one_line_with_the_flag(call, tmp_path, flags, words):
    status, out, err = call(*flags)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1 and all(word in err for word in words), err
    assert not (tmp_path / "out").exists()
