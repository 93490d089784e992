"""Result of an evaluation."""

import dataclasses
import math

from pipelines.common_windows import CommonWindows
from pipelines.counts import counted
from socialmd_tf.evaluation.ensembles.findings import EnsembleFindings, left_out_sentence
from socialmd_tf.evaluation.ensembles.verdict import verdict as verdict_of_paths
from socialmd_tf.evaluation.example_windows import ExampleWindow
from socialmd_tf.evaluation.verdict import verdict


@dataclasses.dataclass(frozen=True)
class Findings:
    """Result of an evaluation: numbers, comparisons and example windows; `str()` gives a short table.

    The same numbers as plain dictionaries are in `metrics()`; `socialmd_tf.report.write` turns findings into files.
    """

    data: str
    """Name of the dataset."""
    length_unit: str
    """Length unit of the dataset; "1" means dimensionless."""
    split: str
    """Name of the split."""
    models: dict[str, str]
    """Name -> path of every model, or "in memory". The first model is the one that is compared with all others."""
    windows: CommonWindows
    """The windows on which all predictors were scored."""
    num_windows: int
    """Number of these windows."""
    results: dict[str, dict]
    """Name of a predictor -> its numbers, see `ScoredWindows.score`; the models come first."""
    left_out: dict[str, str]
    """Predictors and statistics that do not apply to these data -> reason."""
    comparisons: list[dict]
    """Paired differences between predictors, see `paired_bootstrap.compare`."""
    examples: list[ExampleWindow]
    """Windows to look at: the best, the median, the worst and some others."""
    random: list[str] = dataclasses.field(default_factory=list)
    """Names of the models of random motion, which are rolled out by draws."""
    ensembles: EnsembleFindings | None = None
    """Scores of ensembles, if there were any."""
    time_between_steps: float | None = None
    """Time from one predicted step to the next, in `time_unit`."""
    time_unit: str | None = None
    """Unit of time of the dataset; None if not stated."""
    about_data: dict[str, int] = dataclasses.field(default_factory=dict)
    """`num_dimensions`, `num_particles` (of the largest system), `num_simulations`."""
    about_models: dict[str, dict] = dataclasses.field(default_factory=dict)
    """Name of a model -> what is known of it: `preset`, `num_parameters`, `data` it was trained on, `losses` of the
    epochs, `loss` and `val_loss`."""
    pair_forces: list[dict] = dataclasses.field(default_factory=list)
    """Learned forces between pairs, see `pair_forces.pair_forces`, and responses to single neighbours, see
    `pair_responses.pair_responses`."""
    date: str | None = None
    """Day of the evaluation."""
    command: str | None = None
    """The command that made these findings, if it was one."""

    @property
    def first_model(self):
        """Name of the first model."""
        return next(iter(self.models))

    @property
    def verdict(self):
        """A sentence: whether the first model is better than the baselines, and whether its uncertainty is true."""
        is_sampled = self.first_model in self.random
        of_paths = None if self.ensembles is None else verdict_of_paths(self.ensembles, list(self.models))
        return verdict(self.results, self.comparisons, self.first_model, self.length_unit, is_sampled, of_paths)

    def metrics(self):
        """All numbers as JSON-ready dictionaries and lists, the content of `metrics.json`.

        Numbers that do not exist, such as the standard error over one simulation, are None.
        """
        return json_ready(
            {
                "model": self.first_model,
                "models": self.models,
                "data": self.data,
                "split": self.split,
                "num_windows": self.num_windows,
                "num_steps": self.windows.num_steps,
                "stored_frames_between_steps": self.windows.spacing,
                "verdict": self.verdict,
                "predictors": self.results,
                "left_out": self.left_out,
                "comparisons": self.comparisons,
                **({"pair_forces": self.pair_forces} if self.pair_forces else {}),
                **({} if self.ensembles is None else {"ensembles": self.ensembles.metrics()}),
            }
        )

    def description(self):
        """Sentences that say which models were evaluated, on which windows, and what was left out."""
        models = ", ".join(path if path != "in memory" else f"{name} (in memory)" for name, path in self.models.items())
        return (
            f"{models} on the {self.split} split of {self.data}: {counted(self.num_windows, 'window')}, each a free "
            f"rollout of {counted(self.windows.num_steps, 'frame')} after "
            f"{self.windows.reference.warm_up_steps} observed ones, "
            f"{counted(self.windows.spacing, 'stored frame')} apart."
            f"{self._samplings()}{self._random_motion()}{left_out_sentence(self.left_out)}"
        )

    def _random_motion(self):
        if not self.random:
            return ""
        return (
            f" Models of random motion: {', '.join(self.random)}. They are meant for drawn paths: their rollout of "
            "means has errors, but no NLL, no coverage and no statistics. Their one-frame NLL is that of single frames "
            "after true ones; their statistics, regions and pictures are those of drawn paths."
        )

    def _samplings(self):
        if len(self.windows.views) == 1:
            return ""
        views = ", ".join(f"{counted(steps, 'frame')} {subsample} apart" for subsample, steps in self.windows.views)
        return (
            f" The models observe {views}, up to the same last frame, and are scored at the frames that all of them "
            "predict. The baselines observe the frames of the model with the coarsest sampling."
        )

    def __str__(self):
        """The description and a table: a predictor per line."""
        width = max(map(len, self.results))
        keys = {"NLL": "nll", "MAE": "mae", "coverage 50 %": "coverage_50", "coverage 90 %": "coverage_90"}
        keys = {"one-frame NLL": "one_frame_nll", **keys} if self.random else keys
        lines = ["  ".join([f"{'':{width}}", *(f"{title:>13}" for title in keys)])]
        for name, result in self.results.items():
            cells = [_cell(result.get(key), key) for key in keys.values()]
            lines.append("  ".join([f"{name:{width}}", *cells]))
        lines += ["", self.verdict] if self.verdict else []
        lines += [] if self.ensembles is None else ["", str(self.ensembles)]
        return "\n".join([self.description(), "", *lines])


def _cell(value, key):
    if value is None or not math.isfinite(value):
        return f"{'n/a':>13}"
    if key.startswith("coverage"):
        return f"{100 * value:11.1f} %"
    return f"{value:13.3f}" if key.endswith("nll") else f"{value:13.4g}"


def json_ready(value):
    """A copy of nested dictionaries and lists with None for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_ready(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
