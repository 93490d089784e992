"""`python -m socialmd_tf.evaluate`: judge an exported model beside the baselines."""

import dataclasses
from pathlib import Path

from pipelines.trajectory import Manifest, check
from socialmd_tf import commands

PROG = "python -m socialmd_tf.evaluate"


@dataclasses.dataclass(frozen=True)
class EvaluateCommand:
    """Judge an exported model on every window of a split, in free rollout, beside the baselines."""

    model: Path
    """The SavedModel: saved_models/NAME, whose newest version is taken, or saved_models/NAME/VERSION."""
    data: Path
    """Directory of the data set; the baselines' widths are fitted on its training split."""
    output: Path
    """Directory for metrics.json, report.md and paths.png."""
    split: str = "test"
    """The split to judge on."""


def main() -> None:
    """Run the command."""
    command = commands.parse(EvaluateCommand, prog=PROG)
    Manifest.load(command.data)
    commands.load_tensorflow()
    from socialmd_tf import evaluation
    from socialmd_tf.export import Exported

    model = Exported(command.model)
    check(command.data, min_frames=evaluation.windows_of(model).min_frames, splits=("train", command.split))
    results = evaluation.evaluate(model, command.data, command.split, command.output)
    print(evaluation.report(model, command.data, command.split, results))


if __name__ == "__main__":
    commands.run(main)
