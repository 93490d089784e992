"""`python -m socialmd_tf.evaluate`: judge exported models beside the baselines."""

import dataclasses
import itertools
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.validation import check
from socialmd_tf import commands

PROG = "python -m socialmd_tf.evaluate"


@dataclasses.dataclass(frozen=True)
class EvaluateCommand:
    """Judge exported models on the same windows of a split, in free rollout, beside the baselines.

    Of several models the first leads: it is compared with all others, and the windows shown are chosen by its error.
    Models of different sampling are compared at the frames they have in common.
    """

    model: Annotated[tuple[tuple[Path, ...], ...], tyro.conf.UseAppendAction]
    """A SavedModel: saved_models/NAME, whose newest version is taken, or saved_models/NAME/VERSION. Several in a row,
    or --model again for each."""
    data: Path
    """Directory of the data set; the baselines' widths are fitted on its training split."""
    output: Path
    """Directory for metrics.json, report.md, report.html and paths.png."""
    split: str = "test"
    """The split to judge on."""


def main() -> None:
    """Run the command."""
    command = commands.parse(EvaluateCommand, prog=PROG)
    paths = list(itertools.chain(*command.model))
    if not paths:
        raise UserError("`--model` must name at least one SavedModel. Received none")
    Manifest.load(command.data)
    commands.load_tensorflow()
    from socialmd_tf.evaluation import evaluate
    from socialmd_tf.export.saved_model import ExportedModel

    models = [ExportedModel(path) for path in paths]
    min_frames = evaluate.common_windows(models).reference.min_frames
    check(command.data, min_frames=min_frames, splits=("train", command.split))
    evaluate.evaluate(models, command.data, command.split, command.output)
    print((command.output / "report.md").read_text(), end="")


if __name__ == "__main__":
    commands.run(main)
