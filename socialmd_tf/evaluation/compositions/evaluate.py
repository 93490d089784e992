"""Predict summary statistics of mixtures that were not simulated, and score them where simulations are known."""

import dataclasses
import math

import numpy as np

from pipelines.errors import require
from pipelines.manifest import Manifest
from pipelines.progress import Progress
from socialmd_tf.evaluation import models as models_
from socialmd_tf.evaluation.compositions.findings import CompositionFindings
from socialmd_tf.evaluation.compositions.members import DrawnMixtures, baselines
from socialmd_tf.evaluation.compositions.mixture import Mixture
from socialmd_tf.evaluation.compositions.scores import scores_of
from socialmd_tf.evaluation.compositions.settings import USUAL, check_types
from socialmd_tf.evaluation.compositions.simulations import Simulations
from socialmd_tf.evaluation.compositions.starts import RelabelledStarts
from socialmd_tf.evaluation.ensembles.curves import FAMILIES, choose, statistics
from socialmd_tf.evaluation.ensembles.setting import find_setting

_PER_STEP = (("step",), ("spread",))
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Compositions:
    """The evaluation of mixtures; what it refuses, it refuses at once.

    Args:
        model: An exported model that draws paths.
        directory: Directory of the dataset.
        settings: The `CompositionSettings`.

    Raises:
        UserError: The data do not fit the model or have no types of particles of these names, a training file is too
            short, the horizon is out of range, or the dataset cannot have a statistic that was asked for.
    """

    def __init__(self, model, directory, settings):
        manifest = Manifest.load(directory)
        check_types(manifest, settings)
        self._manifest, self._settings = manifest, settings
        self._model = models_.prepare(model, manifest)
        self._config = models_.windows_of(model)
        require(bool(manifest.splits.get("train")), "data", "a dataset with a training split", manifest.name)
        self._starts = RelabelledStarts(manifest, directory, self._config, settings.first_frame)
        systems = list(self._starts.systems())
        self._frames = self._starts.last_frame + self._config.subsample * np.arange(self._num_steps() + 1)
        self._setting = find_setting(manifest, systems, [], len(self._frames) - 1)
        self._check_groups()
        self._names, self._left_out = self._choose()
        self._per_step = [
            name
            for name, (family, _) in statistics(self._setting, self._names).items()
            if FAMILIES[family].axes in _PER_STEP
        ]
        steps = len(self._frames) - 1
        self._drawn = DrawnMixtures(model, self._starts, self._setting, self._names, steps, settings)
        self._simulations = Simulations(manifest, directory, self._setting, self._names, self._frames)

    def _num_steps(self):
        subsample, wanted = self._config.subsample, self._settings.horizon
        most = self._model.card["max_horizon"] * subsample
        if wanted is None:
            wanted = min(most, self._starts.shortest - 1 - self._starts.last_frame)
        right = subsample <= wanted <= most
        require(right, "horizon", f"from {subsample} to {most} stored frames, what the model can predict", wanted)
        return wanted // subsample

    def _check_groups(self):
        """Refuse features that are not one-hot types, and types that the training split does not have."""
        groups, own = self._setting.groups, self._manifest.own_features
        is_typed = groups.rows is not None and set(groups.names) <= set(own)
        require(is_typed, "data", "a dataset whose features are types of particles, one-hot", list(own))
        for field, names in (("drug", self._settings.drugs), ("background", (self._settings.background,))):
            for name in names:
                known = ", ".join(groups.names)
                require(name in groups.names, field, f"a type that the training split has, one of {known}", name)

    def _choose(self):
        names, lacking = choose(self._setting, self._settings.statistics)
        if self._settings.statistics:
            return names, {}
        usual = [name for name in names if name in USUAL]
        return usual, {name: reason for name, reason in lacking.items() if name in USUAL}

    def evaluate(self):
        """Draw and score the ensembles of all mixtures.

        Returns:
            `CompositionFindings`.
        """
        settings = self._settings
        mixtures = [
            Mixture(drug, settings.background, fraction) for drug in settings.drugs for fraction in settings.fractions
        ]
        found = []
        with Progress("compositions", len(mixtures), "mixture") as progress:
            for number, mixture in enumerate(mixtures):
                progress.show(number, f"{mixture.fraction:g} {mixture.drug}")
                found.append(self._mixture(mixture))
        return self._findings(found)

    def _mixture(self, mixture):
        """Predictions of a mixture and their scores."""
        ours = [each for each in self._simulations.found if mixture.is_that_of(each.counts)]
        tested = [each for each in ours if not each.in_training]
        drawn, not_finite = self._drawn.members(mixture)
        predictors = {self._model.name: drawn, **baselines(self._simulations.found, mixture)}
        return {
            **dataclasses.asdict(mixture),
            "in_training": len(tested) < len(ours),
            "num_simulations": len(tested),
            "num_reruns": sum(each.num_reruns for each in tested),
            "num_not_finite": not_finite,
            "simulated": {
                name: [float(each.runs[name][0, -1]) for each in ours if not np.isnan(each.runs[name]).any()]
                for name in self._per_step
            },
            "predictors": {
                name: {"final": self._final(members), "scores": scores_of(members, tested)}
                for name, members in predictors.items()
                if members
            },
        }

    def _final(self, members):
        """Statistic -> what its members are at the last step."""
        last = {name: values[:, -1] for name, values in members.items() if name in self._per_step}
        return {
            name: {
                "mean": float(values.mean()),
                "standard_deviation": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
                "quantiles": np.quantile(values, _QUANTILES).tolist(),
            }
            for name, values in last.items()
        }

    def _findings(self, compositions):
        settings, manifest, short = self._settings, self._manifest, self._simulations.num_short
        left_out = dict(self._left_out)
        if short:
            left_out[f"{short} simulations or re-runs"] = "they end before the last predicted frame"
        predictors = [each for found in compositions for each in found["predictors"].values()]
        seen = {name for each in predictors for name in (*each["final"], *each["scores"])}
        described = {
            name: {"title": FAMILIES[family].title.format(groups), "power": FAMILIES[family].power, "family": family}
            | {"groups": groups.split(" and ") if groups else [], "has_final": name in self._per_step}
            for name, (family, groups) in statistics(self._setting, self._names).items()
            if name in seen
        }
        known = [
            {
                "drug": drug,
                "background": settings.background,
                "fraction": each.share(drug),
                "in_training": each.in_training,
                "final": {name: float(each.runs[name][0, -1]) for name in self._per_step if name in seen},
            }
            for drug in settings.drugs
            for each in self._simulations.found
            if each.is_of((drug, settings.background)) and each.counts[drug]
        ]
        steps = len(self._frames) - 1
        return CompositionFindings(
            model=self._model.name,
            data=manifest.name,
            length_unit=manifest.length_unit,
            time_unit=manifest.time_unit,
            first_frame=settings.first_frame,
            num_observed=self._config.warm_up_steps,
            num_steps=steps,
            duration=steps * self._config.subsample * manifest.time_between_frames,
            num_samples=settings.num_samples,
            statistics=described,
            compositions=compositions,
            simulations=known,
            left_out=left_out,
        )
