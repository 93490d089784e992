"""The windows of a split on which all predictors are scored."""

import numpy as np

from pipelines.manifest import Manifest
from pipelines.progress import Progress
from pipelines.workers import HERE, Shared, run_all
from socialmd_tf.evaluation import example_windows
from socialmd_tf.evaluation.close_encounters import MOST_PARTICLES, encounters, sample_of_particles
from socialmd_tf.evaluation.example_windows import ExampleWindow
from socialmd_tf.evaluation.path_statistics import PathStatistics
from socialmd_tf.evaluation.scoring import Scoring, score_some

_PATHS = 16
"""Drawn paths of an example window, of which moments of random motion are computed."""
_SAMPLES = 4
"""Drawn paths of an example window that are shown."""
_BATCHES, _MOST_UNITS = 16, 256
"""Batches of a unit of work, and units above which each has more."""


class ScoredWindows:
    """The windows of a split, the statistics of their true paths, and the scores of predictors on them.

    Frames are read batch by batch, once for the truth and once for all predictors. Only a few numbers per window stay
    in memory.

    Args:
        windows: The `CommonWindows`.
        directory: Directory of the dataset.
        split: Name of the split.
        workers: Where the windows are read and scored. Units are groups of batches, and their sums are added in one
            order, so no number depends on it.

    Raises:
        UserError: As `CommonWindows.index`.
    """

    def __init__(self, windows, directory, split, workers=HERE):
        self.windows = windows
        self._workers = workers
        self.directory = directory
        self.split = split
        self.index = windows.index(directory, split)
        """(trajectory within the split, last observed frame) `[W, 2]`."""
        self._manifest = Manifest.load(directory)
        numbers = {}
        groups = [self._manifest.group_of(file) for file in self._manifest.splits[split]]
        self.simulations = np.array([numbers.setdefault(group, len(numbers)) for group in groups])[self.index[:, 0]]
        """Number of the simulation that each window comes from `[W]`; several files can be slices of one."""
        self._truth, self.num_particles = self.statistics(), 0
        for part, num_particles in self._on_all(_true_paths, "true paths", Shared(self)):
            self._truth.join(part)
            self.num_particles = max(self.num_particles, num_particles)
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
        first = self.encounters(next(self.windows.batches(self.directory, self.split, self.index)))
        scoring = Scoring(self, predictors, single_frames, first)
        sums = scoring.new_sums()
        for part in self._on_all(score_some, f"{len(predictors)} predictors", Shared(scoring)):
            for name, each in part.items():
                sums[name].join(each)
        results = {name: each.result(self, predictors[name]) for name, each in sums.items()}
        return {name: each.tally for name, each in sums.items()}, results

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
        if self.num_particles > MOST_PARTICLES:
            count = len(sample_of_particles(self.num_particles))
            reasons["most pairs"] = (
                f"of systems of more than {MOST_PARTICLES} particles, pair distances and close encounters are those of "
                f"a random sample, here {count} of {self.num_particles}, with all others; the energy is not computed"
            )
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
                name: self._draw_several(predictor, batch, _SAMPLES, len(found))
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

    def _on_all(self, work, what, shared):
        """Results of `work(shared, first batch, rows)` on groups of batches of all windows, with the progress.

        The groups do not depend on the workers.
        """
        total, size = len(self.index), self.windows.size_of_batches(self.directory, self.split)
        rows_per_unit = size * max(_BATCHES, -(-total // (size * _MOST_UNITS)))
        starts = range(0, total, rows_per_unit)
        tasks = [(shared, start // size, self.index[start : start + rows_per_unit]) for start in starts]
        done = dict.fromkeys(range(len(tasks)), 0)
        with Progress("evaluate", total, "window") as progress:

            def report(place, count):
                done[place] = count
                progress.show(sum(done.values()), f"{what}, {sum(done.values())} of {total} windows")

            yield from run_all(work, tasks, self._workers, report)

    def encounters(self, batch):
        """`Encounters` of the true paths of a batch; None if no system has two particles."""
        if self.num_particles < 2:
            return None
        inputs = batch.inputs(self.windows.reference)
        path = np.concatenate([inputs["positions"][:, -1:], batch.targets], axis=1)
        return encounters(path, batch.mask, inputs.get("box"))

    def predict(self, predictor, batch):
        """Density parameters at the common frames `[B, T', N, P]`."""
        parameters = np.asarray(predictor.predict(batch.inputs(predictor.windows)))
        return parameters[:, self.windows.steps_of(predictor.windows)]

    def draw(self, predictor, inputs, seed):
        """One drawn path after each of the inputs at the common frames `[B, T', N, D]`; the seed is two integers."""
        return np.asarray(predictor.draw(inputs, seed))[:, self.windows.steps_of(predictor.windows)]

    def _draw_several(self, predictor, batch, number, seed):
        """Drawn paths of every window `[S, B, T', N, D]`, as many together as a batch may have windows."""
        inputs, count = batch.inputs(predictor.windows), len(batch.mask)
        together = max(1, self.windows.size_of_batches(self.directory, self.split) // count)
        drawn = []
        for first in range(0, number, together):
            copies = min(together, number - first)
            repeated = {name: np.concatenate([values] * copies) for name, values in inputs.items()}
            paths = self.draw(predictor, repeated, (seed, first * count))
            drawn.append(paths.reshape(copies, count, *paths.shape[1:]))
        return np.concatenate(drawn)

    def _moments(self, predictor, batch):
        """Mean and covariance of every predicted frame; of random motion, those of several drawn paths."""
        if predictor.is_sampled and predictor.draw is not None:
            drawn = self._draw_several(predictor, batch, _PATHS, 0)
            apart = drawn - drawn.mean(axis=0)
            return drawn.mean(axis=0), np.einsum("s...i,s...j->...ij", apart, apart) / (_PATHS - 1)
        parameters, layout = self.predict(predictor, batch), predictor.layout
        return np.asarray(layout.mean(parameters)), np.asarray(layout.covariance(parameters))


def _true_paths(shared, first, rows):
    """Unit of work: `PathStatistics` of the true paths of some windows, and the number of particles of the largest."""
    scored, largest, done = shared.value, 0, 0
    statistics = scored.statistics()
    for batch in scored.windows.batches(scored.directory, scored.split, rows):
        statistics.add(batch, batch.targets)
        largest = max(largest, int(batch.mask.sum(axis=1).max()))
        done += len(batch.mask)
        yield done
    return statistics, largest
