"""Result of an evaluation of compositions."""

import dataclasses

from socialmd_tf.evaluation.ensembles.findings import left_out_sentence
from socialmd_tf.evaluation.findings import json_ready


@dataclasses.dataclass(frozen=True)
class CompositionFindings:
    """Summary statistics of mixtures: predicted ones, and those of the simulations of the dataset."""

    model: str
    """Name of the model."""
    data: str
    """Name of the dataset."""
    length_unit: str
    """Unit of length; "1" means dimensionless."""
    time_unit: str | None
    """Unit of time, if known."""
    first_frame: int
    """First observed stored frame."""
    num_observed: int
    """Observed frames (T)."""
    num_steps: int
    """Predicted frames (T')."""
    duration: float
    """Time from the last observed to the last predicted frame."""
    num_samples: int
    """Members of an ensemble (S)."""
    statistics: dict[str, dict]
    """Statistic -> `title`, `power` of the unit of length, `family`, `groups` (the types that it is about), and
    `has_final`: whether it is one number per step."""
    compositions: list[dict]
    """For each mixture `drug`, `background`, `fraction`, `in_training` (whether a training file has this composition),
    `num_simulations` and `num_reruns` (of it, in other splits), `num_not_finite` (drawn paths with a position that is
    not finite), `simulated` (statistic -> numbers of all simulations of it at the last step), and `predictors`:
    name -> `final` (statistic -> `mean`, `standard_deviation` and the 5, 25, 50, 75 and 95 % `quantiles` of the members
    at the last step) and `scores` (statistic -> its numbers, see `scores.scores_of`)."""
    simulations: list[dict]
    """For each simulation of a drug and the background `drug`, `background`, `fraction`, `in_training`, and `final`:
    statistic -> its number at the last step."""
    left_out: dict[str, str]
    """What does not apply to these data -> reason."""

    def metrics(self):
        """All numbers as JSON-ready dictionaries and lists; None for those that do not exist."""
        return json_ready(dataclasses.asdict(self))

    def description(self):
        """Sentences that say what was drawn, and from where."""
        frames = f"frames {self.first_frame} and on" if self.first_frame else "the first frames"
        time = f" ({self.duration:g} {self.time_unit})" if self.time_unit else ""
        return (
            f"{self.model} on {self.data}: {self.num_samples} paths of {self.num_steps} frames{time} per composition. "
            f"No simulation of the composition is read: {self.num_observed} observed frames are {frames} of training "
            f"simulations, with the types of the particles redrawn.{left_out_sentence(self.left_out)}"
        )
