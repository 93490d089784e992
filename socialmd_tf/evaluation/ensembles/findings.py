"""Result of an evaluation of ensembles."""

import dataclasses

import numpy as np

from pipelines.counts import counted


@dataclasses.dataclass(frozen=True)
class Fan:
    """One statistic of one start: the ensemble of the first model over what was observed."""

    statistic: str
    """Name of the statistic."""
    file: str
    """The file."""
    axis: str
    """What `x` is: "time", "lag" or "distance"."""
    x: np.ndarray
    """`[K]`: times since the last observed frame, lags, or the middles of shells at the last step."""
    quantiles: np.ndarray
    """The 5, 25, 50, 75 and 95 % quantiles of the ensemble `[5, K]`."""
    runs: np.ndarray
    """The file and its re-runs `[1 + R, K]`."""


@dataclasses.dataclass(frozen=True)
class EnsembleFindings:
    """Scores of ensembles of drawn paths of whole trajectories."""

    num_samples: int
    """Members of an ensemble (S)."""
    num_steps: int
    """Predicted frames (T')."""
    stored_frames_between_steps: int
    """Stored frames from one step to the next."""
    frames: dict[str, list[int]]
    """File -> the last observed stored frames from which ensembles were drawn."""
    num_reruns: int
    """Re-runs that begin at these frames."""
    statistics: dict[str, dict]
    """Statistic -> `title`, `power` of the unit of length, and `family`."""
    predictors: dict[str, dict]
    """Predictor -> `statistics` (statistic -> its numbers), `geometric_mean_ratio` over `num_ratios` statistics, and
    for models `num_not_finite`, the number of drawn paths with a position that is not finite."""
    left_out: dict[str, str]
    """Predictors and statistics that do not apply -> reason."""
    time_unit: str | None
    """Unit of the times of `fans`, if known."""
    fans: list[Fan]
    """Curves to draw; not part of `metrics`."""

    def calibration(self, model):
        """Means over statistics of `spread_over_skill`, `coverage_50` and `coverage_90` of a model; empty without."""
        statistics = self.predictors[model]["statistics"].values()
        having = [each for each in statistics if "coverage_50" in each]
        keys = ("spread_over_skill", "coverage_50", "coverage_90") if having else ()
        return {key: sum(each[key] for each in having) / len(having) for key in keys}

    def metrics(self):
        """All numbers as dictionaries and lists."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("fans", "time_unit")
        }

    def __str__(self):
        """The description and a table: a predictor per line."""
        width = max(map(len, self.predictors))
        lines = [
            f"{name:{width}}  {found['geometric_mean_ratio']:6.3f}  ({found['num_ratios']} statistics)"
            for name, found in self.predictors.items()
        ]
        return "\n".join([self.description(), "Geometric mean of the ratios to the re-runs:", *lines])

    def description(self):
        """Sentences that say what was drawn, from where, and what was left out."""
        starts = sum(len(frames) for frames in self.frames.values())
        distinct = sorted({frame for frames in self.frames.values() for frame in frames})
        where = f"frame {distinct[0]}" if len(distinct) == 1 else f"frames {', '.join(map(str, distinct))}"
        reruns = f"{self.num_reruns} re-runs begin there" if self.num_reruns else "the data have no re-runs of them"
        spacing = self.stored_frames_between_steps
        return (
            f"Ensembles of {self.num_samples} drawn paths of {self.num_steps} frames, "
            f"{counted(spacing, 'stored frame')} apart, after {where} of {counted(len(self.frames), 'file')} "
            f"({starts} in all); {reruns}."
            f"{left_out_sentence(self.left_out)}"
        )


def left_out_sentence(left_out):
    """A sentence that begins with a space, with the names of each reason together; empty if nothing was left out.

    Args:
        left_out: Name -> reason.
    """
    names = {reason: [] for reason in left_out.values()}
    for name, reason in left_out.items():
        names[reason].append(name)
    texts = "; ".join(f"{', '.join(together)} ({reason})" for reason, together in names.items())
    return f" Left out: {texts}." if texts else ""
