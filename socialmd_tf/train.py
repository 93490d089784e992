"""`python -m socialmd_tf.train`: train a model, export it, and compare it with the baselines."""

import argparse
import dataclasses
import sys
from pathlib import Path

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from socialmd_tf import commands
from socialmd_tf.command_line.train_groups import train_groups
from socialmd_tf.config import TrainConfig, from_dict, load_json, preset

DEMO_DATA = Path("data/demo")
DEMO_SIMULATION = SimulationConfig(num_train=32, num_validation=4, num_test=4)


def parse(args, config_type=TrainConfig, prog="python -m socialmd_tf.train", left_out=()):
    """Flags -> `TrainConfig`: the preset fills in the model, --config fills in everything, flags change the rest.

    Args:
        args: The flags.
        config_type: `TrainConfig`, or a class with more fields.
        prog: The name the help text shows.
        left_out: Fields that are not taken from the --config file.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--config")
    early.add_argument("--preset")
    try:
        given, _ = early.parse_known_args(args)
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None
    values = load_json(Path(given.config)) if given.config else {}
    name = given.preset or (values.get("preset") if isinstance(values, dict) else None) or TrainConfig.preset
    if given.preset and isinstance(values, dict):
        values = {key: value for key, value in values.items() if key not in ("preset", "model")}
    if left_out and isinstance(values, dict):
        values = {key: value for key, value in values.items() if key not in left_out}
    default = from_dict(config_type, values, config_type(preset=name, model=preset(name)))
    return commands.parse(config_type, prog=prog, default=default, args=args, groups=train_groups)


def main():
    """Run the command."""
    config = parse(sys.argv[1:])
    if config.data is not None:
        Manifest.load(Path(config.data))  # refused before the slow start
    commands.load_tensorflow()
    from socialmd_tf.export.saved_model import versions
    from socialmd_tf.training import loop
    from socialmd_tf.training.run import TrainingDiverged

    versions(config.export_directory)  # refused now rather than after the training
    if config.data is None:
        config = dataclasses.replace(config, data=str(demo_data()))
    try:
        model, state = loop.fit(config, Path(config.data))
    except TrainingDiverged as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    finish(config, model, state)


def demo_data():
    """Simulate the demo's data set, unless that has been done."""
    from pipelines.nbody.simulate import simulate
    from socialmd_tf.simulate import command_line

    print(simulate(DEMO_SIMULATION, DEMO_DATA, command=command_line(DEMO_SIMULATION)), flush=True)
    return DEMO_DATA


def finish(config, model, state):
    """Export the trained model and judge what was exported, once; print the table."""
    from socialmd_tf.evaluation.evaluate import evaluate
    from socialmd_tf.export.saved_model import ExportedModel, add_metrics, export, model_card
    from socialmd_tf.report.write import write
    from socialmd_tf.serving import warmup

    run, manifest = Path(config.run_directory), Manifest.load(Path(config.data))
    done = run / "finished.json"
    what = {"epochs": len(state.epochs), "substeps": config.model.substeps, "step_fraction": config.model.step_fraction}
    finished = load_json(done) if done.exists() and (run / "report.md").exists() else {}
    if what != {key: finished.get(key) for key in what}:
        split = "test" if manifest.splits.get("test") else "validation"
        card = model_card(config, model, manifest, state)
        path = export(model, config.export_directory, card, config.max_horizon)
        print(f"exported the weights of epoch {state.best_epoch + 1} to {path}; judging them on {split}", flush=True)
        if not warmup.is_possible():
            print("no warm-up requests for a model server in it; they need pip install 'socialmd_tf[serving]'")
        exported = ExportedModel(path)
        findings = evaluate([exported], config.data, split)
        write(findings, run)
        add_metrics(path, split, findings.results[findings.first_model])
        write_json(done, {**what, "exported": str(path)})
    print(f"\n{(run / 'report.md').read_text()}\nmodel: {load_json(done)['exported']}\npicture: {run / 'paths.png'}")


if __name__ == "__main__":
    commands.run(main)
