"""`python -m socialmd_tf.tune`: search hyperparameters."""

import contextlib
import dataclasses
import importlib.util
import math
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pipelines import validation
from pipelines.errors import UserError, require
from pipelines.extras import install_command
from pipelines.manifest import Manifest
from pipelines.output_directory import DirectoryLock
from socialmd_tf import commands
from socialmd_tf.config import TrainConfig, load_json
from socialmd_tf.train import parse
from socialmd_tf.tuning.search_space import search_space

PROG = "python -m socialmd_tf.tune"
_DISTRIBUTIONS = {"keras_tuner": "keras-tuner", "optuna": "optuna", "rich": "rich"}


@dataclasses.dataclass(frozen=True)
class TuneConfig(TrainConfig):
    """Search the hyperparameters that give the lowest validation loss.

    Everything that is not searched comes from the preset, --config and the flags. The output directory holds all
    trials, pictures, and best.json for `train --config`. The same command, run again, resumes the search.
    """

    run_directory: Annotated[str, tyro.conf.Suppress] = TrainConfig.run_directory
    export_directory: Annotated[str, tyro.conf.Suppress] = TrainConfig.export_directory
    initial_weights: Annotated[str | None, tyro.conf.Suppress] = None
    initial_model: Annotated[str | None, tyro.conf.Suppress] = None
    final: Annotated[bool, tyro.conf.Suppress] = False
    epochs: int = 10
    """Largest number of epochs per trial."""
    output: str = "runs/tune"
    """Directory of the search."""
    tuner: Literal["tpe", "bayesian", "hyperband", "random", "grid"] = "tpe"
    """Search method: tree-structured Parzen estimator (tpe), Gaussian process (bayesian), successive halving of random
    trials (hyperband), random trials, or all combinations (grid)."""
    max_trials: int = 20
    """Largest number of trials, including those of earlier runs of this command."""
    minutes: float | None = None
    """Time limit, in minutes. At its end, the running trial stops after its epoch and is run again when the search
    is resumed."""
    ranges: tuple[str, ...] = ()
    """Ranges to search instead of the usual ones: NAME=LOW:HIGH, NAME=LOW:HIGH:STEP, either with :log at the end, or
    NAME=VALUE,VALUE,... The error message for an unknown NAME lists all names."""
    space: str | None = None
    """JSON file of such ranges: {"NAME": "LOW:HIGH", "NAME": [VALUE, VALUE]}."""
    only: tuple[str, ...] = ()
    """Names of the hyperparameters to search, besides those of --ranges; all others keep their values."""
    worker_timeout: float = 60.0
    """Time, in seconds, after which the trial of a silent worker goes to another worker. The same for the chief and all
    workers."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        require(self.max_trials >= 1, "max_trials", "at least 1", self.max_trials)
        require(0 < self.worker_timeout < math.inf, "worker_timeout", "positive", self.worker_timeout)

    def given_ranges(self) -> dict[str, Any]:
        """The ranges of --space and --ranges; the latter take precedence."""
        ranges = load_json(Path(self.space)) if self.space else {}
        require(isinstance(ranges, dict), "space", "a file with a JSON object", ranges)
        for item in self.ranges:
            name, equals, text = item.partition("=")
            require(equals == "=", "ranges", "NAME=RANGE", item)
            ranges[name] = text
        return ranges

    def base(self) -> TrainConfig:
        """The `TrainConfig` of everything that is not searched."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(TrainConfig)}
        return TrainConfig(**{**values, "minutes": None})


def main():
    """Run the command."""
    config = parse(sys.argv[1:], TuneConfig, PROG, left_out=("epochs",))
    for module, distribution in _DISTRIBUTIONS.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(f"tune needs {distribution}, which is not installed: {install_command('tuning')}")
    if config.data is not None:
        Manifest.load(Path(config.data))  # before TensorFlow, which starts slowly
    require(not config.is_fitted, "model.force", "pair_mlp: a fitted law has nothing to search", config.model.force)
    ranges = search_space(config.base(), config.given_ranges(), config.only)
    commands.load_tensorflow()
    from socialmd_tf.training.train import demo_data
    from socialmd_tf.tuning import search

    role = search.role()
    if config.data is None:
        config = dataclasses.replace(config, data=str(demo_data()))
    validation.check(Path(config.data), min_frames=config.windows.min_frames, splits=("train", "validation"))
    with contextlib.nullcontext() if role == "worker" else DirectoryLock(Path(config.output)):
        table, oracle = search.search(config, ranges, config.base())
        print(f"the search ended: {oracle.stopped_because}")
        if role != "worker":
            finish(config, ranges, table, oracle)


def finish(config, ranges, table, oracle):
    """Write the best configuration and the pictures; print the table."""
    from socialmd_tf.tuning import search_directory

    best = search_directory.write_best(config, config.base(), ranges, oracle)
    table.console.print(table.table())
    if best is None:
        print("no trial was completed")
        sys.exit(1)
    print("pictures:", *search_directory.draw(config, ranges, oracle))
    print(f"best configuration: {best}")
    print(f"to train it: python -m socialmd_tf.train --config {best}")


if __name__ == "__main__":
    commands.run(main)
