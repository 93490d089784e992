import dataclasses
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.evaluation import predictors
from socialmd_tf.evaluation.evaluate import evaluate
from socialmd_tf.layers import DensityLayout
from socialmd_tf.report.write import write
from tests.socialmd_tf.evaluation.small_model import WINDOWS, built_model, exported_model

KEYS = {
    "nll",
    "nll_standard_error",
    "nll_per_move",
    "mean_move",
    "mae",
    "mae_standard_error",
    "coverage_50_standard_error",
    "coverage_90_standard_error",
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
FINER = dataclasses.replace(WINDOWS, subsample=1, rollout_steps=6)


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


def test_constant_velocity_has_the_errors_of_a_slow_loop(model, data):
    found = evaluate([model], data, "test").results["constant_velocity"]
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


def test_the_metrics_have_the_promised_keys(model, data):
    metrics = evaluate([model], data, "test").metrics()
    assert [metrics[key] for key in ("model", "data", "split", "num_windows")] == ["small", "tiny", "test", 16]
    # Two observed frames give no acceleration.
    assert list(metrics["predictors"]) == ["small", "constant_position", "constant_velocity"]
    for numbers in metrics["predictors"].values():
        assert set(numbers) == KEYS
        assert len(numbers["mae_per_step"]) == 3
    json.dumps(metrics, allow_nan=False)


def test_the_model_is_scored_on_its_free_rollout(model, data):
    found = evaluate([model], data, "test").results["small"]
    errors = []
    for observed, true in slow_windows(data, "test"):
        file = {3: "test/00001.npy", 4: "test/00000.npy"}[observed.shape[1]]
        features = np.load(data / file)[0, :, 2:]
        mean, _ = model.moments(observed[None], features[None], 3)
        errors.append(np.abs(mean[0] - true).ravel())
    assert found["mae"] == pytest.approx(np.concatenate(errors).mean(), rel=1e-4)


@pytest.mark.slow
def test_a_model_in_memory_has_the_numbers_of_its_export(model, data):
    """Not only up to Monte Carlo noise: both predict the same densities."""
    built = built_model()
    found = evaluate([built, model], data, "test", WINDOWS)
    assert found.models == {built.name: "in memory", "small": str(model.path)}
    ours, exported = found.results[built.name], found.results["small"]
    assert list(ours) == list(exported)
    for name in ("nll", "mae", "fde", "coverage_50", "coverage_90"):
        assert ours[name] == pytest.approx(exported[name], rel=1e-4)
    assert found.comparisons[0]["mae_difference"] == pytest.approx(0, abs=1e-5)


def test_unfit_datasets_are_refused(model, data, write_dataset, random_trajectory):
    lonely = write_dataset({"train": [], "test": [random_trajectory()]}, name="lonely")
    with pytest.raises(UserError, match="the baselines need a training split; found none"):
        evaluate([model], lonely, "test")
    with pytest.raises(UserError, match="`split` must be one of train, validation, test"):
        evaluate([model], data, "holiday")
    with pytest.raises(UserError, match="the split 'validation' is empty"):
        evaluate([model], data, "validation")
    frames = np.load(data / "test/00000.npy")
    frames[7, 0, 0] = np.nan
    np.save(data / "test/00000.npy", frames)
    with pytest.raises(UserError, match="frame 7, particle 0, column 0"):
        evaluate([model], data, "test")


def test_a_predictor_of_the_registry_is_evaluated(model, data, monkeypatch):
    """One more entry is enough: it is in the numbers, the comparisons and the example windows."""

    class Origin:
        layout = DensityLayout(2, 1, False)

        def __call__(self, inputs):
            shape = (*inputs["mask"].shape, 2)
            moments = np.concatenate([np.zeros(shape), np.ones(shape)], axis=-1)
            return np.repeat(moments[:, None], 3, axis=1).astype("float32")

    monkeypatch.setitem(predictors.PREDICTORS, "origin", lambda setting: Origin())
    found = evaluate([model], data, "test")
    true = np.concatenate([true.ravel() for _, true in slow_windows(data, "test")])
    assert found.results["origin"]["mae"] == pytest.approx(np.abs(true).mean(), rel=1e-5)
    assert ("small", "origin") in [(row["first"], row["second"]) for row in found.comparisons]
    assert not found.examples[0].predictions["origin"][0].any()


def test_a_predictor_that_knows_the_truth_makes_no_error(data, monkeypatch, model):
    """It has full coverage and the true statistics, in every stratum."""
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
    found = evaluate([model], data, "test").results["cheat"]
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


@pytest.fixture
def molecules(write_dataset, random_trajectory):
    """A dataset of two kinds of molecules."""
    trajectories = []
    for number in (4, 3):
        trajectory = random_trajectory(num_particles=number, num_features=2, seed=number)
        trajectory[..., 2:] = np.eye(2)[np.arange(number) % 2]
        trajectories.append(trajectory)
    directory = write_dataset({"train": trajectories, "test": trajectories}, features=("OQL", "ONC"))
    provenance = {"command": "python -m socialmd_tf.prepare", "config": {"molecules": ["OQL", "ONC"]}}
    dataclasses.replace(Manifest.load(directory), length_unit="nm", provenance=provenance).save(directory)
    return directory


@pytest.mark.slow
def test_molecules_have_statistics_of_means_and_of_drawn_paths(tmp_path, molecules):
    manifest = Manifest.load(molecules)
    found = evaluate([exported_model(tmp_path / "plain", manifest=manifest)], molecules, "test").results

    errors = {kind: [] for kind in range(2)}
    for file in manifest.splits["test"]:
        frames = np.load(molecules / file)[::2].astype(np.float64)
        for last in range(1, len(frames) - 3, 2):
            distances = np.linalg.norm(frames[last : last + 4, :, :2], axis=-1)
            for kind in range(2):
                mean = distances[:, kind::2].mean(axis=1)
                errors[kind].append(np.abs(mean[1:] - mean[0]))
    still = found["constant_position"]
    assert set(still["molecules"]) == {"radial_distance_OQL", "radial_distance_ONC", "speed"}
    for kind, name in enumerate(("OQL", "ONC")):
        assert still["molecules"][f"radial_distance_{name}"]["error"] == pytest.approx(np.mean(errors[kind]), rel=1e-5)
    assert still["molecules"]["speed"]["rollout"] == pytest.approx([0, 0, 0])
    assert "molecules_drawn" not in still
    # Draws from a Gaussian move more than its means.
    drawn, means = (found["plain"][key]["speed"]["rollout"][1] for key in ("molecules_drawn", "molecules"))
    assert drawn > 2 * means


@pytest.mark.slow
def test_missing_draws_of_a_model_in_memory_are_stated(molecules):
    built = built_model(manifest=Manifest.load(molecules))
    found = evaluate([built], molecules, "test", WINDOWS)
    assert f"{built.name}, drawn" in found.left_out and "molecules_drawn" not in found.results[built.name]


@pytest.mark.slow
def test_models_of_two_samplings_are_compared_at_common_frames(model, data, tmp_path):
    finer = exported_model(tmp_path / "finer", FINER, seed=1)
    found = evaluate([finer, model], data, "test")
    assert list(found.models) == list(found.results)[:2] == ["finer", "small"]
    assert (found.num_windows, found.windows.num_steps, found.windows.spacing) == (16, 3, 2)
    alone = evaluate([model], data, "test")
    for name in ("small", "constant_velocity"):
        assert found.results[name]["mae"] == pytest.approx(alone.results[name]["mae"], rel=1e-6)
    errors = []
    for file in ("test/00000.npy", "test/00001.npy"):
        frames = np.load(data / file)
        for last in range(2, 40 - 6, 4):
            mean, _ = finer.moments(frames[None, last - 1 : last + 1, :, :2], frames[None, 0, :, 2:], 6)
            errors.append(np.abs(mean[0, 1::2] - frames[last + 2 : last + 7 : 2, :, :2]).ravel())
    assert found.results["finer"]["mae"] == pytest.approx(np.concatenate(errors).mean(), rel=1e-4)
    assert "2 frames 1 apart, 2 frames 2 apart" in found.description()


def test_one_simulation_has_no_standard_error(model, write_dataset, random_trajectory):
    single = write_dataset({"train": [random_trajectory()], "test": [random_trajectory(seed=1)]}, name="single")
    found = evaluate([model], single, "test")
    assert np.isnan(found.results["small"]["mae_standard_error"])
    assert np.isnan(found.comparisons[0]["mae_interval"]).all()


def test_slices_of_one_simulation_count_as_one(model, write_dataset, random_trajectory):
    """Four files, two of one simulation: the standard error is that of three simulations."""
    files = [random_trajectory(seed=seed) for seed in range(4)]
    directory = write_dataset({"train": files[:1], "test": files})
    apart = evaluate([model], directory, "test")
    manifest = Manifest.load(directory)
    group = {"test/00001.npy": "long run", "test/00003.npy": "long run"}
    dataclasses.replace(manifest, group=group).save(directory)
    grouped = evaluate([model], directory, "test")
    errors = [[], [], [], []]
    for window, (observed, true) in enumerate(slow_windows(directory, "test")):
        errors[window // 8].append(np.abs(observed[-1] - true).mean())
    means = np.mean(errors, axis=1)
    three = [means[0], (means[1] + means[3]) / 2, means[2]]
    for found, expected in ((apart, means), (grouped, three)):
        result = found.results["constant_position"]
        assert result["mae_standard_error"] == pytest.approx(np.std(expected, ddof=1) / len(expected) ** 0.5, rel=1e-4)
        assert found.comparisons[0]["num_simulations"] == len(expected)
    assert grouped.results["small"]["mae"] == apart.results["small"]["mae"]


@pytest.mark.slow
def test_one_particle_is_evaluated_without_pair_statistics(model, write_dataset, random_trajectory, tmp_path):
    lonely = [random_trajectory(num_particles=1, seed=seed) for seed in range(3)]
    directory = write_dataset({"train": lonely[:1], "test": lonely[1:]})
    found = evaluate([model], directory, "test")
    assert set(found.left_out) >= {"strata", "radial_distribution"}
    for result in found.results.values():
        assert "strata" not in result
        assert set(result["observables"]) == {"speed", "mean_squared_displacement", "momentum_drift"}
    write(found, tmp_path / "out")
    report = (tmp_path / "out" / "report.md").read_text()
    assert "strata, radial_distribution" in report and "Close encounters" not in report


@pytest.mark.slow
@pytest.mark.parametrize(("num_particles", "speed"), [(1, 0.5), (1, 0.0), (3, 0.0)])
def test_straight_motion_and_rest_under_known_forces(write_dataset, tmp_path, num_particles, speed):
    """Uncharged light particles; the exact integrator and all drifts have to cope with one particle and with rest."""
    steps, places = np.arange(40)[:, None, None], np.arange(num_particles)[:, None]
    positions = speed * steps + 10 * places + np.zeros((40, num_particles, 2))
    features = np.broadcast_to([1e-6, 0.0], (40, num_particles, 2))
    frames = np.concatenate([positions, features], axis=-1)
    directory = write_dataset({"train": [frames], "test": [frames, frames]}, features=("mass", "charge"))
    constants = {"coulomb_constant": 1.0, "gravitational_constant": 1e-6}
    provenance = {"command": "python -m socialmd_tf.simulate", "config": constants}
    manifest = dataclasses.replace(Manifest.load(directory), provenance=provenance)
    manifest.save(directory)
    found = evaluate([built_model(manifest=manifest)], directory, "test", WINDOWS)
    assert found.results["exact_integrator"]["mae"] < 1e-4
    json.dumps(found.metrics(), allow_nan=False)
    write(found, tmp_path / "out")
    assert (tmp_path / "out" / "paths.png").exists()


@pytest.mark.slow
def test_reasons_for_left_out_predictors_are_given(model, data):
    assert evaluate([model], data, "test").left_out == {
        "constant_acceleration": "needs 3 observed frames; the windows have 2",
        "exact_integrator": "the dataset does not state its forces",
    }
