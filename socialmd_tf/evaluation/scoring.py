"""Scores of all predictors on some windows: a unit of work, whose sums are added to those of the others."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from socialmd_tf.evaluation import metrics, one_frame
from socialmd_tf.evaluation.close_encounters import Strata

_TOGETHER = 2
"""Predictors that are scored at the same time: a model takes about as long as an integrator, and neither all cores."""


class Scoring:
    """What all units of work need to know.

    Args:
        scored: The `ScoredWindows`.
        predictors: Dictionary of name -> `Predictor`.
        single_frames: Whether to score densities of single frames after true ones, too.
        first: The `Encounters` of the first batch, or None if no system has two particles.
    """

    def __init__(self, scored, predictors, single_frames, first):
        self.scored, self.predictors, self.single_frames, self._first = scored, predictors, single_frames, first

    def new_sums(self):
        """Name -> empty `Sums` of each predictor."""
        return {name: self._new_sums(predictor) for name, predictor in self.predictors.items()}

    def _new_sums(self, predictor):
        means = self.scored.statistics()
        draws = predictor.draw is not None and (means.molecules is not None or predictor.is_sampled)
        strata = None if self._first is None else Strata(self.scored.mean_move, self._first)
        return Sums(strata, means, self.scored.statistics() if draws else None)


def score_some(shared, number, rows):
    """Score all predictors on some windows.

    Args:
        shared: The `Scoring`, shared.
        number: Number of the first batch, by which paths are drawn.
        rows: Rows of `ScoredWindows.index`.

    Yields:
        The number of windows that are scored.

    Returns:
        Name -> `Sums`.
    """
    scoring, done = shared.value, 0
    scored, sums = scoring.scored, scoring.new_sums()
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for place, batch in enumerate(scored.windows.batches(scored.directory, scored.split, rows)):
            found = scored.encounters(batch)
            added = [
                pool.submit(sums[name].add, scoring, predictor, batch, number + place, found)
                for name, predictor in scoring.predictors.items()
            ]
            for each in added:
                each.result()
            done += len(batch.mask)
            yield done
    return sums


class Sums:
    """What is known about one predictor so far.

    Args:
        strata: `Strata`, or None if no system has two particles.
        means: `PathStatistics` of predicted means.
        drawn: `PathStatistics` of drawn paths, or None if none are drawn.
    """

    def __init__(self, strata, means, drawn):
        self.tally = metrics.Tally()
        self._singles, self._strata, self._means, self._drawn = metrics.Tally(), strata, means, drawn

    def add(self, scoring, predictor, batch, number, found):
        """Add a batch, its number, and its `Encounters` if there are two particles."""
        scored, layout = scoring.scored, predictor.layout
        parameters = scored.predict(predictor, batch)
        scores = metrics.score(parameters, layout, batch.targets, batch.mask)
        if predictor.is_sampled:
            scores = dataclasses.replace(scores, nll=np.full_like(scores.nll, math.nan))
        self.tally.add(scores)
        if self._strata is not None:
            self._strata.add(found, scores)
        self._means.add(batch, np.asarray(layout.mean(parameters)))
        if self._drawn is not None:
            self._drawn.add(batch, scored.draw(predictor, batch.inputs(predictor.windows), (number, 0)))
        singles = one_frame.score(predictor, batch, scored.windows) if scoring.single_frames else None
        if singles is not None:
            self._singles.add(singles)

    def join(self, other):
        """Add the sums of the windows that follow."""
        self.tally.join(other.tally)
        self._singles.join(other._singles)
        self._means.join(other._means)
        for ours, theirs in ((self._strata, other._strata), (self._drawn, other._drawn)):
            if ours is not None:
                ours.join(theirs)

    def result(self, scored, predictor):
        """The numbers, see `ScoredWindows.score`."""
        truth, is_sampled = scored.truth, predictor.is_sampled
        result = self.tally.summary(scored.simulations, scored.mean_move)
        if is_sampled:
            result = metrics.without_density(result)
        if self._strata is not None:
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
