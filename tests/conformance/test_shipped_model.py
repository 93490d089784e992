"""The shipped models, loaded with TensorFlow alone, answer as they did when they were exported."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines import dataset
from pipelines.config import DataConfig

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "saved_models" / "nbody"
LAST_MEANS = {
    "1": [[1.8692405, 1.3337834], [-1.3653548, 1.8667507], [-1.8605794, -1.3552802], [1.3344564, -1.8835504]],
    "2": [[1.8690233, 1.3336332], [-1.3653787, 1.8666434], [-1.8605374, -1.3552915], [1.3344395, -1.8835187]],
}
LAST_VARIANCES = {
    "1": [[1.4987e-5, 1.9284e-5], [6.8717e-6, 6.9373e-6], [2.4683e-6, 2.6205e-6], [6.3060e-6, 4.0701e-6]],
    "2": [[5.3276e-4, 5.2973e-4], [7.7625e-5, 7.3351e-5], [4.0559e-5, 4.1856e-5], [1.2157e-5, 1.2200e-5]],
}
THIRD_OF_A_SAMPLE = {
    "1": [[1.984615, 0.2792805], [-0.27974695, 1.9846506], [-1.9845365, -0.27960905], [0.27929643, -1.984806]],
    "2": [[1.9846106, 0.279312], [-0.27974635, 1.984651], [-1.9845457, -0.27962368], [0.27929234, -1.9848076]],
}


@functools.cache
def signatures(version):
    return tf.saved_model.load(str(SHIPPED / version)).signatures


def turning():
    """Five frames of four particles on a circle of radius 2, that turn by 0.02 per frame."""
    angles = np.pi / 2 * np.arange(4) + 0.02 * np.arange(5)[:, None]
    positions = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None]
    features = np.array([[[1.0, 0.5], [2.0, -0.75], [3.0, 1.25], [4.0, -1.0]]])  # mass and charge
    return {"positions": tf.constant(positions, tf.float32), "features": tf.constant(features, tf.float32)}


@pytest.mark.parametrize("version", LAST_MEANS)
def test_rollouts_are_the_same(version):
    predicted = signatures(version)["serving_default"](**turning(), horizon=tf.constant(30))
    np.testing.assert_allclose(predicted["mean"][0, -1], LAST_MEANS[version], atol=2e-4)
    variances = np.diagonal(predicted["covariance"][0, -1], axis1=1, axis2=2)
    np.testing.assert_allclose(variances, LAST_VARIANCES[version], rtol=1e-2)


@pytest.mark.parametrize("version", THIRD_OF_A_SAMPLE)
def test_samples_are_the_same(version):
    drawn = signatures(version)["sample"](**turning(), horizon=tf.constant(3), seed=tf.constant([1, 2]))
    np.testing.assert_allclose(drawn["positions"][0, -1], THIRD_OF_A_SAMPLE[version], atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("version", LAST_MEANS)
def test_accuracy_on_new_simulations_is_that_of_the_readme(version, tmp_path):
    """Two simulations like those of the test split, from another seed and with longer steps of integration."""
    flags = "--num-train 0 --num-validation 0 --num-test 2 --num-steps 100000 --time-step 1e-6 --save-every 100"
    command = [sys.executable, "-m", "socialmd_tf.simulate", "--output", str(tmp_path / "nbody"), *flags.split()]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    card = json.loads((SHIPPED / version / "assets.extra" / "model_card.json").read_text())
    windows = DataConfig(**{**card["windows"], "rotations": 0})
    errors = []
    for inputs, targets in dataset.batches(tmp_path / "nbody", "test", windows, batch_size=64, shuffle=False, seed=0):
        frames = {name: tf.convert_to_tensor(inputs[name]) for name in ("positions", "features")}
        predicted = signatures(version)["rollout"](**frames, horizon=tf.constant(windows.rollout_steps))
        errors.append(np.abs(predicted["mean"] - targets))
    errors = np.concatenate(errors)
    spread_over_simulations = card["metrics"]["mae_standard_error"] * np.sqrt(20)
    assert errors.mean() < card["metrics"]["mae"] + 3 * spread_over_simulations / np.sqrt(2) < 0.05
    assert np.median(errors) == pytest.approx(card["metrics"]["median_ae"], rel=0.7)
    assert f"{card['metrics']['mae']:.4f}" in (ROOT / "README.md").read_text()
