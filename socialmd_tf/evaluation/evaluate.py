"""Exported models and everything of the registry on the same windows: numbers, report, pictures."""

import dataclasses
import math
from pathlib import Path

from pipelines.atomic_files import write_json, write_text
from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import from_dict
from socialmd_tf.evaluation import judging, paired_bootstrap, predictors
from socialmd_tf.report import write


def evaluate(models, directory, split, output):
    """Judge models and everything of the registry on every window of a split, in free rollout.

    Args:
        models: One or more `ExportedModel` models. The first leads: windows are ranked by its error, and it is compared
            with everything else.
        directory: The data set. What is fitted is fitted on its training split.
        split: Name of the split.
        output: Directory for `metrics.json`, `report.md`, `report.html` and `paths.png`, the picture of the window
            with the median error.

    Returns:
        The results of every predictor by name: what `metrics.summary` gives, with `strata` (`Encounters.strata`)
        and `observables` (`observables.compare`).

    Raises:
        UserError: The data do not fit a model, or are faulty; the models have no windows or frames in common; a
            model is named twice.
    """
    directory, output = Path(directory), Path(output)
    manifest = Manifest.load(directory)
    for model in models:
        check_data(model, manifest)
    names = names_of(models)
    windows = common_windows(models)
    if output.exists() and not output.is_dir():
        raise UserError(f"`output` must be a directory. Received: {output}")
    if not manifest.splits.get("train"):
        raise UserError(f"{directory}: the baselines need a training split; found none")

    data = judging.Judging(windows, directory, split)
    judged = {
        name: predictors.Predictor(model.density, model.layout, windows_of(model), model.draw)
        for name, model in zip(names, models, strict=True)
    }
    others, left_out = predictors.make_all(_setting(data, manifest))
    judged |= others
    results, totals, ranking = {}, {}, None
    for name, predictor in judged.items():
        scores, results[name] = data.judge(predictor)
        totals[name] = paired_bootstrap.totals_of(scores, data.index[:, 0])
        ranking = scores.window_mae() if ranking is None else ranking
    findings = write.Findings(
        data=manifest.name,
        unit=manifest.length_unit,
        split=split,
        models={name: str(model.path) for name, model in zip(names, models, strict=True)},
        windows=windows,
        num_windows=len(data.index),
        results=results,
        left_out=left_out,
        comparisons=paired_bootstrap.compare(totals, names),
        shown=data.show(judged, ranking),
    )
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "metrics.json", _finite(findings.metrics()))
    findings.draw(output)
    write_text(output / "report.md", findings.report())
    return results


def windows_of(model):
    """The unrotated windows that a model was trained for, a `DataConfig`."""
    return dataclasses.replace(from_dict(DataConfig, model.card["windows"]), rotations=0)


def common_windows(models):
    """The `CommonWindows` of models.

    Raises:
        UserError: There is no common frame.
    """
    return CommonWindows([windows_of(model) for model in models])


def names_of(models):
    """A name for every model: its directory's, NAME/VERSION where that is taken, else its path.

    Raises:
        UserError: A model is named twice.
    """
    paths = [model.path.resolve() for model in models]
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"`model` must name different models. Received twice: {path}")
    choices = (
        [model.name for model in models],
        [f"{model.name}/{path.name}" for model, path in zip(models, paths, strict=True)],
        [str(path) for path in paths],
    )
    taken = list(predictors.PREDICTORS)
    return [
        next(names[place] for names in choices if (names + taken).count(names[place]) == 1)
        for place in range(len(models))
    ]


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


def _setting(data, manifest):
    """What the predictors of the registry observe: the coarsest model's frames, as far as all models predict."""
    windows = data.windows
    reach = windows.spacing * windows.num_steps // windows.reference.subsample
    reference = dataclasses.replace(windows.reference, rollout_steps=reach, rotations=0)
    training = predictors.training_batches(CommonWindows([reference]), data.directory)
    return predictors.Setting(manifest, reference, len(data.index), data.num_particles, training)


def _finite(value):
    """The same with None for every number that JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
