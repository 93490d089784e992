import dataclasses
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pipelines.atomic_files import write_json
from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.laws.config import SpringsConfig
from pipelines.laws.dataset import write_dataset
from pipelines.manifest import Manifest
from socialmd_tf.config import FitConfig, TrainConfig, to_dict
from socialmd_tf.export.model_card import model_card
from socialmd_tf.export.write import export
from socialmd_tf.model import rollout_layer
from socialmd_tf.train import parse
from socialmd_tf.training import law as law_module
from socialmd_tf.training import loop
from socialmd_tf.training.law import load_law
from socialmd_tf.training.run import Run

SPRINGS = SpringsConfig(
    num_train=8, num_validation=4, num_test=4, num_particles=4, num_dimensions=2, num_frames=16, friction=0.5
)
GAMMA = SPRINGS.friction * SPRINGS.time_step * SPRINGS.save_every


@pytest.fixture(scope="module")
def springs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("springs") / "data"
    write_dataset(SPRINGS, directory, command="test")
    return directory


def settings(directory, **changes):
    config = TrainConfig.of_preset("forces")
    windows = DataConfig(subsample=1, subsample_phases=1, warm_up_steps=4, rollout_steps=6, window_shift=6, rotations=0)
    return dataclasses.replace(
        config,
        windows=windows,
        model=dataclasses.replace(config.model, units=4, pair_units=4, pair_channels=2),
        fitting=FitConfig(knots=12),
        epochs=2,
        calibration_epochs=1,
        run_directory=str(directory),
        **changes,
    )


@pytest.fixture(scope="module")
def fitted(springs, tmp_path_factory):
    """A finished training: the model, the run and what was printed."""
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        model, run = loop.fit(settings(tmp_path_factory.mktemp("run") / "run"), springs)
    return model, run, lines


@pytest.mark.slow
def test_the_fit_is_the_first_epoch_and_the_others_leave_the_means_as_they_are(fitted):
    _, run, lines = fitted
    fit, calibration = run.epochs
    assert (fit["calibration"], calibration["calibration"]) == (0, 1)
    assert fit["val_mae"] < 1e-4
    assert calibration["val_mae"] == pytest.approx(fit["val_mae"], rel=1e-3)
    assert calibration["val_loss"] < fit["val_loss"]
    assert any(line.startswith("fitting forces") for line in lines)
    (gamma,) = re.findall(r"friction: 1_i: gamma (\S+) ", "\n".join(lines))
    assert float(gamma) == pytest.approx(GAMMA, rel=0.01)


@pytest.mark.slow
def test_what_was_found_is_kept(fitted):
    _, run, _ = fitted
    found = json.loads((run.directory / "law.json").read_text())
    assert set(found["found"]) == {"pairs: bonds of type 1", "friction: 1_i"}
    assert found["friction"]["friction: 1_i"]["gamma"] == pytest.approx(GAMMA, rel=1e-3)
    trials = {trial["name"]: trial for trial in found["trials"]}
    assert trials["friction: 1_i"]["is_kept"] and not trials["field: 1_i"]["is_kept"]
    curve = found["curves"]["pairs: bonds of type 1"]
    assert len(found["distances"]) == len(curve["force"]) == len(curve["standard_error"])
    assert (run.directory / "forces.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_weights_are_those_of_the_law(fitted):
    model, run, _ = fitted
    force, law = rollout_layer(model).head.force, load_law(run.directory)
    assert model.config.terms == law.terms and law.terms.num_bond_types == 1
    np.testing.assert_allclose(force.friction.gamma, law.arrays["friction"], rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(force.bonds.splines.coefficients) * force.acceleration_scale, law.arrays["bonds"], rtol=1e-5
    )


@pytest.mark.slow
def test_a_langevin_head_begins_with_the_fitted_mean_and_noise_and_keeps_the_law(tmp_path):
    data = tmp_path / "data"
    write_dataset(dataclasses.replace(SPRINGS, temperature=0.2), data, command="test")
    config = TrainConfig.of_preset("langevin")
    config = dataclasses.replace(
        config,
        windows=settings(tmp_path).windows,
        model=dataclasses.replace(config.model, force="basis", pair_units=4),
        fitting=FitConfig(terms=("bonds", "friction"), knots=8),
        epochs=3,
        run_directory=str(tmp_path / "run"),
    )
    model, run = loop.fit(config, data)
    head, law = rollout_layer(model).head, load_law(run.directory)
    assert (law.terms.num_bond_types, law.terms.fields, len(law.terms.frictions)) == (1, (), 1)
    np.testing.assert_allclose(head.force.friction.gamma, law.arrays["friction"], rtol=1e-6)
    scale = head.force.acceleration_scale
    np.testing.assert_allclose(head.force.bonds.splines.coefficients, law.arrays["bonds"] / scale, rtol=1e-5)
    # Normal noise of the fitted width: log(2 pi sigma^2) + 1 in 2D, where |x| has the mean sigma (2 / pi)^(1/2).
    error = json.loads((run.directory / "law.json").read_text())["validation_mae"]
    expected = np.log(2 * np.pi * (error * np.sqrt(np.pi / 2)) ** 2) + 1
    assert run.epochs[0]["val_loss"] == pytest.approx(expected, abs=0.2)
    assert run.epochs[-1]["val_loss"] < run.epochs[0]["val_loss"] + 0.2


@pytest.mark.slow
def test_a_run_that_was_killed_after_the_fit_does_not_fit_again(fitted, springs, tmp_path, monkeypatch):
    _, run, _ = fitted
    config = settings(tmp_path / "run")
    begun = Run(config)
    begun.begin(springs, Manifest.load(springs), run.scales)
    for name in ("law.json", "law.npz"):
        (tmp_path / "run" / name).write_bytes((run.directory / name).read_bytes())
    monkeypatch.setattr(law_module, "fit", None)  # calling it would fail
    _, resumed = loop.fit(config, springs)
    assert resumed.epochs[0]["val_mae"] == run.epochs[0]["val_mae"]


@pytest.mark.slow
def test_a_run_that_is_killed_after_the_fit_resumes_to_the_same_model(fitted, springs, tmp_path, capsys):
    unbroken, _, _ = fitted
    config = settings(tmp_path / "run", data=str(springs), export_directory=str(tmp_path / "saved"))
    write_json(tmp_path / "settings.json", to_dict(config))
    command = [sys.executable, "-m", "socialmd_tf.train", "--config", str(tmp_path / "settings.json")]
    found = tmp_path / "run" / "law.json"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not found.exists():
            assert process.poll() is None, process.stderr.read().decode()[-2000:]
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not list((tmp_path / "run").glob("checkpoints/[0-9]*"))
    fitted_at = found.stat().st_mtime_ns
    model, run = loop.fit(config, springs)
    assert found.stat().st_mtime_ns == fitted_at and "fitting forces to " not in capsys.readouterr().out
    assert len(run.epochs) == 2
    for weight, expected in zip(model.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_an_exported_law_is_fine_tuned_on_other_data_without_another_fit(fitted, springs, tmp_path, monkeypatch):
    """The spread is trained; the law stays the exported one, whose springs are those of the other data too."""
    model, run, _ = fitted
    card = model_card(run.config, model, Manifest.load(springs), run.state)
    exported = export(model, tmp_path / "saved", card, run.config.max_horizon)
    write_dataset(dataclasses.replace(SPRINGS, seed=1), tmp_path / "data", command="test")
    flags = ["--initial-model", exported, "--data", tmp_path / "data", "--run-directory", tmp_path / "run"]
    config = parse([str(flag) for flag in (*flags, "--epochs", 2, "--calibration-epochs", 1, "--subsample", 1)])
    assert config.windows == dataclasses.replace(run.config.windows, subsample_phases=config.windows.subsample_phases)
    monkeypatch.setattr(law_module, "fit", None)  # calling it would fail
    tuned, second = loop.fit(config, tmp_path / "data")
    assert tuned.config.terms == model.config.terms
    before, after = (rollout_layer(each).head for each in (model, tuned))
    for weight, expected in zip(after.force.get_weights(), before.force.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert not np.array_equal(after.scale.bias, before.scale.bias)
    start, end = second.epochs
    assert start["val_mae"] < 1e-4 and end["val_mae"] == pytest.approx(start["val_mae"], rel=1e-3)
    assert not (tmp_path / "run" / "law.json").exists()


@pytest.mark.slow
def test_another_run_can_begin_with_the_law_of_this_one(fitted, springs, tmp_path, monkeypatch):
    _, run, _ = fitted
    monkeypatch.setattr(law_module, "fit", None)
    config = dataclasses.replace(settings(tmp_path / "second"), fitting=FitConfig(), initial_weights=str(run.directory))
    model, second = loop.fit(config, springs)
    assert model.config.terms == load_law(run.directory).terms
    assert second.epochs[0]["val_loss"] == pytest.approx(run.epochs[-1]["val_loss"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "{}", '{"terms": {"num_knots": "many"}}'])
def test_a_damaged_law_is_named(fitted, tmp_path, content):
    _, run, _ = fitted
    (tmp_path / "law.npz").write_bytes((run.directory / "law.npz").read_bytes())
    (tmp_path / "law.json").write_text(content)
    with pytest.raises(UserError, match=r"law\.json"):
        load_law(tmp_path)


def test_terms_can_be_forced(springs, tmp_path, capsys):
    config = settings(tmp_path / "run")
    run = Run(dataclasses.replace(config, fitting=FitConfig(terms=("bonds",), knots=12)))
    run.directory.mkdir()
    terms = law_module.law_of_run(run, springs).terms
    assert (terms.num_bond_types, terms.pairs, terms.fields, terms.frictions) == (1, (), (), ())
    assert "friction" not in capsys.readouterr().out


@pytest.mark.slow_cases(all_but=["flags2-knots", "flags4-force_cutoff"])
@pytest.mark.parametrize(
    ("flags", "field"),
    [
        (["--terms", "field", "--rotations", "10"], "rotations"),
        (["--terms", "pairs", "pairs"], "terms"),
        (["--knots", "3"], "knots"),
        (["--terms", "pairs", "--initial-weights", "runs/first"], "initial-weights"),
        (["--force-cutoff", "-1"], "force_cutoff"),
        (["--calibration-epochs", "9"], "calibration_epochs"),
    ],
)
def test_choices_that_cannot_be_are_refused_in_one_line(flags, field):
    command = [sys.executable, "-m", "socialmd_tf.train", "--preset", "forces", *flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.strip().splitlines()
    assert field.replace("_", "-") in line or field in line
