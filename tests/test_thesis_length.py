"""The trainings of docs/experiments/thesis_length.sh, and what thesis_length.py makes of them."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "experiments" / "thesis_length.sh"
TINY = (
    "--rotations",
    "1",
    "--subsample-phases",
    "1",
    "--subsample",
    "1",
    "--warm-up-steps",
    "3",
    "--rollout-steps",
    "2",
)


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("thesis_length", SCRIPT.with_suffix(".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_run(directory, name, val_losses, planned, test=None):
    """A run of which `val_losses` are finished epochs."""
    run = directory / name
    run.mkdir(parents=True)
    rows = [f"{epoch},{loss},0.5,{loss},0.{epoch}" for epoch, loss in enumerate(val_losses, 1)]
    (run / "history.csv").write_text("\n".join(["epoch,loss,mae,val_loss,val_mae", *rows]))
    (run / "config.json").write_text(json.dumps({"epochs": planned}))
    if test is not None:
        result = {"nll": test, "mae": 0.25, "median_ae": 0.125, "coverage_50": 0.5, "coverage_90": 0.875}
        errors = {"nll_standard_error": 0.5, "mae_standard_error": 0.0625}
        (run / "metrics.json").write_text(json.dumps({"model": name, "predictors": {name: result | errors}}))


def test_tables_of_runs_and_of_seeds(tables, tmp_path, monkeypatch, capsys):
    write_run(tmp_path, "thesis-seed-0", [3.0, 1.0, 2.0], 3, test=4.0)
    write_run(tmp_path, "thesis-seed-1", [5.0, 4.0, 3.0], 3, test=6.0)
    write_run(tmp_path, "thesis-seed-2", [5.0], 3)
    write_run(tmp_path, "lstm-seed-0", [-1.0], 1, test=0.5)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "thesis-seed-0.log").write_text(
        "epoch 1 of 3, batch 2 of 4, 10 s: loss 3\nepoch 1 of 3, done, 40 s: loss 3\nepoch 2 of 3, done, 50 s: loss 1\n"
    )
    monkeypatch.setattr(sys, "argv", ["", "--runs", str(tmp_path), "--picture", str(tmp_path / "picture.png")])
    tables.main()
    rows = {tuple(line.split(" | ")[:3]): line for line in capsys.readouterr().out.splitlines() if line}
    named = {key: line.split(" | ") for key, line in rows.items()}
    first = named["| `thesis`", "four stacked grids, one Gaussian", "0"]
    assert first[3:10] == ["3", "2", "1.50", "1.000", "0.2000", "4.000 ± 0.500", "0.2500 ± 0.0625"]
    assert named["| `thesis`", "four stacked grids, one Gaussian", "2"][3] == "1 of 3"
    # Means of 1 and 3, and of 4 and 6; s = sqrt(2), standard error 1. The run that has not finished does not count.
    over_seeds = next(line for key, line in named.items() if key[:2] == ("| `thesis`", "2"))
    assert over_seeds[2:5:2] == ["2.000 ± 1.000", "5.000 ± 1.000"]
    assert over_seeds[6] == "50.0 ± 0.0 %"
    alone = next(line for key, line in named.items() if key[:2] == ("| `lstm`", "1"))
    assert alone[2:5] == ["-1.000", "0.1000", "0.500"]
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def run_script(*arguments, directory):
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(SCRIPT.parents[2]), "MPLBACKEND": "agg"}
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_unknown_arguments_are_refused(tmp_path):
    for arguments in (["--epoch", "3"], ["thesis"]):
        found = run_script(*arguments, directory=tmp_path)
        assert found.returncode == 2
        assert "--presets thesis --seeds 0" in found.stdout
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_training_is_resumed_and_a_finished_one_skipped(
    tmp_path, random_trajectory, write_dataset, tables, monkeypatch
):
    splits = {"train": range(3), "validation": [3], "test": [4]}
    data = write_dataset({split: [random_trajectory(seed=s) for s in seeds] for split, seeds in splits.items()})
    network = ["--model.units", "4", "--model.filters", "4", "--model.bins", "8"]

    def train(epochs, *presets):
        chosen = ["--presets", *presets, "--seeds", "1", "--data", str(data), "--epochs", epochs]
        found = run_script(*chosen, "--", *TINY, *network, "--curriculum", "1", directory=tmp_path)
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    assert "epoch 2 of 2, done" in train("2", "lstm", "filters-2x2")
    assert "continuing runs/thesis-length/lstm-seed-1 after epoch 2" in train("3", "lstm")
    assert train("3", "lstm") == "lstm-seed-1: finished already\n"
    runs = tmp_path / "runs" / "thesis-length"
    config = json.loads((runs / "filters-2x2-seed-1" / "config.json").read_text())
    assert (config["model"]["kernel_size"], config["seed"], config["decay"]) == (2, 1, "cosine")
    assert json.loads((runs / "lstm-seed-1" / "finished.json").read_text())["split"] == "test"
    assert "epoch 3 of 3, done" in (runs / "logs" / "lstm-seed-1.log").read_text()
    monkeypatch.setattr(sys, "argv", ["", "--runs", str(runs), "--picture", str(tmp_path / "picture.png")])
    tables.main()
