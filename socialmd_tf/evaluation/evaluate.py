"""Evaluate models and baselines on the same windows of a dataset."""

import dataclasses
import datetime
from pathlib import Path

import numpy as np

from pipelines.common_windows import CommonWindows
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.validation import check
from pipelines.workers import HERE
from socialmd_tf.evaluation import models as models_
from socialmd_tf.evaluation import paired_bootstrap, predictors
from socialmd_tf.evaluation.ensembles.evaluate import Ensembles
from socialmd_tf.evaluation.findings import Findings
from socialmd_tf.evaluation.pair_forces import pair_forces
from socialmd_tf.evaluation.pair_responses import pair_responses
from socialmd_tf.evaluation.scored_windows import ScoredWindows


def evaluate(models, data, split, windows=None, ensembles=None, workers=HERE):
    """Evaluate models and baselines in free rollout on every window of a split.

    Args:
        models: One or more models: exported ones or models of `build_model`. The first is compared with all other
            predictors, and example windows are ranked by its error.
        data: Directory of the dataset. The widths of the baselines are fitted on its training split.
        split: Name of the split.
        windows: The `DataConfig` that models in memory were trained with; the default one if None.
        ensembles: `EnsembleSettings`; no ensembles are drawn if None.
        workers: Where windows are scored; exported models only, unless it is here.

    Returns:
        `Findings`.

    Raises:
        UserError: The data do not fit a model or are faulty, there is no training split, the models have no frames
            in common, or a model is named twice; or as `Ensembles`.
    """
    directory = Path(data)
    manifest = Manifest.load(directory)
    if not manifest.splits.get("train"):
        raise UserError(f"{directory}: the baselines need a training split; found none")
    models = [models_.prepare(model, manifest, windows) for model in models]
    names = models_.names_of(models)
    common = CommonWindows([models_.windows_of(model) for model in models])
    if split in manifest.splits:
        check(directory, min_frames=common.reference.min_frames, splits=("train", split))
    scored = ScoredWindows(common, directory, split, workers)
    drawn = ensembles and Ensembles(ensembles, dict(zip(names, models, strict=True)), directory, split, workers)
    baselines, left_out = predictors.make_all(_setting(scored, manifest))
    everything = dict(zip(names, map(models_.predictor_of, models), strict=True)) | baselines
    random = [name for name, model in zip(names, models, strict=True) if models_.is_random(model)]
    tallies, results = scored.score(everything, single_frames=bool(random))
    totals = {name: tally.totals(scored.simulations) for name, tally in tallies.items()}
    named = dict(zip(names, models, strict=True))
    learned, without_forces = pair_forces(named, scored, manifest)
    return Findings(
        data=manifest.name,
        length_unit=manifest.length_unit,
        split=split,
        models={name: str(model.path or "in memory") for name, model in zip(names, models, strict=True)},
        windows=common,
        num_windows=len(scored.index),
        results=results,
        left_out=left_out | scored.left_out({name: everything[name] for name in names}) | without_forces,
        comparisons=paired_bootstrap.compare(totals, names),
        examples=scored.examples(everything, tallies[names[0]].window_mae()),
        random=random,
        ensembles=drawn and drawn.evaluate(),
        time_between_steps=common.spacing * manifest.time_between_frames,
        time_unit=manifest.time_unit,
        about_data={
            "num_dimensions": manifest.num_dimensions,
            "num_particles": scored.num_particles,
            "num_simulations": len(np.unique(scored.simulations)),
        },
        about_models={name: models_.about(model) for name, model in zip(names, models, strict=True)},
        pair_forces=learned + pair_responses(named, everything, scored, manifest),
        date=datetime.date.today().isoformat(),
    )


def _setting(scored, manifest):
    """The setting of the baselines: frames of the coarsest model, predicted as far as all models predict."""
    windows = scored.windows
    reach = windows.spacing * windows.num_steps // windows.reference.subsample
    reference = dataclasses.replace(windows.reference, rollout_steps=reach, rotations=0)
    training = predictors.training_batches(CommonWindows([reference]), scored.directory)
    return predictors.Setting(manifest, reference, len(scored.index), scored.num_particles, training)
