"""Draw ensembles from every start of a split and score them."""

import dataclasses
import math

import numpy as np

from pipelines.errors import require
from pipelines.progress import Progress
from pipelines.workers import HERE, Shared, run_all
from socialmd_tf.evaluation import models as models_
from socialmd_tf.evaluation.ensembles import baselines, fans
from socialmd_tf.evaluation.ensembles.cases import Cases
from socialmd_tf.evaluation.ensembles.curves import FAMILIES, System, choose, curves, statistics
from socialmd_tf.evaluation.ensembles.findings import EnsembleFindings
from socialmd_tf.evaluation.ensembles.models import DrawnPaths
from socialmd_tf.evaluation.ensembles.setting import find_setting
from socialmd_tf.evaluation.ensembles.tally import Tally, geometric_mean
from socialmd_tf.evaluation.ensembles.training_runs import TrainingRuns

_ENERGY_STEPS = 8


@dataclasses.dataclass(frozen=True)
class EnsembleSettings:
    """Which ensembles to draw, and which statistics to score.

    Raises:
        UserError: There are fewer than 2 samples, or the horizon is not positive.
    """

    num_samples: int
    """Members of an ensemble (S)."""
    horizon: int | None = None
    """Stored frames to predict; None for as many as all files, re-runs and models allow."""
    statistics: tuple[str, ...] = ()
    """Names of families of statistics; all that the dataset can have if empty."""

    def __post_init__(self):
        """Check the numbers."""
        samples, horizon = self.num_samples, self.horizon
        require(type(samples) is int and samples >= 2, "num_samples", "an integer of at least 2", samples)
        right = horizon is None or (type(horizon) is int and horizon >= 1)
        require(right, "horizon", "an integer of at least 1", horizon)


@dataclasses.dataclass
class _Scored:
    """The ensembles of one start."""

    file: str
    frame: int
    tallies: dict[str, Tally]
    not_finite: dict[str, int] = dataclasses.field(default_factory=dict)
    drawn: list = dataclasses.field(default_factory=list)


class Ensembles:
    """The evaluation of ensembles on one split; what it refuses, it refuses at once.

    Args:
        settings: The `EnsembleSettings`.
        models: Name -> model, as `models.prepare` returned it.
        directory: Directory of the dataset.
        split: Name of the split.
        workers: Where paths are drawn and scored. A unit is a start, so no number depends on it.

    Raises:
        UserError: As `Cases`, or the dataset cannot have a statistic that was asked for.
    """

    def __init__(self, settings, models, directory, split, workers=HERE):
        self._settings, self._workers = settings, workers
        configs = {name: models_.windows_of(model) for name, model in models.items()}
        drawing = {name: model for name, model in models.items() if model.draw is not None}
        reach = min(
            (model.card["max_horizon"] * configs[name].subsample for name, model in drawing.items()), default=math.inf
        )
        self._cases = Cases(list(configs.values()), directory, split, settings.horizon, reach)
        windows = self._cases.windows
        starts = [(case.runs[0, 0], case.features, case.box) for case in self._cases]
        self._setting = find_setting(self._cases.manifest, starts, self._cases.training_features(), windows.num_steps)
        self._names, self._left_out = choose(self._setting, settings.statistics)
        self._left_out |= {name: "only exported models draw paths" for name in models if name not in drawing}
        training = TrainingRuns(self._cases, directory, self._setting, self._names)
        self._predictors = {
            **{
                name: DrawnPaths(model, configs[name], windows, settings.num_samples) for name, model in drawing.items()
            },
            "constant_position": baselines.ConstantPosition(windows.num_steps),
            "random_walk": baselines.RandomWalk(training, self._setting, settings.num_samples),
            "same_composition": baselines.SameComposition(training, self._setting),
            "training_stretches": baselines.TrainingStretches(training),
            "composition_regression": baselines.CompositionRegression(training, self._setting),
        }
        self._statistics = statistics(self._setting, self._names)

    def evaluate(self):
        """Draw and score all ensembles.

        Returns:
            `EnsembleFindings`.
        """
        tallies = {name: Tally() for name in self._predictors}
        not_finite = dict.fromkeys(self._predictors, 0)
        drawn, frames = [], {}
        tasks = [(shared, number) for shared in [Shared(self)] for number in range(len(self._cases))]
        with Progress("ensembles", len(self._cases), "start") as progress:
            for number, scored in enumerate(run_all(_score_one, tasks, self._workers)):
                progress.show(number + 1, f"frame {scored.frame} of {scored.file}")
                frames.setdefault(scored.file, []).append(scored.frame)
                drawn += scored.drawn
                for name, tally in scored.tallies.items():
                    tallies[name].join(tally)
                    not_finite[name] += scored.not_finite[name]
        return self._findings(tallies, not_finite, frames, drawn)

    def score(self, number):
        """Draw and score the ensembles of one start.

        Args:
            number: Its number.

        Returns:
            A `_Scored`.
        """
        (case,) = self._cases.read(self._cases.index[[number]])
        scored = _Scored(case.file, case.frame, {name: Tally(number) for name in self._predictors})
        first = next((name for name, each in self._predictors.items() if isinstance(each, DrawnPaths)), None)
        manifest, windows = self._cases.manifest, self._cases.windows
        interval = manifest.time_between_frames * windows.spacing
        system = System(self._setting.kinds(case.features), case.features, case.box)
        runs = self._curves(case.runs, system)
        for name, predictor in self._predictors.items():
            members, scored.not_finite[name] = self._score(scored.tallies[name], predictor, case, number, system, runs)
            if name == first and number in fans.chosen(len(self._cases)):
                scored.drawn += fans.fans(case.file, members, runs, self._statistics, self._setting, interval)
        return scored

    def _score(self, tally, predictor, case, number, system, runs):
        """Score one predictor at one start; its curves, and the number of paths that are not finite."""
        lost = 0
        if hasattr(predictor, "paths"):
            paths = predictor.paths(case, number)
            is_finite = np.isfinite(paths).all(axis=(1, 2, 3))
            lost = int((~is_finite).sum())
            paths = np.where(is_finite[:, None, None, None], paths, math.nan)
            members = self._curves(paths, system, runs)
            steps = self._setting.spread_steps
            steps = steps[np.unique(np.linspace(0, len(steps) - 1, _ENERGY_STEPS).round().astype(int))]
            if not self._settings.statistics:
                tally.add_energy(case.group, paths[:, steps], case.runs[:, steps])
        else:
            members = predictor.curves(case)
        for name, observed in runs.items():
            if name in members and not np.isnan(observed).any():
                tally.add(name, case.group, members[name], observed)
        return members, lost

    def _curves(self, paths, system, like=None):
        """Curves of several paths by statistic, `[S, K, ...]`; NaN for a path that is not finite."""
        rows = []
        for path in paths:
            if like is None or np.isfinite(path).all():
                rows.append(curves(path, system, self._setting, self._names))
            else:
                rows.append({name: np.full(values.shape[1:], math.nan) for name, values in like.items()})
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _findings(self, tallies, not_finite, frames, drawn):
        predictors, left_out = {}, dict(self._left_out)
        for name, tally in tallies.items():
            summary, predictor = tally.summary(), self._predictors[name]
            if not summary:
                left_out[name] = predictor.reason
                continue
            mean, count = geometric_mean(summary)
            predictors[name] = {"geometric_mean_ratio": mean, "num_ratios": count, "statistics": summary}
            if isinstance(predictor, DrawnPaths):
                predictors[name]["num_not_finite"] = not_finite[name]
        seen = {name for found in predictors.values() for name in found["statistics"]}
        described = {
            name: {"title": FAMILIES[family].title.format(groups), "power": FAMILIES[family].power, "family": family}
            for name, (family, groups) in self._statistics.items()
            if name in seen
        }
        if "configuration" in seen:
            described["configuration"] = {"title": "whole configuration", "power": 1, "family": "configuration"}
        return EnsembleFindings(
            num_samples=self._settings.num_samples,
            num_steps=self._cases.windows.num_steps,
            stored_frames_between_steps=self._cases.windows.spacing,
            frames=frames,
            num_reruns=self._cases.num_reruns,
            statistics=described,
            predictors=predictors,
            left_out=left_out,
            time_unit=self._cases.manifest.time_unit,
            fans=drawn,
        )


def _score_one(shared, number):
    """Unit of work: one start."""
    yield 0
    return shared.value.score(number)
