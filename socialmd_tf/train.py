"""`python -m socialmd_tf.train`: train a model, export it, and compare it with the baselines."""

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path

from pipelines.description import describe
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.validation import check
from socialmd_tf import commands
from socialmd_tf.command_line import flag_names
from socialmd_tf.command_line.train_groups import train_groups
from socialmd_tf.config import TrainConfig, from_dict, load_json
from socialmd_tf.config.advice import Advice, advise
from socialmd_tf.training.initial import settings_of_export
from socialmd_tf.training.task import task_of_environment

PROG = "python -m socialmd_tf.train"
_OF_DEMO = Advice("forces", "the simulated particles move smoothly, as under forces")
_NETWORK = ("preset", "model", "initial_model", "initial_weights")


def parse(args, config_type=TrainConfig, prog=PROG, left_out=(), advice=None):
    """Flags -> `TrainConfig`.

    Defaults come from the preset, or from advice; the settings of an --initial-model replace them, then those of a
    --config file, then the flags.

    Args:
        args: The flags.
        config_type: `TrainConfig`, or a class with more fields.
        prog: The name that the help text shows.
        left_out: Fields that are not taken from the --config file.
        advice: The result of `suggestion`.
    """
    flag_names.remember(config_type)
    given, values = _early(args)
    if isinstance(values, dict):
        values = {key: value for key, value in values.items() if key not in left_out}
        source = given.initial_model or values.get("initial_model")
        if isinstance(source, str):
            values = settings_of_export(source) | values
        if given.preset:
            values = {key: value for key, value in values.items() if key not in ("preset", "model")}
    name = given.preset or (values.get("preset") if isinstance(values, dict) else None) or TrainConfig.preset
    default = config_type.of_preset(name) if advice is None else advised(advice, given.data or values.get("data"))
    default = _with_values(config_type, values, _with_epochs(default, given, values), given.config)
    return commands.parse(config_type, prog=prog, default=default, args=args, groups=train_groups)


def _with_values(config_type, values, default, file):
    """The configuration of values of the --config file, if there is one; a message then names it."""
    try:
        return from_dict(config_type, values, default)
    except UserError as error:
        raise UserError(f"{file}: {error}. Change --config" if file else str(error)) from None


def _with_epochs(default, given, values):
    """Defaults of a fitted law that is calibrated in all epochs after the first, as many as --epochs says."""
    text = values.get("epochs") if given.epochs is None and isinstance(values, dict) else given.epochs
    if not default.is_fitted or not str(text).isdecimal() or int(text) < 1:
        return default
    calibration_epochs = int(text) - 1 if default.calibration_epochs else 0
    return dataclasses.replace(default, epochs=int(text), calibration_epochs=calibration_epochs)


def suggestion(args):
    """What suits the data, if neither the flags nor a --config file choose a network.

    Args:
        args: The flags.

    Returns:
        The `Advice` that `check` gives for the data, or that for the data of the demo; None if a network is chosen.

    Raises:
        UserError: Nothing can be trained on the data, or they have faults.
    """
    given, values = _early(args)
    if not isinstance(values, dict) or any(getattr(given, name, None) or name in values for name in _NETWORK):
        return None
    data = given.data or values.get("data")
    if not isinstance(data, str):
        return _OF_DEMO
    check(Path(data))
    advice = advise(describe(Path(data)))
    if advice.preset is None:
        raise UserError(f"{data}: {advice.reason}")
    return advice


def advised(advice, data):
    """The `TrainConfig` of the command that `check` prints; without data, that of the preset."""
    if data is None:
        return TrainConfig.of_preset(advice.preset)
    return parse(shlex.split(" ".join(advice.words(Path(data), PROG)[1:])))


def _early(args):
    """The flags that decide on the defaults of the others, and the content of the --config file."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in ("--config", "--data", "--preset", "--epochs", "--initial-model", "--initial-weights"):
        early.add_argument(flag)
    try:
        given = early.parse_known_args(args)[0]
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None
    return given, load_json(Path(given.config)) if given.config else {}


def main():
    """Run the command."""
    advice = suggestion(sys.argv[1:])
    config = parse(sys.argv[1:], advice=advice)
    if config.data is not None:
        Manifest.load(Path(config.data))  # refused before the slow start
    if advice is not None:
        print(f"preset {advice.preset}, since {advice.reason} (--preset chooses another)", flush=True)
    task = task_of_environment()
    commands.load_tensorflow()
    from socialmd_tf.training.callbacks import TrainingDiverged
    from socialmd_tf.training.team import WorkerLost
    from socialmd_tf.training.train import train

    try:
        result = train(config, task)
    except (TrainingDiverged, WorkerLost) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    if result is None:
        print(f"{task}: done; the chief exports and evaluates the model")
        return
    print(f"\n{(result.run_directory / 'report.md').read_text()}\nmodel: {result.model}")
    print(f"picture: {result.run_directory / 'paths.png'}")
    print(f"report: {result.run_directory / 'report.html'}")
    if result.verdict:
        print(f"verdict: {result.verdict}")


if __name__ == "__main__":
    commands.run(main)
