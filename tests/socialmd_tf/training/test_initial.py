import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import TrainConfig, from_dict, to_dict
from socialmd_tf.export.model_card import CARD, model_card
from socialmd_tf.export.write import WEIGHTS
from socialmd_tf.model import build_model, for_data
from socialmd_tf.training import loop
from socialmd_tf.training.initial import initial_weights, settings_of_export
from socialmd_tf.training.run import Run
from socialmd_tf.training.state import RunState
from socialmd_tf.weights import save_weights
from tests.socialmd_tf.training.small import SMALL, WINDOWS, linear_model

CONFIG = TrainConfig(windows=WINDOWS, model=SMALL)
SCALES = (0.5, 0.25)


@pytest.fixture
def manifest(mixed_data):
    return Manifest.load(mixed_data)


@pytest.fixture
def run(tmp_path, mixed_data, manifest):
    """A run with one epoch, of no real model."""
    run = Run(dataclasses.replace(CONFIG, run_directory=str(tmp_path / "first")))
    run.begin(mixed_data, manifest, lambda: SCALES)
    run.save_epoch(linear_model(), {"val_loss": 1.0})
    return run


@pytest.fixture
def config(run):
    return dataclasses.replace(CONFIG, initial_weights=str(run.directory))


def test_new_weights_by_default(manifest):
    assert initial_weights(CONFIG, manifest) is None


def test_a_run_gives_its_weights_and_scales(run, config, manifest):
    initial = initial_weights(config, manifest)
    assert initial.scales == SCALES
    model = linear_model()
    model.layers[0].kernel.assign(model.layers[0].kernel + 1)
    initial.load(model)
    assert (model.layers[0].kernel.numpy() == linear_model().layers[0].kernel.numpy()).all()


@pytest.mark.parametrize(
    "changes",
    [{"softening": 0.5}, {"cutoff": 3.0}, {"substeps": 9}, {"step_fraction": 0.3}, {"scale_floor": 1e-6}],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_that_are_no_weights_may_differ(config, manifest, changes):
    changed = dataclasses.replace(config, curriculum=(1, 0), model=dataclasses.replace(SMALL, **changes))
    assert initial_weights(changed, manifest).scales == SCALES


@pytest.mark.parametrize("changes", [{"units": 7}, {"side_lengths": (5.0,)}, {"head": "kinematic"}])
def test_weights_of_another_model_are_refused(config, manifest, changes):
    ((name, value),) = changes.items()
    with pytest.raises(UserError) as refused:
        initial_weights(dataclasses.replace(config, model=dataclasses.replace(SMALL, **changes)), manifest)
    here = list(value) if isinstance(value, tuple) else value
    there = getattr(SMALL, name)
    there = list(there) if isinstance(there, tuple) else there
    assert f"`{name}` is {there!r} there and {here!r} here" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "phrases"),
    [
        ({"features": ("charge",)}, ("`features`", "['mass']", "['charge']")),
        ({"length_unit": "km"}, ("`length_unit`", "'1'", "'km'")),
        ({"num_dimensions": 3}, ("`num_dimensions`", "2", "3")),
        ({"time_between_frames": 0.05}, ("0.2", "0.1", "--subsample")),
    ],
)
def test_weights_of_other_data_are_refused(config, manifest, changes, phrases):
    with pytest.raises(UserError) as refused:
        initial_weights(config, dataclasses.replace(manifest, **changes))
    assert all(phrase in str(refused.value) for phrase in ("`initial_weights`", *phrases))


def test_weights_of_data_in_another_unit_of_time_are_refused(tmp_path, mixed_data, manifest):
    first = Run(dataclasses.replace(CONFIG, run_directory=str(tmp_path / "first")))
    first.begin(mixed_data, dataclasses.replace(manifest, time_unit="ps"), lambda: SCALES)
    first.save_epoch(linear_model(), {"val_loss": 1.0})
    config = dataclasses.replace(CONFIG, initial_weights=str(first.directory))
    assert initial_weights(config, dataclasses.replace(manifest, time_unit=None)) is not None
    with pytest.raises(UserError, match=r"`initial_weights` .* same `time_unit`.* 'ps', in the data 'ns'"):
        initial_weights(config, dataclasses.replace(manifest, time_unit="ns"))


def test_the_time_between_the_frames_that_the_model_sees_counts(config, manifest):
    """Every frame of data at 0.2 is every second one of data at 0.1."""
    windows = dataclasses.replace(WINDOWS, subsample=1)
    other = dataclasses.replace(manifest, time_between_frames=0.2)
    assert initial_weights(dataclasses.replace(config, windows=windows), other)


@pytest.mark.parametrize("file", ["config.json", "data.json", "scales.json"])
def test_damaged_runs_are_refused(run, config, manifest, file):
    (run.directory / file).write_text("{")
    with pytest.raises(UserError, match=file):
        initial_weights(config, manifest)


def test_a_run_without_a_finished_epoch_is_refused(tmp_path, manifest, mixed_data):
    first = dataclasses.replace(CONFIG, run_directory=str(tmp_path / "empty"))
    second = dataclasses.replace(CONFIG, initial_weights=first.run_directory)
    for _ in range(2):
        with pytest.raises(UserError, match="at least one finished epoch"):
            initial_weights(second, manifest)
        Run(first).begin(mixed_data, manifest, lambda: SCALES)


@pytest.fixture
def exported(tmp_path, manifest):
    """What fine-tuning reads of an exported model: card and weights."""
    version = tmp_path / "models" / "small" / "3"
    model = build_model(for_data(SMALL, manifest, WINDOWS, SCALES))
    save_weights(model, version / WEIGHTS)
    state = RunState([{"val_loss": 1.0}])
    card = {**model_card(CONFIG, model, manifest, state), "model": to_dict(model.config)}
    write_json(version / CARD, card)
    (version / "saved_model.pb").touch()
    return version, model


def test_an_exported_model_gives_its_weights_and_scales(exported, manifest):
    version, model = exported
    config = dataclasses.replace(CONFIG, initial_model=str(version.parent), seed=7)
    initial = initial_weights(config, manifest)
    assert initial.scales == SCALES
    begun = loop.new_model(config, manifest, initial.scales, tf.distribute.get_strategy(), initial)
    for weight, expected in zip(begun.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"model": dataclasses.replace(SMALL, units=7)}, "`units` is 8 there and 7 here"),
        ({"windows": dataclasses.replace(WINDOWS, subsample=4)}, "--subsample"),
    ],
)
def test_an_exported_model_with_other_settings_is_refused(exported, manifest, changes, phrase):
    config = dataclasses.replace(CONFIG, initial_model=str(exported[0]), **changes)
    with pytest.raises(UserError, match=phrase):
        initial_weights(config, manifest)
    other = dataclasses.replace(manifest, features=("charge",))
    with pytest.raises(UserError, match="`initial_model` must be trained on data with the same `features`"):
        initial_weights(dataclasses.replace(CONFIG, initial_model=str(exported[0])), other)


def test_the_settings_of_an_exported_model_rebuild_its_configuration(exported):
    settings = settings_of_export(exported[0].parent)
    config = from_dict(TrainConfig, settings)
    assert (config.model.units, config.windows.rollout_steps) == (SMALL.units, WINDOWS.rollout_steps)
    assert "subsample_phases" not in settings["windows"]


@pytest.mark.parametrize("content", ["{", "[]", '{"model": {}}'])
def test_a_damaged_card_is_refused(tmp_path, content):
    version = tmp_path / "model" / "1"
    (version / "assets.extra").mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"")
    card = version / "assets.extra" / "model_card.json"
    card.write_text(content)
    with pytest.raises(UserError, match=r"model_card\.json"):
        settings_of_export(tmp_path / "model")


def test_no_exported_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="`initial_model`"):
        settings_of_export(tmp_path)
