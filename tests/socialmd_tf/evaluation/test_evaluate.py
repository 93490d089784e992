import dataclasses
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from pipelines import dataset
from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.evaluation import evaluate, predictors
from socialmd_tf.export.saved_model import ExportedModel, export, model_card
from socialmd_tf.layers import DensityLayout
from socialmd_tf.model import build_model, for_data
from socialmd_tf.training.run import RunState

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=2)
SMALL = ModelConfig(
    units=8,
    input_embedding=4,
    state_embedding=4,
    interaction_embedding=4,
    bins=8,
    filters=(2,),
    kernel_size=2,
    side_lengths=(4.0,),
)
KEYS = {
    "nll",
    "nll_standard_error",
    "nll_per_move",
    "mean_move",
    "mae",
    "mae_standard_error",
    "median_ae",
    "ade",
    "fde",
    "mae_per_step",
    "nll_per_step",
    "coverage_50",
    "coverage_90",
    "coverage_50_per_step",
    "coverage_90_per_step",
    "calibration",
    "strata",
    "observables",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A writer of untrained models for two dimensions and one feature: name and windows -> `ExportedModel`."""
    directory = tmp_path_factory.mktemp("saved")

    def write(name, windows=WINDOWS):
        manifest = Manifest("tiny", 2, ("mass",), "1", 0.1, {}, {})
        config = TrainConfig(data="d", windows=windows, model=SMALL)
        keras.utils.set_random_seed(len(name))
        built = build_model(for_data(SMALL, manifest, windows, (1.0, 1.0)))
        card = model_card(config, built, manifest, RunState([{"epoch": 1, "val_loss": 1.0}]))
        return ExportedModel(export(built, directory / name, card))

    return write


@pytest.fixture(scope="module")
def model(saved):
    return saved("small")


@pytest.fixture
def data(write_dataset, random_trajectory):
    train = [random_trajectory(num_particles=3, seed=seed) for seed in (1, 2)]
    test = [random_trajectory(num_particles=number, seed=number) for number in (4, 3)]
    return write_dataset({"train": train, "validation": train[:0], "test": test})


def slow_windows(directory, split):
    """(observed, true) frames of every window, straight from the files."""
    for file in json.loads((directory / "dataset.json").read_text())["splits"][split]:
        frames = np.load(directory / file)[::2, :, :2].astype(np.float64)
        for start in range(0, len(frames) - 5 + 1, 2):
            yield frames[start : start + 2], frames[start + 2 : start + 5]


def slow_constant_velocity(directory, split):
    """Absolute errors and distances, window by window and step by step."""
    errors, distances = [], []
    for observed, true in slow_windows(directory, split):
        for step in range(3):
            predicted = observed[-1] + (step + 1) * (observed[-1] - observed[-2])
            errors.append((step, np.abs(predicted - true[step])))
            distances.append((step, np.sqrt(((predicted - true[step]) ** 2).sum(axis=-1))))
    return errors, distances


def all_of(values, step=None):
    return np.concatenate([value.ravel() for k, value in values if step in (None, k)])


def test_constant_velocity_is_judged_as_a_slow_loop_judges_it(model, data, tmp_path):
    results = evaluate.evaluate([model], data, "test", tmp_path / "out")
    found = results["constant_velocity"]
    errors, distances = slow_constant_velocity(data, "test")
    assert found["mae"] == pytest.approx(all_of(errors).mean(), rel=1e-5)
    assert found["median_ae"] == pytest.approx(np.median(all_of(errors)), rel=1e-5)
    assert found["mae_per_step"] == pytest.approx([all_of(errors, k).mean() for k in range(3)], rel=1e-5)
    assert found["ade"] == pytest.approx(all_of(distances).mean(), rel=1e-5)
    assert found["fde"] == pytest.approx(all_of(distances, 2).mean(), rel=1e-5)

    fitted = slow_constant_velocity(data, "train")[0]
    variances = [(all_of(fitted, k) ** 2).mean() for k in range(3)]
    nll = [error**2 / (2 * variances[k]) + 0.5 * np.log(2 * np.pi * variances[k]) for k, error in errors]
    assert found["nll"] == pytest.approx(np.concatenate([value.sum(axis=-1) for value in nll]).mean(), rel=1e-5)

    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (written["model"], written["data"], written["split"], written["num_windows"]) == (
        "small",
        "tiny",
        "test",
        16,
    )
    # Two observed frames give no acceleration.
    assert list(written["predictors"]) == ["small", "constant_position", "constant_velocity"]
    for name, numbers in written["predictors"].items():
        assert set(numbers) == KEYS
        assert numbers["mae"] == results[name]["mae"]
        assert numbers["observables"]["speed"] == results[name]["observables"]["speed"]
        assert len(numbers["mae_per_step"]) == 3


def test_the_model_is_judged_on_its_free_rollout(model, data, tmp_path):
    found = evaluate.evaluate([model], data, "test", tmp_path / "out")["small"]
    errors = []
    for observed, true in slow_windows(data, "test"):
        file = {3: "test/00001.npy", 4: "test/00000.npy"}[observed.shape[1]]
        features = np.load(data / file)[0, :, 2:]
        mean, _ = model.moments(observed[None], features[None], 3)
        errors.append(np.abs(mean[0] - true).ravel())
    assert found["mae"] == pytest.approx(np.concatenate(errors).mean(), rel=1e-4)
    report = (tmp_path / "out" / "report.md").read_text()
    assert "on the test split of" in report and "free rollout of 3 frames after 2" in report
    for name in ("small", "constant_position", "constant_velocity"):
        assert f"| {name}" in report
    row = next(line for line in report.splitlines() if line.startswith("| small "))
    assert float(row.split("|")[3].split("±")[0]) == pytest.approx(found["mae"], rel=1e-2)
    with Image.open(tmp_path / "out" / "paths.png") as picture:
        assert min(picture.size) > 500


def test_windows_are_judged_unturned(model):
    assert model.card["windows"]["rotations"] == 2
    assert evaluate.windows_of(model).rotations == 0


@pytest.mark.parametrize(
    ("num_dimensions", "features", "message"),
    [
        (3, ("mass",), "`num_dimensions` of the data must be those of the model, 2. Received: 3"),
        (
            2,
            ("mass", "charge"),
            "`features` of the data must be those of the model, ['mass']. Received: ['mass', 'charge']",
        ),
    ],
)
def test_data_of_another_kind_are_refused(model, num_dimensions, features, message):
    with pytest.raises(UserError) as raised:
        evaluate.check_data(model, Manifest("other", num_dimensions, features, "1", 0.1, {}, {}))
    assert str(raised.value) == message


def test_what_cannot_be_judged_is_refused(model, data, write_dataset, random_trajectory, tmp_path):
    lonely = write_dataset({"train": [], "test": [random_trajectory()]}, name="lonely")
    with pytest.raises(UserError, match="the baselines need a training split; found none"):
        evaluate.evaluate([model], lonely, "test", tmp_path / "out")
    with pytest.raises(UserError, match="`split` must be one of train, validation, test"):
        evaluate.evaluate([model], data, "holiday", tmp_path / "out")
    with pytest.raises(UserError, match="the split 'validation' is empty"):
        evaluate.evaluate([model], data, "validation", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="`output` must be a directory"):
        evaluate.evaluate([model], data, "test", tmp_path / "file")


def test_the_picture_shows_the_window_of_median_error(model, data, tmp_path, monkeypatch):
    """Of an even number of windows the lower of the two in the middle, without its padding."""
    drawn, written = [], []
    monkeypatch.setattr("socialmd_tf.report.plots.paths", lambda *args, **kwargs: drawn.append((args, kwargs)))
    monkeypatch.setattr("socialmd_tf.report.html_page.write", lambda *args, **kwargs: written.append((args, kwargs)))
    results = evaluate.evaluate([model], data, "test", tmp_path / "out")
    windows = evaluate.windows_of(model)
    judged = []
    for inputs, targets in dataset.batches(data, "test", windows, batch_size=1, seed=0, shuffle=False):
        real = inputs["mask"].numpy()[0] > 0
        parameters = model.density(inputs)[0][:, real]
        error = np.abs(np.asarray(model.layout.mean(parameters)) - targets[0].numpy()[:, real]).mean()
        judged.append((error, inputs["positions"][0].numpy()[:, real], parameters, targets[0].numpy()[:, real]))
    judged.sort(key=lambda window: window[0])
    error, positions, parameters, truth = judged[7]

    (((path, warm_up, mean, covariance), options),) = drawn
    assert path == tmp_path / "out" / "paths.png"
    np.testing.assert_array_equal(warm_up, positions)
    np.testing.assert_array_equal(options["truth"], truth)
    np.testing.assert_allclose(mean, model.layout.mean(parameters), atol=1e-4)
    np.testing.assert_allclose(covariance, model.layout.covariance(parameters), atol=1e-4)
    assert options["title"] == f"tiny, window of median error: 3 frames predicted from 2 (MAE {error:.3f})"

    (((path,), options),) = written
    assert path == tmp_path / "out" / "report.html"
    assert list(options["results"]) == list(results)
    shown = options["shown"]
    assert [window.label for window in shown[:3]] == ["best", "median", "worst"]
    assert [window.mae for window in shown[:3]] == pytest.approx([judged[i][0] for i in (0, 7, 15)], rel=1e-3)
    assert len(shown) == 8 and len({(window.trajectory, window.first_frame) for window in shown}) == 8
    for window in shown:
        file = data / f"test/{window.trajectory:05}.npy"
        frames = np.load(file)[..., :2]
        np.testing.assert_array_equal(window.truth[0], frames[window.first_frame])
        np.testing.assert_array_equal(window.warm_up[-1], frames[window.first_frame - window.stride])
        assert list(window.predictions) == list(results)
        assert {mean.shape for mean, _ in window.predictions.values()} == {window.truth.shape}


def test_what_is_in_the_registry_is_judged(model, data, tmp_path, monkeypatch):
    """One more entry is all it takes: it stands in the numbers, the comparisons, the report and the pictures."""

    class Origin:
        layout = DensityLayout(2, 1, False)

        def __call__(self, inputs):
            shape = (*inputs["mask"].shape, 2)
            moments = np.concatenate([np.zeros(shape), np.ones(shape)], axis=-1)
            return np.repeat(moments[:, None], 3, axis=1).astype("float32")

    monkeypatch.setitem(predictors.PREDICTORS, "origin", lambda setting: Origin())
    evaluate.evaluate([model], data, "test", tmp_path / "out")
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    true = np.concatenate([true.ravel() for _, true in slow_windows(data, "test")])
    assert written["predictors"]["origin"]["mae"] == pytest.approx(np.abs(true).mean(), rel=1e-5)
    assert ("small", "origin") in [(row["first"], row["second"]) for row in written["comparisons"]]
    assert "| origin " in (tmp_path / "out" / "report.md").read_text()


def test_a_cheat_makes_no_error(data, tmp_path, monkeypatch, model):
    """Who looks the truth up has no error, full coverage and the true statistics, in every stratum."""
    true = {observed.tobytes(): true for observed, true in slow_windows(data, "test")}

    class Cheat:
        layout = DensityLayout(2, 1, True)

        def __call__(self, inputs):
            mean = np.zeros((len(inputs["mask"]), 3, inputs["mask"].shape[1], 2))
            for window, mask in enumerate(inputs["mask"]):
                observed = inputs["positions"][window][:, mask > 0].astype(np.float64)
                mean[window][:, mask > 0] = true[observed.tobytes()]
            scales = np.broadcast_to([1e-4, 0.0, 1e-4], (*mean.shape[:-1], 3))
            return np.concatenate([mean, scales], axis=-1).astype("float32")

    monkeypatch.setitem(predictors.PREDICTORS, "cheat", lambda setting: Cheat())
    found = evaluate.evaluate([model], data, "test", tmp_path / "out")["cheat"]
    for name in ("mae", "mae_standard_error", "median_ae", "ade", "fde"):
        assert found[name] == 0.0
    assert found["mae_per_step"] == [0.0] * 3
    assert found["coverage_50"] == found["coverage_90"] == 1.0 and found["calibration"]["coverage"] == [1.0] * 19
    assert found["nll"] == pytest.approx(np.log(2 * np.pi * 1e-8), rel=1e-5)
    assert {stratum["mae"] for kind in found["strata"].values() for stratum in kind if stratum["count"]} == {0.0}
    for name in ("speed", "radial_distribution", "mean_squared_displacement"):
        assert found["observables"][name]["distance"] == 0.0
    drift = found["observables"]["momentum_drift"]
    assert drift["rollout"] == drift["truth"] > 0


def test_molecules_are_judged_by_their_own_statistics(tmp_path, write_dataset, random_trajectory):
    trajectories = []
    for number in (4, 3):
        trajectory = random_trajectory(num_particles=number, num_features=2, seed=number)
        trajectory[..., 2:] = np.eye(2)[np.arange(number) % 2]
        trajectories.append(trajectory)
    directory = write_dataset({"train": trajectories, "test": trajectories}, features=("OQL", "ONC"))
    manifest = Manifest.load(directory)
    provenance = {"command": "python -m socialmd_tf.prepare", "config": {"molecules": ["OQL", "ONC"]}}
    dataclasses.replace(manifest, length_unit="nm", provenance=provenance).save(directory)
    config = TrainConfig(
        data="d", windows=WINDOWS, model=dataclasses.replace(SMALL, cell="plain", interaction="none", lstm_layers=(4,))
    )
    built = build_model(for_data(config.model, manifest, WINDOWS, (1.0, 1.0)))
    card = model_card(config, built, manifest, RunState([{"epoch": 1, "val_loss": 1.0}]))
    plain = ExportedModel(export(built, tmp_path / "plain", card))
    results = evaluate.evaluate([plain], directory, "test", tmp_path / "out")

    errors = {kind: [] for kind in range(2)}
    for file in manifest.splits["test"]:
        frames = np.load(directory / file)[::2].astype(np.float64)
        for last in range(1, len(frames) - 3, 2):
            distances = np.linalg.norm(frames[last : last + 4, :, :2], axis=-1)
            for kind in range(2):
                mean = distances[:, kind::2].mean(axis=1)
                errors[kind].append(np.abs(mean[1:] - mean[0]))
    found = results["constant_position"]["molecules"]
    assert set(found) == {"radial_distance_OQL", "radial_distance_ONC", "speed"}
    for kind, name in enumerate(("OQL", "ONC")):
        assert found[f"radial_distance_{name}"]["error"] == pytest.approx(np.mean(errors[kind]), rel=1e-5)
    assert found["speed"]["rollout"] == pytest.approx([0, 0, 0])
    assert "molecules_drawn" not in results["constant_position"]
    # Of a Gaussian, what is drawn moves more than the means do.
    assert (
        results["plain"]["molecules_drawn"]["speed"]["rollout"][1]
        > 2 * results["plain"]["molecules"]["speed"]["rollout"][1]
    )
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| plain, drawn " in report and "mean distance of OQL from the centre" in report


FINER = dataclasses.replace(WINDOWS, subsample=1, rollout_steps=6)


def test_models_of_two_samplings_are_judged_at_common_frames(model, saved, data, tmp_path):
    finer = saved("finer", FINER)
    evaluate.evaluate([finer, model], data, "test", tmp_path / "out")
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(written["models"]) == list(written["predictors"])[:2] == ["finer", "small"]
    assert (written["num_windows"], written["num_steps"], written["stored_frames_between_steps"]) == (16, 3, 2)
    alone = evaluate.evaluate([model], data, "test", tmp_path / "alone")
    for name in ("small", "constant_velocity"):
        assert written["predictors"][name]["mae"] == pytest.approx(alone[name]["mae"], rel=1e-6)
    errors = []
    for file in ("test/00000.npy", "test/00001.npy"):
        frames = np.load(data / file)
        for last in range(2, 40 - 6, 4):
            mean, _ = finer.moments(frames[None, last - 1 : last + 1, :, :2], frames[None, 0, :, 2:], 6)
            errors.append(np.abs(mean[0, 1::2] - frames[last + 2 : last + 7 : 2, :, :2]).ravel())
    assert written["predictors"]["finer"]["mae"] == pytest.approx(np.concatenate(errors).mean(), rel=1e-4)
    assert "2 frames 1 apart, 2 frames 2 apart" in (tmp_path / "out" / "report.md").read_text()


def test_numbers_that_are_none_are_null(model, write_dataset, random_trajectory, tmp_path):
    """One trajectory has no standard error, and NaN is not JSON."""
    single = write_dataset({"train": [random_trajectory()], "test": [random_trajectory(seed=1)]}, name="single")
    results = evaluate.evaluate([model], single, "test", tmp_path / "out")
    text = (tmp_path / "out" / "metrics.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["predictors"]["small"]["mae_standard_error"] is None
    assert np.isnan(results["small"]["mae_standard_error"])


def test_what_does_not_apply_says_why(model, data, tmp_path):
    evaluate.evaluate([model], data, "test", tmp_path / "out")
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written["left_out"] == {
        "constant_acceleration": "it needs 3 observed frames and there are 2",
        "exact_integrator": "the data set does not tell its forces",
    }
    report = (tmp_path / "out" / "report.md").read_text()
    assert "exact_integrator is left out: the data set does not tell its forces." in report


def test_equal_names_are_told_apart(tmp_path):
    def models(*paths):
        return [SimpleNamespace(name=path.parent.name, path=path) for path in (tmp_path / path for path in paths)]

    assert evaluate.names_of(models("a/1", "b/1")) == ["a", "b"]
    assert evaluate.names_of(models("a/1", "a/2", "b/1")) == ["a/1", "a/2", "b"]
    assert evaluate.names_of(models("x/a/1", "y/a/1")) == [str(tmp_path / "x/a/1"), str(tmp_path / "y/a/1")]
    assert evaluate.names_of(models("constant_velocity/3")) == ["constant_velocity/3"]
    with pytest.raises(UserError, match="must name different models"):
        evaluate.names_of(models("a/1", "b/1", "a/1"))
