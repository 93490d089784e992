"""The windows of a split on which all predictors are scored."""

import dataclasses
import math

import numpy as np

from pipelines.manifest import Manifest
from socialmd_tf.evaluation import example_windows, metrics, one_frame
from socialmd_tf.evaluation.close_encounters import Encounters, encounters
from socialmd_tf.evaluation.example_windows import ExampleWindow
from socialmd_tf.evaluation.path_statistics import PathStatistics

_PATHS = 16


class ScoredWindows:
    """The windows of a split, the statistics of their true paths, and the scores of predictors on them.

    Frames are read batch by batch, once for the truth and once for every predictor. Only a few numbers per particle
    and step stay in memory.

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
        groups = [self._manifest.group_of(file) for file in self._manifest.splits[split]]
        self.simulations = np.array([groups.index(group) for group in groups])[self.index[:, 0]]
        """Number of the simulation that each window comes from `[W]`; several files can be slices of one."""
        self._truth = PathStatistics(self._manifest, windows)
        parts, counts = [], []
        for batch in self._batches():
            self._truth.add(batch, batch.targets)
            inputs = batch.inputs(windows.reference)
            path = np.concatenate([inputs["positions"][:, -1:], batch.targets], axis=1)
            parts.append(encounters(path, batch.mask, inputs.get("box")))
            counts.append(batch.mask.sum(axis=1).max())
        self._encounters = Encounters.concatenate(parts)
        self.num_particles = int(max(counts))
        """Particles of the largest system (N)."""
        self.mean_move = self._truth.trajectories.moves.mean()
        """Mean Euclidean distance between two common frames of a true window, in units of length."""

    def score(self, predictor, single_frames=False):
        """Score a `Predictor` on every window.

        Args:
            predictor: The `Predictor`.
            single_frames: Whether to score densities of single frames after true ones, too.

        Returns:
            Its `Scores`, and a dictionary of `metrics.summary`, `strata` (`Encounters.strata`, if a system has two
            particles) and `observables` (`trajectory_statistics.compare`). Datasets of molecules add `molecules`
            (`molecule_statistics.compare`) of predicted means, and `molecules_drawn` of drawn paths if the predictor
            draws paths. Of a model of random motion, everything but the errors is that of drawn paths.
        """
        parts, means = [], PathStatistics(self._manifest, self.windows)
        draws = predictor.draw is not None and (means.molecules is not None or predictor.is_sampled)
        drawn = PathStatistics(self._manifest, self.windows) if draws else None
        singles = []
        for number, batch in enumerate(self._batches()):
            parameters = self._predict(predictor, batch)
            parts.append(metrics.score(parameters, predictor.layout, batch.targets, batch.mask))
            means.add(batch, np.asarray(predictor.layout.mean(parameters)))
            if draws:
                drawn.add(batch, self._draw(predictor, batch, number))
            singles += [one_frame.score(predictor, batch, self.windows)] if single_frames else []
        scores = metrics.Scores.concatenate(parts)
        result = metrics.summary(scores, self.simulations, self.mean_move)
        if predictor.is_sampled:
            scores = dataclasses.replace(scores, nll=np.full_like(scores.nll, math.nan))
            result = metrics.without_density(result)
        if self.num_particles > 1:
            result["strata"] = self._encounters.strata(scores, self.mean_move)
        shown = drawn if predictor.is_sampled else means
        result["observables"] = shown.compare(self._truth) if shown else {}
        if means.molecules is not None and not predictor.is_sampled:
            result["molecules"] = means.compare_molecules(self._truth, self.simulations)
        if draws and means.molecules is not None:
            result["molecules_drawn"] = drawn.compare_molecules(self._truth, self.simulations)
        if singles and None not in singles:
            result |= one_frame.summary(metrics.Scores.concatenate(singles), self.simulations)
        return scores, result

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
            for place in range(len(batch.mask)):
                label, window = chosen[len(found)]
                found.append(self._example(label, float(errors[window]), batch, place, moments))
        return found

    def _example(self, label, error, batch, place, moments):
        real = batch.mask[place] > 0
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
            box=inputs["box"][place] if "box" in inputs else None,
        )

    def _batches(self):
        return self.windows.batches(self.directory, self.split, self.index)

    def _predict(self, predictor, batch):
        """Density parameters at the common frames `[B, T', N, P]`."""
        parameters = np.asarray(predictor.predict(batch.inputs(predictor.windows)))
        return parameters[:, self.windows.steps_of(predictor.windows)]

    def _draw(self, predictor, batch, number):
        """One drawn path of every window at the common frames `[B, T', N, D]`; the number of the batch is the seed."""
        drawn = np.asarray(predictor.draw(batch.inputs(predictor.windows), (number, 0)))
        return drawn[:, self.windows.steps_of(predictor.windows)]

    def _moments(self, predictor, batch):
        """Mean and covariance of every predicted frame; of random motion, those of several drawn paths."""
        if predictor.is_sampled and predictor.draw is not None:
            drawn = np.stack([self._draw(predictor, batch, number) for number in range(_PATHS)])
            apart = drawn - drawn.mean(axis=0)
            return drawn.mean(axis=0), np.einsum("s...i,s...j->...ij", apart, apart) / (_PATHS - 1)
        parameters, layout = self._predict(predictor, batch), predictor.layout
        return np.asarray(layout.mean(parameters)), np.asarray(layout.covariance(parameters))
