"""`python -m socialmd_tf.evaluate`: evaluate exported models beside the baselines."""

import dataclasses
import itertools
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipelines.conversions import conversion_notes
from pipelines.errors import UserError, require
from pipelines.manifest import Manifest
from pipelines.workers import HERE, Workers
from socialmd_tf import commands
from socialmd_tf.command_line.parse import typed
from socialmd_tf.export.versions import find_version
from socialmd_tf.report.write import check_directory, write

PROG = "python -m socialmd_tf.evaluate"


@dataclasses.dataclass(frozen=True)
class EvaluateCommand:
    """Evaluate exported models and baselines in free rollout on the same windows of a split.

    The first model is compared with all other predictors, and example windows are ranked by its error. Models with
    different sampling are compared at the frames that all of them predict.
    """

    model: Annotated[tuple[tuple[Path, ...], ...], tyro.conf.UseAppendAction]
    """SavedModel: saved_models/NAME for its newest version, or saved_models/NAME/VERSION. List several, or repeat
    --model."""
    data: Path
    """Directory of the dataset. The widths of the baselines are fitted on its training split."""
    output: Path
    """Directory for metrics.json, report.md, report.html and paths.png."""
    split: str = "test"
    """Split to evaluate on."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the models; auto: where there is a GPU. They are many times faster there."""
    num_samples: int = 0
    """Number of paths to draw from every file of the split, to the end of the files. Their summary statistics are
    scored as an ensemble; 0 for no ensembles. 64 is a good number."""
    horizon: int | None = None
    """Number of stored frames of the ensembles. By default as many as all files and re-runs have."""
    statistics: tuple[str, ...] = ()
    """Summary statistics of the ensembles, such as radius move displacement. By default all that the data can have."""
    workers: Annotated[Workers, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=Workers)


def main() -> None:
    """Run the command."""
    command = commands.parse(EvaluateCommand, prog=PROG)
    paths = list(itertools.chain(*command.model))
    _check_samples(command)
    if not paths:
        raise UserError("`--model` must name at least one SavedModel. Received none")
    check_directory(command.output)
    for path in paths:  # refused before the slow start
        find_version(path)
    Manifest.load(command.data)
    for line in conversion_notes(command.data, ("train", command.split)):
        print(line, flush=True)
    commands.load_tensorflow()
    from socialmd_tf.export.saved_model import load

    models = [load(path, command.compile) for path in paths]
    chosen = {name: getattr(command, name) for name in ("num_samples", "horizon", "statistics", "workers")}
    findings = evaluate(models, command.data, command.split, **chosen)
    line = shlex.join([*typed(PROG).split(), *sys.argv[1:]])
    write(dataclasses.replace(findings, command=line), command.output)
    print((command.output / "report.md").read_text(), end="")
    if findings.verdict:
        print(f"\nverdict: {findings.verdict}")


def _check_samples(command):
    """Refuse ensembles of one, and settings of ensembles without any, before the slow start."""
    samples = command.num_samples
    require(samples == 0 or samples >= 2, "num_samples", "at least 2, or 0 for no ensembles", samples)
    for name in ("horizon", "statistics"):
        value = getattr(command, name)
        require(samples or not value, name, "left out without --num-samples, whose ensembles it is about", value)


def evaluate(models, data, split="test", windows=None, *, num_samples=0, horizon=None, statistics=(), workers=HERE):
    """Evaluate models and baselines in free rollout on every window of a split; writes nothing.

    Args:
        models: One model or several: paths of SavedModels, loaded ones, or models of `build_model`. The first is
            compared with all other predictors.
        data: Directory of the dataset. The widths of the baselines are fitted on its training split.
        split: Name of the split.
        windows: The `DataConfig` that models in memory were trained with; the default one if None.
        num_samples: Number of paths to draw from every file, whose summary statistics are scored as an ensemble; 0 for
            no ensembles.
        horizon: Number of stored frames of the ensembles; None for as many as all files and re-runs have.
        statistics: Names of the summary statistics; all that the data can have if empty.
        workers: `Workers` that score the windows; only paths of SavedModels can be scored elsewhere than here.

    Returns:
        `Findings`: `print` it for a table, `metrics()` has all numbers.

    Raises:
        UserError: There is no model, a path holds none, the data do not fit a model or are faulty, there is no
            training split, the models have no frames in common, a model is named twice, or ensembles cannot be drawn
            as wished.
    """
    from socialmd_tf.evaluation import evaluate
    from socialmd_tf.evaluation.ensembles.evaluate import EnsembleSettings
    from socialmd_tf.export.saved_model import load

    models = models if isinstance(models, list | tuple) else [models]
    require(len(models) > 0, "models", "one model or several", models)
    loaded = [load(model) if isinstance(model, str | os.PathLike) else model for model in models]
    ensembles = EnsembleSettings(num_samples, horizon, tuple(statistics)) if num_samples else None
    return evaluate.evaluate(loaded, data, split, windows, ensembles, workers)


if __name__ == "__main__":
    commands.run(main)
