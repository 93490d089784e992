"""What an evaluation found, as files."""

import dataclasses

from pipelines.common_windows import CommonWindows
from socialmd_tf.report import markdown_tables


@dataclasses.dataclass(frozen=True)
class Findings:
    """All that an evaluation found."""

    data: str
    """Name of the data set."""
    unit: str
    """Its unit of length."""
    split: str
    """Name of the split."""
    models: dict[str, str]
    """Name -> path of every model; the first leads."""
    windows: CommonWindows
    """The windows all were judged on."""
    num_windows: int
    """How many."""
    results: dict[str, dict]
    """Of every predictor what `evaluation.evaluate` returns."""
    left_out: dict[str, str]
    """Name -> reason of the predictors that do not apply."""
    comparisons: list[dict]
    """What `comparison.compare` returns."""
    shown: list
    """The `ShownWindow`s."""

    @property
    def leader(self):
        """Name of the first model."""
        return next(iter(self.models))

    def metrics(self):
        """Everything in numbers, for `metrics.json`."""
        return {
            "model": self.leader,
            "models": self.models,
            "data": self.data,
            "split": self.split,
            "num_windows": self.num_windows,
            "num_steps": self.windows.num_steps,
            "stored_frames_between_steps": self.windows.spacing,
            "predictors": self.results,
            "left_out": self.left_out,
            "comparisons": self.comparisons,
        }

    def introduction(self):
        """What was judged and how, in words."""
        windows, reference = self.windows, self.windows.reference
        models = ", ".join(self.models.values())
        missing = "".join(f" {name} is left out: {reason}." for name, reason in self.left_out.items())
        return (
            f"{models} on the {self.split} split of {self.data}: free rollout of {windows.num_steps} frames after "
            f"{reference.warm_up_steps}, {windows.spacing} stored frames apart, in {self.num_windows} windows. NLL in "
            f"nats per particle and step; lengths in the unit of the data ({self.unit}); ± is the standard error over "
            f"trajectories.{self._sampling()}{missing}"
        )

    def _sampling(self):
        if len(self.windows.views) == 1:
            return ""
        views = ", ".join(f"{steps} frames {subsample} apart" for subsample, steps in self.windows.views)
        return (
            f" The models observe {views}, all up to the same last frame, and are judged at the frames they have in "
            "common. What needs no training observes what the model of the coarsest frames observes."
        )

    def report(self):
        """Everything as text for people, Markdown too."""
        mean_move = self.results[self.leader]["mean_move"]
        return (
            f"{self.introduction()}\n\n{markdown_tables.predictors(self.results)}\n\n"
            "Differences on the same windows, first minus second, with the 95 % bootstrap interval over "
            f"trajectories; below zero the first is better:\n\n{markdown_tables.comparisons(self.comparisons)}\n\n"
            f"MAE / median AE by how closely a particle meets another, in mean moves ({mean_move:.4g}) between two "
            "frames. Crossing are particles that pass another between two frames, nearer than a mean move and than "
            f"half their distance at either frame:\n\n{markdown_tables.strata(self.results)}\n\n"
            "Do summary statistics hold? NLL in units of a mean move; Wasserstein distances of the distributions of "
            "moves and of pair distances, relative difference of mean squared displacements; median drift of energy "
            "and momentum at the last step, relative to the initial kinetic energy and sum of m |v|, in brackets that "
            f"of the truth by the same finite differences:\n\n{markdown_tables.observables(self.results)}\n"
            f"{self._molecules()}"
        )

    def _molecules(self):
        """What is said of molecules alone."""
        table = markdown_tables.molecules(self.results)
        if not table:
            return ""
        return (
            "\nDo the molecules' own statistics hold? Of predicted means, and of paths drawn from the density, one a "
            "window. Mean absolute error of the statistic of a window at a step, in the unit of the data (areas: its "
            "square), and by the mean of the truth. Distances are from the centre, the area is that of spheres in "
            f"place of the molecules:\n\n{table}\n"
        )

    def draw(self, output):
        """Write `paths.png`, the window of median error, and `report.html` into a directory."""
        from socialmd_tf.report import html_page, plots

        window = next((each for each in self.shown if each.label == "median"), self.shown[0])
        plots.paths(
            output / "paths.png",
            window.warm_up,
            *window.predictions[self.leader],
            truth=window.truth,
            unit=self.unit,
            title=f"{self.data}, window of median error: {len(window.truth)} frames predicted from "
            f"{len(window.warm_up)} (MAE {window.mae:.3f})",
        )
        html_page.write(
            output / "report.html",
            title=f"{', '.join(self.models)} on {self.data}",
            introduction=self.introduction(),
            results=self.results,
            comparisons=self.comparisons,
            shown=self.shown,
            unit=self.unit,
        )
