"""The windows of a split on which all predictors are scored."""

import dataclasses
import math

import numpy as np

from pipelines.manifest import Manifest
from pipelines.progress import Progress
from socialmd_tf.evaluation import example_windows, metrics, one_frame
from socialmd_tf.evaluation.close_encounters import Strata, encounters
from socialmd_tf.evaluation.example_windows import ExampleWindow
from socialmd_tf.evaluation.path_statistics import PathStatistics

_PATHS = 16
"""Drawn paths of an example window, of which moments of random motion are computed."""
_SAMPLES = 4
"""Drawn paths of an example window that are shown."""


class ScoredWindows:
    """The windows of a split, the statistics of their true paths, and the scores of predictors on them.

    Frames are read batch by batch, once for the truth and once for all predictors. Only a few numbers per window stay
    in memory.

    Args:
        windows: The `CommonWindows`.
        directory: Directory of the dataset.
        split: Name of the split.

    Raises:
        UserError: As `CommonWindows.index`.
    """

    def __init__(self, windows, directory, split):
        self.windows = windows
        self.directory = directory
        self.split = split
        self.index = windows.index(directory, split)
        """(trajectory within the split, last observed frame) `[W, 2]`."""
        self._manifest = Manifest.load(directory)
        numbers = {}
        groups = [self._manifest.group_of(file) for file in self._manifest.splits[split]]
        self.simulations = np.array([numbers.setdefault(group, len(numbers)) for group in groups])[self.index[:, 0]]
        """Number of the simulation that each window comes from `[W]`; several files can be slices of one."""
        self._truth = PathStatistics(self._manifest, windows)
        counts = []
        for batch in self._batches("true paths"):
            self._truth.add(batch, batch.targets)
            counts.append(batch.mask.sum(axis=1).max())
        self.num_particles = int(max(counts))
        """Particles of the largest system (N)."""
        self.mean_move = self._truth.trajectories.moves.mean()
        """Mean Euclidean distance between two common frames of a true window, in units of length."""

    def score(self, predictors, single_frames=False):
        """Score predictors on every window.

        Args:
            predictors: Dictionary of name -> `Predictor`.
            single_frames: Whether to score densities of single frames after true ones, too.

        Returns:
            Two dictionaries by name. The first has the `metrics.Tally` of each predictor, the second dictionaries of
            `Tally.summary`, `strata` (`close_encounters.Strata`, if a system has two particles) and `observables`
            (`trajectory_statistics.compare`). Datasets of molecules add `molecules` (`molecule_statistics.compare`) of
            predicted means, and `molecules_drawn` of drawn paths if the predictor draws paths. Of a model of random
            motion, everything but the errors is that of drawn paths.
        """
        scoring = {name: _Scoring(self, predictor, single_frames) for name, predictor in predictors.items()}
        for number, batch in enumerate(self._batches(f"{len(predictors)} predictors")):
            inputs = batch.inputs(self.windows.reference)
            path = np.concatenate([inputs["positions"][:, -1:], batch.targets], axis=1)
            found = encounters(path, batch.mask, inputs.get("box")) if self.num_particles > 1 else None
            for each in scoring.values():
                each.add(batch, number, found)
        tallies = {name: each.tally for name, each in scoring.items()}
        return tallies, {name: each.result() for name, each in scoring.items()}

    def statistics(self):
        """New, empty `PathStatistics` of the windows."""
        return PathStatistics(self._manifest, self.windows)

    @property
    def truth(self):
        """The `PathStatistics` of the true paths."""
        return self._truth

    def left_out(self, models):
        """Statistics that do not apply to these windows -> reason.

        Args:
            models: Dictionary of name -> `Predictor` of every model.
        """
        reasons = {}
        if self.num_particles == 1:
            reasons = dict.fromkeys(("strata", "radial_distribution"), "no system has two particles")
        if self._truth.molecules is not None:
            silent = [name for name, predictor in models.items() if predictor.draw is None]
            reasons |= {f"{name}, drawn": "only exported models draw paths" for name in silent}
        return reasons

    def examples(self, predictors, errors):
        """Example windows with the predictions of all predictors.

        Args:
            predictors: Dictionary of name -> `Predictor`.
            errors: Error of every window `[W]`, by which they are ranked.

        Returns:
            `ExampleWindow`s, see `example_windows.choose`.
        """
        chosen = example_windows.choose(errors)
        rows = self.index[[window for _, window in chosen]]
        found = []
        for batch in self.windows.batches(self.directory, self.split, rows):
            moments = {name: self._moments(predictor, batch) for name, predictor in predictors.items()}
            samples = {
                name: np.stack([self.draw(predictor, batch, (sample, len(found))) for sample in range(_SAMPLES)])
                for name, predictor in predictors.items()
                if predictor.draw is not None
            }
            for place in range(len(batch.mask)):
                label, window = chosen[len(found)]
                found.append(self._example(label, float(errors[window]), batch, place, moments, samples))
        return found

    def _example(self, label, error, batch, place, moments, samples):
        real = batch.mask[place] > 0
        own = [self._manifest.particle_features.index(name) for name in self._manifest.own_features]
        inputs = batch.inputs(self.windows.reference)
        return ExampleWindow(
            label=label,
            trajectory=int(batch.trajectories[place]),
            first_frame=int(batch.last_observed[place]) + self.windows.spacing,
            stride=self.windows.spacing,
            mae=error,
            warm_up=inputs["positions"][place][:, real],
            truth=batch.targets[place][:, real],
            predictions={
                name: (mean[place][:, real], covariance[place][:, real]) for name, (mean, covariance) in moments.items()
            },
            samples={name: paths[:, place][:, :, real] for name, paths in samples.items()},
            kinds=example_windows.describe(self._manifest.own_features, batch.features[place][real][:, own]),
            box=inputs["box"][place] if "box" in inputs else None,
        )

    def _batches(self, what):
        """All windows, batch by batch, with the progress."""
        done, total = 0, len(self.index)
        with Progress("evaluate", total, "window") as progress:
            for batch in self.windows.batches(self.directory, self.split, self.index):
                yield batch
                done += len(batch.mask)
                progress.show(done, f"{what}, {done} of {total} windows")

    def predict(self, predictor, batch):
        """Density parameters at the common frames `[B, T', N, P]`."""
        parameters = np.asarray(predictor.predict(batch.inputs(predictor.windows)))
        return parameters[:, self.windows.steps_of(predictor.windows)]

    def draw(self, predictor, batch, seed):
        """One drawn path of every window at the common frames `[B, T', N, D]`; the seed is two integers."""
        drawn = np.asarray(predictor.draw(batch.inputs(predictor.windows), seed))
        return drawn[:, self.windows.steps_of(predictor.windows)]

    def _moments(self, predictor, batch):
        """Mean and covariance of every predicted frame; of random motion, those of several drawn paths."""
        if predictor.is_sampled and predictor.draw is not None:
            drawn = np.stack([self.draw(predictor, batch, (number, 0)) for number in range(_PATHS)])
            apart = drawn - drawn.mean(axis=0)
            return drawn.mean(axis=0), np.einsum("s...i,s...j->...ij", apart, apart) / (_PATHS - 1)
        parameters, layout = self.predict(predictor, batch), predictor.layout
        return np.asarray(layout.mean(parameters)), np.asarray(layout.covariance(parameters))


class _Scoring:
    """What is known about one predictor so far."""

    def __init__(self, scored, predictor, single_frames):
        self._scored, self._predictor, self._single_frames = scored, predictor, single_frames
        self.tally, self._singles, self._strata = metrics.Tally(), metrics.Tally(), Strata(scored.mean_move)
        self._means = scored.statistics()
        draws = predictor.draw is not None and (self._means.molecules is not None or predictor.is_sampled)
        self._drawn = scored.statistics() if draws else None

    def add(self, batch, number, found):
        """Add a batch, its number, and its `Encounters` if there are two particles."""
        predictor = self._predictor
        layout, parameters = predictor.layout, self._scored.predict(predictor, batch)
        scores = metrics.score(parameters, layout, batch.targets, batch.mask)
        if predictor.is_sampled:
            scores = dataclasses.replace(scores, nll=np.full_like(scores.nll, math.nan))
        self.tally.add(scores)
        if found is not None:
            self._strata.add(found, scores)
        self._means.add(batch, np.asarray(layout.mean(parameters)))
        if self._drawn is not None:
            self._drawn.add(batch, self._scored.draw(predictor, batch, (number, 0)))
        singles = one_frame.score(predictor, batch, self._scored.windows) if self._single_frames else None
        if singles is not None:
            self._singles.add(singles)

    def result(self):
        """The numbers, see `ScoredWindows.score`."""
        scored, truth, is_sampled = self._scored, self._scored.truth, self._predictor.is_sampled
        result = self.tally.summary(scored.simulations, scored.mean_move)
        if is_sampled:
            result = metrics.without_density(result)
        if scored.num_particles > 1:
            result["strata"] = self._strata.result()
        shown = self._drawn if is_sampled else self._means
        result["observables"] = {} if shown is None else shown.compare(truth)
        if self._means.molecules is not None and not is_sampled:
            result["molecules"] = self._means.compare_molecules(truth, scored.simulations)
        if self._means.molecules is not None and self._drawn is not None:
            result["molecules_drawn"] = self._drawn.compare_molecules(truth, scored.simulations)
        if not self._singles.is_empty:
            result |= one_frame.summary(self._singles, scored.simulations)
        return result
