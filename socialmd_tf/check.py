"""`python -m socialmd_tf.check`: what a dataset is, what is wrong with it, and what to train on it with."""

import dataclasses
import sys
from pathlib import Path

import tyro

from pipelines.config import DataConfig
from pipelines.conversions import conversion_notes
from pipelines.counts import counted
from pipelines.description import Description, describe
from pipelines.description_page import WIDTH, entry, page
from pipelines.errors import UserError
from pipelines.resolution import resolution_warnings
from pipelines.validation import validate
from pipelines.window_counts import count_windows
from socialmd_tf import commands
from socialmd_tf.command_line.parse import typed
from socialmd_tf.config import TrainConfig
from socialmd_tf.config.advice import Advice, advise
from socialmd_tf.config.batches import bounded
from socialmd_tf.train import advised

PROG = "python -m socialmd_tf.check"


@dataclasses.dataclass(frozen=True)
class CheckCommand:
    """Say what a dataset is, what is wrong with it, which windows and preset suit it, and how long training takes.

    All files are read to find faults: one line each, and exit status 2. How particles move is measured on a sample: at
    most 12 files of the training split, 1000 successive frames of each, 100 particles. The time is that of some steps
    of the training, which are done for it. Memory does not grow with the data.

    Example: socialmd-tf check data/nbody
    """

    data: tyro.conf.Positional[Path]
    """Directory of the dataset, with its dataset.json."""


def main() -> None:
    """Run the command."""
    directory = commands.parse(CheckCommand, prog=PROG).data
    faults = validate(directory)
    if faults:
        for fault in faults:
            print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)
    description = describe(directory)
    advice = advise(description)
    warnings = resolution_warnings(directory, [description.sample.split], advice.windows)
    lines = page(description)
    notes = [line.removeprefix("note: ") for line in conversion_notes(directory)]
    lines += ["", *(entry("note", line) for line in notes)] if notes else []
    lines += ["", *(entry("warning", line.removeprefix(f"{directory}: ")) for line in warnings)] if warnings else []
    if advice.is_fault:
        print("\n".join(lines), flush=True)
        raise UserError(f"{directory}: {advice.reason}")
    print("\n".join([*lines, "", *advice_lines(description, advice)]), flush=True)
    if advice.preset is not None:
        print("\n".join([entry("time", _time(description, advice)), "", *_command(_words(description, advice))]))


def advice_lines(description: Description, advice: Advice) -> list[str]:
    """Lines about windows and preset.

    Args:
        description: The dataset.
        advice: What suits it.
    """
    if advice.preset is None:
        return ["Training", entry("impossible", advice.reason)]
    windows, config = advice.windows, _config(description, advice)
    copies = f", {config.windows.rotations} rotated copies of each per epoch" if config.windows.rotations else ""
    fit = ", the first of which is the fit" if config.is_fitted else ""
    return [
        "Training",
        entry("subsampling", _step(description, windows)),
        entry(
            "windows",
            f"{windows.warm_up_steps} observed and {windows.rollout_steps} predicted frames; the next window begins "
            f"{counted(windows.window_shift, 'frame')} later",
        ),
        entry("", _window_counts(description, windows)),
        entry("preset", f"{advice.preset}: {advice.reason}"),
        entry(
            "length",
            f"up to {config.epochs} epochs{fit}; batches of {counted(config.batch_size, 'window')}{copies}",
        ),
    ]


def _time(description: Description, advice: Advice) -> str:
    """How long the advised training takes on this machine."""
    print("timing some steps of this training on this machine", file=sys.stderr, flush=True)
    commands.load_tensorflow()
    from socialmd_tf.training.estimate import time_of_training

    return time_of_training(_config(description, advice), description.directory)


def _config(description: Description, advice: Advice) -> TrainConfig:
    return bounded(advised(advice, str(description.directory)), description.num_particles[1])


def _words(description: Description, advice: Advice) -> list[str]:
    return advice.words(description.directory, typed(PROG).removesuffix("check") + "train")


def _step(description: Description, windows: DataConfig) -> str:
    """How many stored frames a step has, and how far paths bend within it, or what speaks for every frame."""
    step = f"{counted(windows.subsample, 'stored frame')} per step of the model"
    motion = description.motion
    if windows.subsample < motion.subsample:
        return f"{step}; {motion.subsample} would suit the motion, but the files are too short for it"
    if motion.kind not in ("smooth", "kicked"):
        return step
    return f"{step}, over which paths bend by {100 * motion.at(windows.subsample).bend:.2g} % of a move"


def _window_counts(description: Description, windows: DataConfig) -> str:
    counts = {
        split: sum(count_windows(num_frames, windows) for num_frames in frames)
        for split, frames in description.num_frames.items()
    }
    return ", ".join(f"{split}: {counted(number, 'window')}" for split, number in counts.items())


def _command(words: list[str]) -> list[str]:
    """A command over as many lines as it needs, broken between flags."""
    lines, indent = [words[0]], "    "
    for word in words[1:]:
        if len(indent) + len(lines[-1]) + len(word) + 3 <= WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}")
    return [*(f"{indent}{line} \\" for line in lines[:-1]), f"{indent}{lines[-1]}"]


if __name__ == "__main__":
    commands.run(main)
