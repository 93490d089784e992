"""One split's windows, and how each predictor does on them."""

import numpy as np

from pipelines.manifest import Manifest
from pipelines.molecules.known_molecules import known_molecules
from pipelines.nbody.known_forces import known_forces
from socialmd_tf.evaluation import metrics, molecule_statistics, trajectory_statistics
from socialmd_tf.evaluation.close_encounters import Encounters, encounters
from socialmd_tf.evaluation.example_windows import ShownWindow

_EVENLY_SPACED = 7


class Judging:
    """The windows that all predictors are judged on, and what is true of them.

    Memory grows with the windows of the split by a few numbers for every particle and step, and no further: the
    frames themselves are read batch by batch, once for the truth and once for every predictor.

    Args:
        windows: The `CommonWindows`.
        directory: The data set.
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
        self._forces = known_forces(self._manifest)
        self._molecules = known_molecules(self._manifest)
        self._truth, self._true_molecules = self._observables(), self._statistics()
        parts = []
        for batch in self._batches():
            paths = self._paths(batch, batch.targets)
            parts.append(encounters(paths, batch.mask))
            self._observe(self._truth, batch, paths)
            self._count(self._true_molecules, batch, paths)
        self._encounters = Encounters.concatenate(parts)
        self.num_particles = batch.mask.shape[1]
        """Particles of the largest system (N)."""
        self.mean_move = self._truth.moves.mean()
        """Mean Euclidean distance between two common frames of a true window, in units of length."""

    def judge(self, predictor):
        """Judge a `Predictor` on every window.

        Returns:
            Its `Scores`, and what they come to: `metrics.summary`, `strata` and `observables`, and of molecules
            `molecules` (`molecule_statistics.compare`), and `molecules_drawn`, the same of drawn paths in place of
            means, if it draws paths.
        """
        parts, observed = [], self._observables()
        molecules, drawn = self._statistics(), self._statistics()
        for number, batch in enumerate(self._batches()):
            parameters = self._predict(predictor, batch)
            parts.append(metrics.score(parameters, predictor.layout, batch.targets, batch.mask))
            paths = self._paths(batch, np.asarray(predictor.layout.mean(parameters)))
            self._observe(observed, batch, paths)
            self._count(molecules, batch, paths)
            if drawn is not None and predictor.draw is not None:
                self._count(drawn, batch, self._paths(batch, self._draw(predictor, batch, number)))
        scores = metrics.Scores.concatenate(parts)
        found = metrics.summary(scores, self.index[:, 0], self.mean_move)
        found["strata"] = self._encounters.strata(scores, self.mean_move)
        found["observables"] = trajectory_statistics.compare(observed, self._truth)
        if molecules is not None:
            compared = self._true_molecules, self.index[:, 0]
            found["molecules"] = molecule_statistics.compare(molecules, *compared)
            if predictor.draw is not None:
                found["molecules_drawn"] = molecule_statistics.compare(drawn, *compared)
        return scores, found

    def show(self, predictors, ranking):
        """What pictures need of some windows.

        Args:
            predictors: Dictionary of name -> `Predictor`.
            ranking: Error of every window `[W]`.

        Returns:
            `ShownWindow`s: the best, the median (the lower of two) and the worst window, then others evenly spaced
            in rank: at most eight, each once.
        """
        chosen = _choose(ranking)
        rows = self.index[[place for _, place in chosen]]
        shown = []
        for batch in self.windows.batches(self.directory, self.split, rows):
            moments = {name: self._moments(predictor, batch) for name, predictor in predictors.items()}
            observed = batch.inputs(self.windows.reference)["positions"]
            for place, real in enumerate(batch.mask > 0):
                label, window = chosen[len(shown)]
                shown.append(
                    ShownWindow(
                        label=label,
                        trajectory=int(batch.trajectories[place]),
                        first_frame=int(batch.last_observed[place]) + self.windows.spacing,
                        stride=self.windows.spacing,
                        mae=float(ranking[window]),
                        warm_up=observed[place][:, real],
                        truth=batch.targets[place][:, real],
                        predictions={
                            name: (mean[place][:, real], covariance[place][:, real])
                            for name, (mean, covariance) in moments.items()
                        },
                    )
                )
        return shown

    def _batches(self):
        return self.windows.batches(self.directory, self.split, self.index)

    def _predict(self, predictor, batch):
        """Parameters at the common frames `[B, T', N, P]`."""
        parameters = np.asarray(predictor.predict(batch.inputs(predictor.windows)))
        return parameters[:, self.windows.steps_of(predictor.windows)]

    def _draw(self, predictor, batch, number):
        """A drawn path of every window at the common frames `[B, T', N, D]`; the batch's number is the seed."""
        drawn = np.asarray(predictor.draw(batch.inputs(predictor.windows), (number, 0)))
        return drawn[:, self.windows.steps_of(predictor.windows)]

    def _moments(self, predictor, batch):
        parameters, layout = self._predict(predictor, batch), predictor.layout
        return np.asarray(layout.mean(parameters)), np.asarray(layout.covariance(parameters))

    def _paths(self, batch, positions):
        """`[B, T' + 1, N, D]`: the last observed frame before `positions`."""
        observed = batch.inputs(self.windows.reference)["positions"]
        return np.concatenate([observed[:, -1:], positions], axis=1)

    def _observables(self):
        return trajectory_statistics.Observables(self.windows.spacing * self._manifest.time_between_frames)

    def _statistics(self):
        """Of molecules their `MoleculeStatistics`; None for other data."""
        if self._molecules is None:
            return None
        dimensions = self._manifest.num_dimensions
        return molecule_statistics.MoleculeStatistics(self._molecules, dimensions, self.windows.num_steps)

    def _count(self, statistics, batch, paths):
        if statistics is not None:
            for window, real in enumerate(batch.mask > 0):
                statistics.add(paths[window][:, real], batch.features[window][real])

    def _observe(self, observed, batch, paths):
        frames = batch.inputs(self.windows.reference)["positions"][:, -2:]
        interval = self.windows.reference.subsample * self._manifest.time_between_frames
        for window, real in enumerate(batch.mask > 0):
            features = dict(zip(self._manifest.features, batch.features[window][real].T.astype(float), strict=True))
            start = trajectory_statistics.Start(
                frames[window][:, real].astype(float),
                interval,
                features.get("mass"),
                features.get("charge"),
                None if self._forces is None else self._forces.constants,
            )
            observed.add(paths[window][:, real], start)


def _choose(ranking):
    """(label, window) of the windows to show, at most eight and each once."""
    order = np.argsort(ranking, kind="stable")
    last = len(order) - 1
    labels = {0: "best", last // 2: "median", last: "worst"} | {0: "best"}
    for rank in np.linspace(0, last, _EVENLY_SPACED)[1:-1].round().astype(int).tolist():
        labels.setdefault(rank, f"rank {rank + 1} of {last + 1}")
    return [(label, int(order[rank])) for rank, label in labels.items()]
