import dataclasses
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.description import describe
from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, ModelConfig, TrainConfig, to_dict
from socialmd_tf.config.advice import advise
from socialmd_tf.train import PROG, parse, suggestion


def test_help_says_what_every_flag_is_without_tensorflow():
    script = (
        "import sys; from socialmd_tf.train import main\n"
        "sys.argv = ['train', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for flag in (
        "--config",
        "--data",
        "--preset",
        "--run-directory",
        "--export-directory",
        "--epochs",
        "--batch-size",
        "--seed",
        "--rotations",
        "--model.units",
    ):
        assert flag in result.stdout


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_its_model(preset):
    config = parse(["--preset", preset])
    assert config == TrainConfig.of_preset(preset)
    assert config.model == PRESETS[preset]


def test_flags_change_single_settings_of_a_preset():
    config = parse(["--preset=thesis-mixture", "--model.units", "64", "--rotations", "2"])
    assert config.model == dataclasses.replace(PRESETS["thesis-mixture"], units=64)
    assert config.windows == DataConfig(rotations=2)


def test_a_config_file_is_the_same_as_its_flags_and_flags_override_it(tmp_path):
    given = parse(["--preset=thesis-mixture", "--epochs=3", "--model.side-lengths", "4.0", "2.0", "--seed=9"])
    path = tmp_path / "run.json"
    path.write_text(json.dumps(to_dict(given)))
    assert to_dict(parse(["--config", str(path)])) == {**to_dict(given), "config": str(path)}
    changed = parse([f"--config={path}", "--epochs", "5", "--model.units", "16"])
    expected = dataclasses.replace(given, config=str(path), epochs=5, model=dataclasses.replace(given.model, units=16))
    assert to_dict(changed) == to_dict(expected)


def test_a_part_of_a_model_changes_only_that_part(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"preset": "thesis-mixture", "model": {"units": 16}}')
    config = parse(["--config", str(path)])
    assert config.model == dataclasses.replace(PRESETS["thesis-mixture"], units=16)
    # Another preset by flag fills in the whole model anew.
    assert parse(["--config", str(path), "--preset", "thesis"]).model == ModelConfig()


def test_without_a_preset_the_data_choose_as_check_does(write_dataset, random_trajectory, tmp_path):
    straight = np.arange(60)[:, None, None] * np.float32([0.1, 0.1, 0]) + random_trajectory(num_frames=1)
    for frames, preset in ((straight, "forces"), (random_trajectory(num_frames=60), "langevin")):
        data = str(write_dataset({"train": [frames], "validation": [frames]}, name=preset))
        args = ["--data", data, "--epochs=3"]
        advice = suggestion(args)
        words = shlex.split(" ".join(advise(describe(Path(data))).words(Path(data), PROG)[1:]))
        assert advice.preset == preset
        assert parse(args, advice=advice) == parse([*words, "--epochs=3"])
    network = tmp_path / "network.json"
    network.write_text('{"model": {"units": 16}}')
    for chosen in (["--preset=thesis"], ["--config", str(network)], ["--initial-model", "m"], ["--initial-weights=r"]):
        assert suggestion([*args, *chosen]) is None
    network.write_text(json.dumps({"data": data, "seed": 7}))
    args = ["--config", str(network)]
    config = parse(args, advice=suggestion(args))
    assert (config.preset, config.seed, config.run_directory) == ("langevin", 7, "runs/langevin-langevin")


def test_what_cannot_be_trained_on_is_refused_at_once(write_dataset, random_trajectory):
    data = write_dataset({"train": [random_trajectory()]})
    with pytest.raises(UserError, match=f"{data}: training needs files in the splits train and validation"):
        suggestion([f"--data={data}"])


def test_faults_are_named_before_a_preset_is_chosen(write_dataset, random_trajectory):
    frames = random_trajectory()
    frames[7, 2, 0] = np.nan
    data = write_dataset({"train": [frames], "validation": [random_trajectory()]})
    with pytest.raises(UserError, match=r"train/00000.npy: frame 7, particle 2, column 0 \(x\): expected a finite"):
        suggestion([f"--data={data}"])
    with pytest.raises(UserError, match=r"dataset.json: a file; expected the directory of a dataset"):
        suggestion([f"--data={data}/dataset.json"])


def test_the_demo_fits_forces():
    config = parse(["--epochs=2"], advice=suggestion(["--epochs=2"]))
    assert config == dataclasses.replace(TrainConfig.of_preset("forces"), epochs=2, calibration_epochs=1)


def test_the_epochs_of_a_fitted_law_calibrate_after_the_first(tmp_path):
    assert parse(["--preset=forces", "--epochs=1"]).calibration_epochs == 0
    assert parse(["--preset=forces", "--epochs", "3", "--calibration-epochs=1"]).calibration_epochs == 1
    path = tmp_path / "run.json"
    path.write_text('{"preset": "forces", "epochs": 4}')
    assert parse(["--config", str(path)]).calibration_epochs == 3
    for wrong in ("0", "two"):
        with pytest.raises(UserError, match="epochs"):
            parse(["--preset=forces", f"--epochs={wrong}"])


def test_a_flag_without_value_is_refused():
    for args in (["--preset"], ["--config"], ["--epochs"]):
        with pytest.raises(UserError):
            parse(args)


def test_an_initial_model_sets_the_defaults(tmp_path):
    card = {
        "preset": "verlet",
        "model": to_dict(dataclasses.replace(PRESETS["verlet"], units=16, move_scale=0.5)),
        "windows": to_dict(DataConfig(rotations=1)),
        **{"num_dimensions": 2, "features": ["mass"], "length_unit": "1", "time_between_frames": 0.1},
    }
    for version, units in ((9, 8), (10, 16)):  # the newest counts
        extra = tmp_path / "models" / str(version) / "assets.extra"
        extra.mkdir(parents=True)
        (extra.parent / "saved_model.pb").touch()
        (extra / "model_card.json").write_text(json.dumps({**card, "model": {**card["model"], "units": units}}))
    flags = ["--initial-model", str(tmp_path / "models")]
    config = parse(flags)
    assert config.preset == "verlet" and to_dict(config.windows) == to_dict(DataConfig(rotations=1))
    assert config.model == dataclasses.replace(PRESETS["verlet"], units=16, move_scale=0.5)
    assert parse([*flags, "--model.softening=0.5", "--rotations=3"]).model.softening == 0.5
    assert parse([*flags, "--subsample=1"]).windows.subsample == 1  # as default phases of 1
    assert parse([*flags, "--preset=pairwise"]).model == PRESETS["pairwise"]
    (tmp_path / "settings.json").write_text('{"model": {"units": 4}, "epochs": 7}')
    config = parse([*flags, f"--config={tmp_path / 'settings.json'}"])
    assert (config.epochs, config.model.units, config.windows.rotations) == (7, 4, 1)
    with pytest.raises(UserError, match="`initial_model` must be absent with `initial_weights`"):
        parse([*flags, "--initial-weights=run"])


def test_settings_that_an_older_export_does_not_know_are_off(tmp_path):
    """Not as the preset has them: the weights were trained without."""
    settings = to_dict(PRESETS["forces"])
    assert settings.pop("growing_noise") and settings.pop("measurement_noise")
    known = {"num_dimensions": 2, "features": ["mass"], "length_unit": "1", "time_between_frames": 0.1}
    extra = tmp_path / "model" / "1" / "assets.extra"
    extra.mkdir(parents=True)
    (extra.parent / "saved_model.pb").touch()
    (extra / "model_card.json").write_text(json.dumps({"preset": "forces", "model": settings, **known}))
    config = parse(["--initial-model", str(tmp_path / "model")])
    assert config.preset == "forces"
    assert (config.model.growing_noise, config.model.measurement_noise) == (False, False)
