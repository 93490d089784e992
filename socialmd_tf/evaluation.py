"""An exported model and the baselines on the same windows: table, `metrics.json`, picture."""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines import dataset
from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.trajectory import Manifest, write_json
from socialmd_tf import metrics
from socialmd_tf.baselines import BASELINES, Extrapolation
from socialmd_tf.config import from_dict

_BATCH_SIZE = 32


def evaluate(model, directory, split, output):
    """Judge a model and the baselines on every window of a split, in free rollout.

    Args:
        model: An `Exported` model.
        directory: The data set. The baselines' widths are fitted on its training split.
        split: Name of the split.
        output: Directory for `metrics.json`, `report.md` and `paths.png`, the picture of the window with the
            median error.

    Returns:
        The results of every predictor by name, as `metrics.evaluate` gives them.

    Raises:
        UserError: The data do not fit the model, or are faulty.
    """
    directory, output = Path(directory), Path(output)
    manifest = Manifest.load(directory)
    check_data(model, manifest)
    windows = windows_of(model)
    if output.exists() and not output.is_dir():
        raise UserError(f"`output` must be a directory. Received: {output}")
    if not manifest.splits.get("train"):
        raise UserError(f"{directory}: the baselines need a training split; found none")

    def batches(name):
        return dataset.batches(directory, name, windows, batch_size=_BATCH_SIZE, seed=0, shuffle=False)

    clusters = np.repeat(*_windows_by_file(directory, split, windows))
    results = {model.name: metrics.evaluate(model.density, model.layout, batches(split), clusters)}
    for name, order in BASELINES.items():
        if order < windows.warm_up_steps:
            baseline = Extrapolation(order).fit(batches("train"))
            layout = baseline.layout(manifest.num_dimensions)
            results[name] = metrics.evaluate(baseline, layout, batches(split), clusters)
    output.mkdir(parents=True, exist_ok=True)
    write_json(
        output / "metrics.json",
        {
            "model": model.name,
            "data": manifest.name,
            "split": split,
            "num_windows": len(clusters),
            "predictors": results,
        },
    )
    draw_median_window(model, batches(split), manifest, output / "paths.png")
    (output / "report.md").write_text(report(model, directory, split, results) + "\n")
    return results


def windows_of(model):
    """The unrotated windows that a model was trained for, a `DataConfig`."""
    return dataclasses.replace(from_dict(DataConfig, model.card["windows"]), rotations=0)


def report(model, directory, split, results):
    """What `evaluate` found, as text for people, Markdown too."""
    windows = model.card["windows"]
    return (
        f"{model.path} on the {split} split of {directory}: free rollout of {windows['rollout_steps']} frames after "
        f"{windows['warm_up_steps']}, {windows['subsample']} stored frames apart. NLL in nats per particle and step; "
        f"lengths in the unit of the data ({model.card['length_unit']}); ± is the standard error over trajectories."
        f"\n\n{metrics.table(results)}"
    )


def _windows_by_file(directory, split, windows):
    counts = dataset.num_windows_by_file(directory, split, windows)
    return np.arange(len(counts)), counts


def check_data(model, manifest):
    """Refuse data that a model was not made for.

    Raises:
        UserError: Dimensions or features differ.
    """
    for name in ("num_dimensions", "features"):
        expected, found = model.card[name], getattr(manifest, name)
        found = list(found) if isinstance(found, tuple) else found
        if expected != found:
            raise UserError(f"`{name}` of the data must be those of the model, {expected}. Received: {found}")


def draw_median_window(model, batches, manifest, path):
    """Draw the window whose mean absolute error is the median one (the lower of two)."""
    from socialmd_tf import plots

    errors, kept = [], []
    for inputs, targets in batches:
        parameters = model.density(inputs)
        mask = inputs["mask"].numpy()[:, None, :, None]
        error = np.abs(model.layout.mean(parameters).numpy() - targets.numpy()) * mask
        errors.extend(error.mean(axis=(1, 2, 3)) / mask.mean(axis=(1, 2, 3)))
        kept.extend(zip(inputs["positions"].numpy(), parameters, targets.numpy(), inputs["mask"].numpy(), strict=True))
    median = np.argsort(errors, kind="stable")[(len(errors) - 1) // 2]
    positions, parameters, truth, mask = kept[median]
    real = mask > 0
    parameters = tf.constant(parameters[:, real])
    plots.paths(
        path,
        positions[:, real],
        model.layout.mean(parameters).numpy(),
        model.layout.covariance(parameters).numpy(),
        truth=truth[:, real],
        unit=manifest.length_unit,
        title=f"{manifest.name}, window of median error: {len(truth)} frames predicted from {len(positions)} "
        f"(MAE {errors[median]:.3f})",
    )
