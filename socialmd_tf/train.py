"""`python -m socialmd_tf.train`: train a model, export it, and compare it with the baselines."""

import argparse
import sys
from pathlib import Path

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf import commands
from socialmd_tf.command_line import flag_names
from socialmd_tf.command_line.train_groups import train_groups
from socialmd_tf.config import TrainConfig, from_dict, load_json
from socialmd_tf.training.initial import settings_of_export


def parse(args, config_type=TrainConfig, prog="python -m socialmd_tf.train", left_out=()):
    """Flags -> `TrainConfig`.

    Defaults come from the preset; the settings of an --initial-model replace them, then those of a --config file, then
    the flags.

    Args:
        args: The flags.
        config_type: `TrainConfig`, or a class with more fields.
        prog: The name that the help text shows.
        left_out: Fields that are not taken from the --config file.
    """
    flag_names.remember(config_type)
    given = _early_flags(args)
    values = load_json(Path(given.config)) if given.config else {}
    if isinstance(values, dict):
        values = {key: value for key, value in values.items() if key not in left_out}
        source = given.initial_model or values.get("initial_model")
        if isinstance(source, str):
            values = settings_of_export(source) | values
        if given.preset:
            values = {key: value for key, value in values.items() if key not in ("preset", "model")}
    name = given.preset or (values.get("preset") if isinstance(values, dict) else None) or TrainConfig.preset
    default = from_dict(config_type, values, config_type.of_preset(name))
    return commands.parse(config_type, prog=prog, default=default, args=args, groups=train_groups)


def _early_flags(args):
    """The flags that decide on the defaults of the others."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in ("--config", "--preset", "--initial-model"):
        early.add_argument(flag)
    try:
        return early.parse_known_args(args)[0]
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None


def main():
    """Run the command."""
    config = parse(sys.argv[1:])
    if config.data is not None:
        Manifest.load(Path(config.data))  # refused before the slow start
    commands.load_tensorflow()
    from socialmd_tf.training.callbacks import TrainingDiverged
    from socialmd_tf.training.train import train

    try:
        result = train(config)
    except TrainingDiverged as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"\n{(result.run_directory / 'report.md').read_text()}\nmodel: {result.model}")
    print(f"picture: {result.run_directory / 'paths.png'}")
    print(f"report: {result.run_directory / 'report.html'}")
    if result.verdict:
        print(f"verdict: {result.verdict}")


if __name__ == "__main__":
    commands.run(main)
