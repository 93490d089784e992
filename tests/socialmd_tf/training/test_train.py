import dataclasses
import json
import unittest.mock
from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.output_directory import DirectoryLock
from socialmd_tf.config import TrainConfig, to_dict
from socialmd_tf.training import train as training
from socialmd_tf.training.run import Run
from tests.socialmd_tf.training.small import SMALL, WINDOWS, linear_model


@pytest.fixture
def config(tmp_path, write_dataset, random_trajectory):
    """A run whose only epoch is done, on a dataset with a test split."""
    trajectory = random_trajectory()
    data = write_dataset({split: [trajectory] for split in ("train", "validation", "test")})
    config = TrainConfig(
        data=str(data),
        windows=WINDOWS,
        model=SMALL,
        epochs=1,
        run_directory=str(tmp_path / "run"),
        export_directory=str(tmp_path / "models" / "small"),
    )
    run = Run(config)
    run.begin(data, Manifest.load(data), lambda: (1.0, 1.0))
    run.save_epoch(linear_model(), {"val_loss": 1.5})
    return config


@pytest.fixture(autouse=True)
def steps(monkeypatch):
    """Record the steps of a training instead of doing them."""
    steps = []

    def fit(config, directory, team):
        run = Run(config)
        run.begin(directory, Manifest.load(directory), lambda: (1.0, 1.0))
        model = linear_model()
        model.config = config.model
        return model, run

    def export(model, directory, card, max_horizon):
        version = Path(directory) / str(len(list(Path(directory).glob("[0-9]*"))) + 1)
        (version / "assets.extra").mkdir(parents=True)
        text = json.dumps({**card, "model": to_dict(model.config), "max_horizon": max_horizon, "metrics": {"mae": 1.0}})
        (version / "assets.extra" / "model_card.json").write_text(text)
        steps.append(f"export {version.parent.name}/{version.name}")
        return version

    def evaluate(run, path, split):
        steps.append(f"evaluate {path.parent.name}/{path.name} on {split}")
        (run.directory / "report.md").write_text(split)
        metrics = {"model": path.parent.name, "predictors": {path.parent.name: {"mae": 1.0}}}
        (run.directory / "metrics.json").write_text(json.dumps(metrics))

    monkeypatch.setattr(training.loop, "fit", fit)
    monkeypatch.setattr(training, "export", export)
    monkeypatch.setattr(training, "_write_report", evaluate)
    return steps


def test_the_result_names_run_model_split_and_metrics(config):
    result = training.train(config)
    assert result.run_directory == Path(config.run_directory)
    assert result.model == Path(config.export_directory) / "1"
    assert (result.split, result.metrics) == ("validation", {"mae": 1.0})


def test_only_a_configuration_is_taken(config):
    with pytest.raises(UserError, match="`config` must be a `TrainConfig`"):
        training.train(to_dict(config))


def test_what_is_done_is_not_done_again(config, steps):
    first = training.train(config)
    assert training.train(config) == first
    assert steps == ["export small/1", "evaluate small/1 on validation"]


def test_data_that_change_during_the_training_are_refused(config, steps, monkeypatch):
    fit = training.loop.fit

    def fit_meanwhile(*arguments):
        fitted = fit(*arguments)
        file = next(Path(config.data, "train").glob("*.npy"))
        file.write_bytes(file.read_bytes()[:-4] + b"abcd")
        return fitted

    monkeypatch.setattr(training.loop, "fit", fit_meanwhile)
    with pytest.raises(UserError, match=r"has changed since the run .* train/.* has changed"):
        training.train(config)
    assert steps == []


def test_a_relative_export_directory_is_the_same(config, steps, tmp_path, monkeypatch):
    training.train(config)
    monkeypatch.chdir(tmp_path)
    training.train(dataclasses.replace(config, export_directory="models/small"))
    assert len(steps) == 2


def test_a_kill_between_export_and_report_exports_once(config, steps, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training, "_write_report", unittest.mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            training.train(config)
    training.train(config)
    assert steps == ["export small/1", "evaluate small/1 on validation"]


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"max_horizon": 50}, "small/2"),
        ({"export_directory": "other"}, "other/1"),
        ({"model": dataclasses.replace(SMALL, substeps=9)}, "small/2"),
    ],
)
def test_changes_of_a_finished_run_take_effect(config, steps, tmp_path, changes, version):
    training.train(config)
    changes = {name: str(tmp_path / value) if value == "other" else value for name, value in changes.items()}
    for _ in range(2):
        training.train(dataclasses.replace(config, **changes))
    assert steps[2:] == [f"export {version}", f"evaluate {version} on validation"]


def test_a_model_that_was_removed_is_exported_again(config, steps):
    model = training.train(config).model
    (model / "assets.extra" / "model_card.json").unlink()
    (model / "assets.extra").rmdir()
    model.rmdir()
    training.train(config)
    assert steps[2:] == ["export small/1"]


def test_final_evaluates_the_test_split_and_the_run_counts_it(config, steps, capsys):
    training.train(config)
    count_file = Path(config.run_directory) / "test_evaluations.json"
    assert not count_file.exists()
    final = dataclasses.replace(config, final=True)
    for _ in range(2):  # the second time nothing is evaluated
        training.train(final)
    assert len(json.loads(count_file.read_text())) == 1
    training.train(config)
    training.train(final)
    assert len(json.loads(count_file.read_text())) == 2
    assert "evaluation 2 of the test split" in capsys.readouterr().out
    assert steps == ["export small/1", *(f"evaluate small/1 on {split}" for split in ("validation", "test") * 2)]


def test_a_test_evaluation_that_was_killed_counts(config, monkeypatch):
    monkeypatch.setattr(training, "_write_report", unittest.mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        training.train(dataclasses.replace(config, final=True))
    assert len(json.loads((Path(config.run_directory) / "test_evaluations.json").read_text())) == 1


def test_final_without_a_test_split_is_refused_before_training(config, steps):
    manifest = Manifest.load(Path(config.data))
    dataclasses.replace(manifest, splits={**manifest.splits, "test": ()}).save(Path(config.data))
    with pytest.raises(UserError, match="`final` needs a test split"):
        training.train(dataclasses.replace(config, final=True))
    assert steps == []


def test_versions_that_are_not_ours_are_left_alone(config, steps):
    foreign = Path(config.export_directory) / "1"
    foreign.mkdir(parents=True)
    training.train(config)
    assert steps[0] == "export small/2" and list(foreign.iterdir()) == []


def test_a_run_that_is_in_use_is_refused_and_a_kill_frees_it(config, steps):
    with DirectoryLock(Path(config.run_directory)), pytest.raises(UserError, match="in use by process"):
        training.train(config)
    (Path(config.run_directory) / ".lock").touch()  # what a killed process leaves
    training.train(config)
    assert len(steps) == 2


@pytest.mark.parametrize("name", ["run_directory", "export_directory"])
def test_a_directory_inside_a_file_is_refused_before_training(config, steps, name):
    changed = dataclasses.replace(config, **{name: f"{config.data}/dataset.json/inside"})
    with pytest.raises(UserError, match=f"`{name}` must be a directory or inside one"):
        training.train(changed)
    assert steps == []
