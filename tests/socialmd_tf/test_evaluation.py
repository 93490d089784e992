import json

import keras
import numpy as np
import pytest
from PIL import Image

from pipelines import dataset
from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.trajectory import Manifest
from socialmd_tf import evaluation
from socialmd_tf.checkpoints import RunState
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.export import Exported, export, model_card
from socialmd_tf.model import build_model, for_data

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
    "mae",
    "median_ae",
    "ade",
    "fde",
    "mae_per_step",
    "coverage_50",
    "coverage_90",
    "nll_standard_error",
    "mae_standard_error",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained model for two dimensions and one feature."""
    manifest = Manifest("tiny", 2, ("mass",), "1", 0.1, {}, {})
    config = TrainConfig(data="d", windows=WINDOWS, model=SMALL)
    keras.utils.set_random_seed(0)
    built = build_model(for_data(SMALL, manifest, WINDOWS, (1.0, 1.0)))
    card = model_card(config, built, manifest, RunState([{"epoch": 1, "val_loss": 1.0}]))
    return Exported(export(built, tmp_path_factory.mktemp("saved") / "small", card))


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
    results = evaluation.evaluate(model, data, "test", tmp_path / "out")
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
        assert numbers == results[name]
        assert len(numbers["mae_per_step"]) == 3


def test_the_model_is_judged_on_its_free_rollout(model, data, tmp_path):
    found = evaluation.evaluate(model, data, "test", tmp_path / "out")["small"]
    errors = []
    for observed, true in slow_windows(data, "test"):
        file = {3: "test/00001.npy", 4: "test/00000.npy"}[observed.shape[1]]
        features = np.load(data / file)[0, :, 2:]
        mean, _ = model.rollout(observed[None], features[None], 3)
        errors.append(np.abs(mean[0] - true).ravel())
    assert found["mae"] == pytest.approx(np.concatenate(errors).mean(), rel=1e-4)
    report = (tmp_path / "out" / "report.md").read_text()
    assert "on the test split of" in report and "free rollout of 3 frames after 2" in report
    for name in ("small", "constant_position", "constant_velocity"):
        assert f"| {name}" in report
    assert f"{found['mae']:.4f} ±" in report
    with Image.open(tmp_path / "out" / "paths.png") as picture:
        assert min(picture.size) > 500


def test_windows_are_judged_unturned(model):
    assert model.card["windows"]["rotations"] == 2
    assert evaluation.windows_of(model).rotations == 0


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
        evaluation.check_data(model, Manifest("other", num_dimensions, features, "1", 0.1, {}, {}))
    assert str(raised.value) == message


def test_what_cannot_be_judged_is_refused(model, data, write_dataset, random_trajectory, tmp_path):
    lonely = write_dataset({"train": [], "test": [random_trajectory()]}, name="lonely")
    with pytest.raises(UserError, match="the baselines need a training split; found none"):
        evaluation.evaluate(model, lonely, "test", tmp_path / "out")
    with pytest.raises(UserError, match="`split` must be one of train, validation, test"):
        evaluation.evaluate(model, data, "holiday", tmp_path / "out")
    with pytest.raises(UserError, match="the split 'validation' is empty"):
        evaluation.evaluate(model, data, "validation", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="`output` must be a directory"):
        evaluation.evaluate(model, data, "test", tmp_path / "file")


def test_the_picture_shows_the_window_of_median_error(model, data, tmp_path):
    """Of an even number of windows the lower of the two in the middle, without its padding."""
    from socialmd_tf import plots

    def unturned(batch_size):
        windows = evaluation.windows_of(model)
        return dataset.batches(data, "test", windows, batch_size=batch_size, seed=0, shuffle=False)

    judged = []
    for inputs, targets in unturned(1):
        real = inputs["mask"].numpy()[0] > 0
        parameters = model.density(inputs)[0][:, real]
        error = np.abs(np.asarray(model.layout.mean(parameters)) - targets[0].numpy()[:, real]).mean()
        judged.append((error, inputs["positions"][0].numpy()[:, real], parameters, targets[0].numpy()[:, real]))
    error, positions, parameters, truth = sorted(judged, key=lambda window: window[0])[7]
    mean, covariance = (np.asarray(moment(parameters)) for moment in (model.layout.mean, model.layout.covariance))
    title = f"tiny, window of median error: 3 frames predicted from 2 (MAE {error:.3f})"
    plots.paths(tmp_path / "expected.png", positions, mean, covariance, truth=truth, title=title)

    evaluation.draw_median_window(model, unturned(5), Manifest.load(data), tmp_path / "found.png")
    expected, found = (np.asarray(Image.open(tmp_path / name), int) for name in ("expected.png", "found.png"))
    assert (np.abs(expected - found) > 8).mean() < 1e-3
