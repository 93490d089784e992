import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.training.run import Run
from tests.socialmd_tf.training.small import linear_model

# HDF5 files are written by Keras through an old NumPy interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SCALES = (0.5, 0.25)


@pytest.fixture
def open_run(tmp_path):
    """`Run` of a configuration with changes."""

    def open_run(**changes):
        settings = {"data": "data", "run_directory": str(tmp_path / "run"), "epochs": 10, "patience": 2, **changes}
        return Run(TrainConfig(**settings))

    return open_run


@pytest.fixture
def begin(open_run, mixed_data):
    """The same, begun on a dataset."""

    def begin(data=mixed_data, **changes):
        run = open_run(**changes)
        run.begin(data, Manifest.load(data), lambda: SCALES)
        return run

    return begin


def save(run, *losses, model=None):
    """Save an epoch per loss; the weights are the number of the epoch."""
    model = model or linear_model()
    for loss in losses:
        for weight in model.weights:
            weight.assign(np.full(weight.shape, len(run.epochs) + 1))
        run.save_epoch(model, {"loss": 1.0, "val_loss": loss})
    return model


def test_the_last_and_the_best_are_kept(begin):
    run = begin()
    save(run, 5.0, 3.0, 4.0)
    checkpoints = run.directory / "checkpoints"
    assert sorted(entry.name for entry in checkpoints.iterdir()) == ["0002", "0003"]
    save(run, 2.0)
    assert [entry.name for entry in checkpoints.iterdir()] == ["0004"]
    header, *rows = (run.directory / "history.csv").read_text().splitlines()
    assert header == "epoch,loss,val_loss"
    assert [[float(value) for value in row.split(",")] for row in rows] == [
        [entry["epoch"], entry["loss"], entry["val_loss"]] for entry in run.epochs
    ]


def test_the_best_weights_are_loaded_by_default(begin):
    model = save(begin(), 3.0, 4.0)
    run = begin()
    for epoch, value in ((None, 1), (1, 2), (0, 1)):
        run.load_weights(model, epoch)
        assert all(np.all(weight == value) for weight in model.get_weights())


def test_checkpoints_are_ordered_by_number(begin):
    """As text, 10000 comes before 9999."""
    run = begin(epochs=20_000)
    run.epochs.extend({"epoch": epoch + 1, "loss": 1.0, "val_loss": float(epoch)} for epoch in range(9998))
    save(run, -1.0, -2.0)
    (run.directory / "checkpoints" / "9999").mkdir()
    assert len(begin(epochs=20_000).epochs) == 10_000


def test_epochs_with_other_metrics_share_one_table(begin):
    run = begin()
    save(run, 3.0)
    run.save_epoch(linear_model(), {"loss": 1.0, "val_loss": 2.0, "more": 7.0})
    assert (run.directory / "history.csv").read_text() == "epoch,loss,val_loss,more\n1,1.0,3.0,\n2,1.0,2.0,7.0\n"


def test_weights_of_another_model_are_refused_in_one_line(begin):
    save(begin(), 3.0)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.Dense(1)])
    with pytest.raises(UserError, match=r"0001/model\.weights\.h5") as refused:
        begin().load_weights(other)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", None])
def test_damaged_weights_are_refused_and_an_earlier_epoch_can_be_resumed(begin, content):
    model = save(begin(), 3.0, 4.0)
    last = begin().checkpoint(1)
    weights = last / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:5000] if content is None else content)
    with pytest.raises(UserError) as refused:
        begin().load_weights(model, 1)
    assert str(weights) in str(refused.value) and f"delete {last}" in str(refused.value)
    assert "\n" not in str(refused.value)
    shutil.rmtree(last)
    run = begin()
    assert len(run.epochs) == 1
    run.load_weights(model)


@pytest.mark.parametrize("content", ["", "[{", "{}", "[]", "[1]", '[{"val_loss": "low"}]', None])
def test_a_damaged_state_is_refused(begin, content):
    save(begin(), 3.0)
    path = begin().checkpoint(0) / "state.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"0001/state\.json"):
        begin()


@pytest.mark.parametrize("file", ["config.json", "data.json", "scales.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "1", '{"epoch": 3, "files": {"a": 1}, "manifest": {}}'])
def test_damaged_files_of_a_run_are_refused(begin, file, content):
    path = begin().directory / file
    path.write_text(content)
    with pytest.raises(UserError, match=file) as refused:
        begin()
    assert "\n" not in str(refused.value)
    assert path.read_text() == content


def test_a_disk_that_is_full_loses_no_earlier_epoch(begin, monkeypatch):
    save(begin(), 3.0)
    run = begin()

    def fail(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("socialmd_tf.training.run.write_json", fail)
    with pytest.raises(OSError):
        save(run, 2.0)
    monkeypatch.undo()
    assert [entry.name for entry in (run.directory / "checkpoints").iterdir()] == ["0001"]
    assert len(begin().epochs) == 1


def test_some_settings_may_change_when_a_run_resumes(begin, open_run):
    run = begin()
    assert json.loads((run.directory / "config.json").read_text())["epochs"] == 10
    changes = {"epochs": 20, "patience": 9, "curriculum": (1, 2), "export_directory": "elsewhere", "final": True}
    begin(**changes, config="settings.json", unroll=True, model=ModelConfig(substeps=9))
    assert json.loads((run.directory / "config.json").read_text())["epochs"] == 20
    open_run(data="/elsewhere")  # only the content of a dataset counts


@pytest.mark.parametrize(
    ("changes", "setting", "there", "here"),
    [
        ({"learning_rate": 0.5}, "learning_rate", "0.001", "0.5"),
        ({"seed": 7}, "seed", "0", "7"),
        ({"windows": DataConfig(rotations=3)}, "windows.rotations", "10", "3"),
        ({"model": ModelConfig(side_lengths=(4.0,))}, "model.side_lengths", "[11.0, 5.5, 2.75, 1.375]", "[4.0]"),
        ({"model": ModelConfig(softening=0.5)}, "model.softening", "0.05", "0.5"),
        ({"monitor": "mae"}, "monitor", "'loss'", "'mae'"),
        ({"initial_weights": "other"}, "initial_weights", "None", "'other'"),
    ],
)
def test_a_run_of_another_configuration_is_refused(begin, open_run, changes, setting, there, here):
    begin()
    with pytest.raises(UserError) as refused:
        open_run(**changes)
    message = str(refused.value)
    assert f"`{setting}` is {there} there and {here} here" in message and "--run-directory" in message


def test_relative_and_absolute_paths_of_initial_weights_are_equal(begin, open_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin(initial_weights="first")
    open_run(initial_weights=str(tmp_path / "first"))
    with pytest.raises(UserError, match="`initial_weights`"):
        open_run(initial_weights="second")


def test_a_directory_of_something_else_is_refused(open_run, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="`run_directory` must be empty or hold a run"):
        open_run()
    assert [entry.name for entry in run.iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="`run_directory` must be a directory"):
        open_run(run_directory=str(run / "thesis.tex"))


def change_positions(data):
    path = data / "train" / "00000.npy"
    np.save(path, np.load(path) * np.float32(100))
    return r"train/00000\.npy has changed"


def change_manifest(**changes):
    def change(data):
        dataclasses.replace(Manifest.load(data), **changes).save(data)
        return f"`{next(iter(changes))}` is"

    return change


def remove_file(data):
    manifest = Manifest.load(data)
    splits = {**manifest.splits, "train": manifest.splits["train"][:1]}
    return change_manifest(splits=splits)(data)


@pytest.mark.parametrize(
    "change",
    [
        change_positions,
        remove_file,
        change_manifest(length_unit="km"),
        change_manifest(time_between_frames=7.0),
        change_manifest(features=("charge",)),
    ],
)
def test_a_run_whose_data_have_changed_is_refused(begin, mixed_data, change):
    directory = begin().directory
    before = {path: path.read_bytes() for path in directory.iterdir()}
    phrase = change(mixed_data)
    with pytest.raises(UserError, match=phrase) as refused:
        begin(epochs=20)
    assert "--run-directory" in str(refused.value)
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_a_moved_but_equal_dataset_is_the_same(begin, mixed_data, tmp_path):
    begin(data=mixed_data)
    moved = tmp_path / "moved"
    shutil.copytree(mixed_data, moved, copy_function=shutil.copyfile)
    dataclasses.replace(Manifest.load(moved), name="renamed", provenance={"seed": 9}).save(moved)
    begin(data=moved)
    assert json.loads((tmp_path / "run" / "data.json").read_text())["manifest"]["name"] == "renamed"


def test_the_scales_of_the_beginning_stay(begin, open_run, mixed_data):
    begin()
    scales = open_run().begin(mixed_data, Manifest.load(mixed_data), lambda: (7.0, 7.0))
    assert scales == open_run().scales() == SCALES


def test_a_refusal_while_scales_are_computed_writes_nothing(open_run, mixed_data):
    def refuse():
        raise UserError("no")

    run = open_run()
    with pytest.raises(UserError):
        run.begin(mixed_data, Manifest.load(mixed_data), refuse)
    assert not run.directory.exists()


def test_a_run_is_loaded_from_its_directory_wherever_that_is(begin, tmp_path):
    save(begin(seed=3, initial_weights="first"), 3.0)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    run = Run.load(tmp_path / "moved")
    assert (run.config.seed, len(run.epochs), run.scales()) == (3, 1, SCALES)
    assert run.data()["features"] == ["mass"]
    run.load_weights(linear_model())


def test_finished_means_this_model_on_this_split(begin):
    run = begin()
    assert not run.has_evaluated("models/1", "test")
    run.finish("models/1", "test")
    assert not run.has_evaluated("models/1", "test")  # the reports were removed
    for name in ("report.md", "metrics.json"):
        (run.directory / name).touch()
    assert begin().has_evaluated("models/1", "test")
    assert not run.has_evaluated("models/1", "validation") and not run.has_evaluated("models/2", "test")


def test_evaluations_of_the_test_split_are_counted(begin):
    assert [begin().count_test_evaluation() for _ in range(3)] == [1, 2, 3]
    assert len(json.loads((begin().directory / "test_evaluations.json").read_text())) == 3
