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
SHIPPED = ROOT / "saved_models"
DIGITS = {"nbody/1": 4, "nbody/2": 4, "nbody-3d/1": 6}
"""Decimal places of the mean absolute errors in the README."""
LAST_MEANS = {
    "nbody/1": [[1.8692405, 1.3337834], [-1.3653548, 1.8667507], [-1.8605794, -1.3552802], [1.3344564, -1.8835504]],
    "nbody/2": [[1.8690233, 1.3336332], [-1.3653787, 1.8666434], [-1.8605374, -1.3552915], [1.3344395, -1.8835187]],
    "nbody-3d/1": [
        [1.869023, 1.333633, 0],
        [-1.365379, 1.866643, 0],
        [-1.860537, -1.355291, 0],
        [1.33444, -1.883519, 0],
    ],
}
LAST_VARIANCES = {
    "nbody/1": [[1.4987e-5, 1.9284e-5], [6.8717e-6, 6.9373e-6], [2.4683e-6, 2.6205e-6], [6.3060e-6, 4.0701e-6]],
    "nbody/2": [[5.3276e-4, 5.2973e-4], [7.7625e-5, 7.3351e-5], [4.0559e-5, 4.1856e-5], [1.2157e-5, 1.2200e-5]],
    "nbody-3d/1": [
        [3.1946e-6, 3.0472e-6, 3.0662e-6],
        [1.2368e-6, 1.3989e-6, 1.2007e-6],
        [2.2826e-6, 2.5609e-6, 2.1357e-6],
        [1.3812e-6, 1.7084e-6, 1.5992e-6],
    ],
}
THIRD_OF_A_SAMPLE = {
    "nbody/1": [[1.984615, 0.2792805], [-0.27974695, 1.9846506], [-1.9845365, -0.27960905], [0.27929643, -1.984806]],
    "nbody/2": [[1.9846106, 0.279312], [-0.27974635, 1.984651], [-1.9845457, -0.27962368], [0.27929234, -1.9848076]],
    "nbody-3d/1": [
        [1.984611, 0.279312, 0],
        [-0.279745, 1.98465, 0],
        [-1.984543, -0.279623, 0],
        [0.279292, -1.984807, 0],
    ],
}


@functools.cache
def signatures(model):
    return tf.saved_model.load(str(SHIPPED / model)).signatures


def turning(model):
    """Five frames of four particles on a circle of radius 2, that turn by 0.02 per frame."""
    angles = np.pi / 2 * np.arange(4) + 0.02 * np.arange(5)[:, None]
    axes = [np.cos(angles), np.sin(angles), np.zeros_like(angles)]
    positions = 2 * np.stack(axes if "3d" in model else axes[:2], axis=-1)[None]
    features = np.array([[[1.0, 0.5], [2.0, -0.75], [3.0, 1.25], [4.0, -1.0]]])  # mass and charge
    return {"positions": tf.constant(positions, tf.float32), "features": tf.constant(features, tf.float32)}


@pytest.mark.slow_cases(all_but=["nbody/1"])
@pytest.mark.parametrize("model", LAST_MEANS)
def test_rollouts_are_the_same(model):
    predicted = signatures(model)["serving_default"](**turning(model), horizon=tf.constant(30))
    np.testing.assert_allclose(predicted["mean"][0, -1], LAST_MEANS[model], atol=2e-4)
    variances = np.diagonal(predicted["covariance"][0, -1], axis1=1, axis2=2)
    np.testing.assert_allclose(variances, LAST_VARIANCES[model], rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("model", THIRD_OF_A_SAMPLE)
def test_samples_are_the_same(model):
    drawn = signatures(model)["sample"](**turning(model), horizon=tf.constant(3), seed=tf.constant([1, 2]))
    np.testing.assert_allclose(drawn["positions"][0, -1], THIRD_OF_A_SAMPLE[model], atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", LAST_MEANS)
def test_accuracy_on_new_simulations_is_that_of_the_documents(model, tmp_path):
    """Two simulations like those of the test split, from another seed and with longer steps of integration."""
    card = json.loads((SHIPPED / model / "assets.extra" / "model_card.json").read_text())
    flags = "--num-train 0 --num-validation 0 --num-test 2 --num-steps 100000 --time-step 1e-6 --save-every 100".split()
    flags += ["--num-dimensions", str(card["num_dimensions"]), "--output", str(tmp_path / "nbody")]
    command = [sys.executable, "-m", "socialmd_tf.simulate", *flags]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    windows = DataConfig(**{**card["windows"], "rotations": 0})
    errors = []
    for inputs, targets in dataset.batches(tmp_path / "nbody", "test", windows, batch_size=64, shuffle=False, seed=0):
        frames = {name: tf.convert_to_tensor(inputs[name]) for name in ("positions", "features")}
        predicted = signatures(model)["rollout"](**frames, horizon=tf.constant(windows.rollout_steps))
        errors.append(np.abs(predicted["mean"] - targets))
    errors = np.concatenate(errors)
    spread_over_simulations = card["metrics"]["mae_standard_error"] * np.sqrt(20)
    assert errors.mean() < card["metrics"]["mae"] + 3 * spread_over_simulations / np.sqrt(2) < 0.05
    assert np.median(errors) == pytest.approx(card["metrics"]["median_ae"], rel=0.7)
    assert f"{card['metrics']['mae']:.{DIGITS[model]}f}" in (ROOT / "README.md").read_text()
