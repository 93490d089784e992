"""A whole training: fit a model, export it, evaluate what was exported. The command `train` calls `train`."""

import dataclasses
from pathlib import Path
from typing import Any

from pipelines.dataset import most_particles
from pipelines.errors import UserError, require
from pipelines.extras import install_command
from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.simulate import simulate
from pipelines.output_directory import DirectoryLock
from pipelines.shares import Share
from socialmd_tf.config import TrainConfig, load_json, to_dict
from socialmd_tf.config.batches import batch_note, bounded
from socialmd_tf.evaluation.ensembles.evaluate import EnsembleSettings
from socialmd_tf.evaluation.evaluate import evaluate
from socialmd_tf.export.model_card import CARD, add_metrics, model_card, read_card
from socialmd_tf.export.saved_model import ExportedModel
from socialmd_tf.export.versions import versions
from socialmd_tf.export.write import export
from socialmd_tf.report.write import check_directory, write
from socialmd_tf.serving import warmup
from socialmd_tf.training import loop
from socialmd_tf.training.run import Run
from socialmd_tf.training.team import Team, check_config

DEMO_DATA = Path("data/demo")
DEMO_SIMULATION = SimulationConfig(
    num_train=16, num_validation=4, num_test=4, num_steps=500_000, time_step=2e-7, save_every=500
)
"""Half a minute of two cores: twice the time step of the thesis, with the same limit to the error of the energy."""
_SAMPLES = 16


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """Files and metrics of a finished training."""

    run_directory: Path
    """The run: checkpoints, `history.csv` and the reports."""
    model: Path
    """The exported model, `saved_models/NAME/VERSION`."""
    split: str
    """The split that it was evaluated on."""
    metrics: dict[str, Any]
    """Its metrics, as `metrics.json` holds them: `nll`, `mae`, `coverage_90` and so on."""
    verdict: str | None = None
    """Better or worse than the baselines, by how much, and whether the uncertainty is true, in one sentence."""


def train(config, task=None):
    """Train a model, or resume its training; export it, and compare the export with the baselines.

    The model is evaluated on the validation split, with `final` on the test split. What has been done already is not
    done again.

    Args:
        config: The `TrainConfig`. Without `data`, a small N-body dataset is simulated once.
        task: The `Task` of this process, if several workers train the model together; TensorFlow must not have been
            used before.

    Returns:
        The `TrainingResult`; None for a worker that is not the chief.

    Raises:
        UserError: The data, the run directory or the export directory is not what it must be.
        TrainingDiverged: The loss is no longer a number, or no gradient is; the last good weights are kept.
        WorkerLost: Another worker has ended.
    """
    require(isinstance(config, TrainConfig), "config", "a `TrainConfig`", config)
    team = None
    if task is not None:
        check_config(config)
        Share(task.index, task.count).check(config.batch_size)
        team = Team(task)
    if config.data is None:
        config = dataclasses.replace(config, data=str(demo_data()))
    manifest = Manifest.load(Path(config.data))
    split = _split(config, manifest)
    if task is None:  # workers have chosen a batch that they can share
        config = _with_bounded_batches(config)
    if team and not task.is_chief:
        loop.fit(config, Path(config.data), team)
        return None
    _check_directories(config)
    with DirectoryLock(Path(config.run_directory)):
        model, run = loop.fit(config, Path(config.data), team)
        run.check_data(config.data, Manifest.load(Path(config.data)))  # it may have changed in the meantime
        path = _export_once(model, run, manifest)
        if not run.has_evaluated(path.resolve(), split):
            _evaluate(run, path, split)
        metrics = load_json(run.directory / "metrics.json")
    return TrainingResult(run.directory, path, split, metrics["predictors"][metrics["model"]], metrics.get("verdict"))


def demo_data():
    """Simulate the dataset of the demo, unless that has been done, and return its directory."""
    print(simulate(DEMO_SIMULATION, DEMO_DATA, command="python -m socialmd_tf.train"), flush=True)
    return DEMO_DATA


def _with_bounded_batches(config):
    try:
        num_particles = most_particles(Path(config.data), "train", config.windows)
    except UserError:
        return config  # the check of the whole dataset, which follows, lists all faults
    for line in batch_note(config, num_particles):
        print(line, flush=True)
    return bounded(config, num_particles)


def _check_directories(config):
    """Refuse now what would fail after the training."""
    for name in ("run_directory", "export_directory"):
        check_directory(getattr(config, name), name)
    versions(config.export_directory)
    Run(config)


def _split(config, manifest):
    if not config.final:
        return "validation"
    if not manifest.splits.get("test"):
        raise UserError(f"`final` needs a test split. {config.data} has none")
    return "test"


def _export_once(model, run, manifest):
    """Export the model, unless one of the versions is this export: a killed command does not export twice."""
    config, directory = run.config, Path(run.config.export_directory)
    card = model_card(config, model, manifest, run.state)
    wanted = {**card, "model": to_dict(model.config), "max_horizon": config.max_horizon}
    del wanted["versions"]  # exporting again would not change the model
    for version in reversed(versions(directory)):
        path = directory / str(version)
        found = read_card(path) if (path / CARD).exists() else {}
        if all(found.get(name) == value for name, value in wanted.items()):
            return path
    print("exporting", flush=True)
    path = export(model, directory, card, config.max_horizon)
    print(f"exported the weights of epoch {run.state.best_epoch + 1} to {path}", flush=True)
    if not warmup.is_possible():
        print(f"no warm-up requests for a model server in it; they need {install_command('serving')}")
    return path


def _evaluate(run, path, split):
    if split == "test":
        print(f"evaluation {run.count_test_evaluation()} of the test split in this run", flush=True)
    print(f"evaluating {path} on the {split} split", flush=True)
    _write_report(run, path, split)
    run.finish(path.resolve(), split)


def _write_report(run, path, split):
    model = ExportedModel(path, run.config.compile)
    findings = _findings(model, run.config, split)
    command = f"python -m socialmd_tf.train --config {run.directory / 'config.json'}"
    write(dataclasses.replace(findings, command=command), run.directory)
    add_metrics(path, split, findings.results[findings.first_model])


def _findings(model, config, split):
    """The evaluation; of random motion with ensembles, if the data can have any."""
    if config.is_sampled:
        try:
            return evaluate([model], config.data, split, ensembles=EnsembleSettings(_SAMPLES))
        except UserError as error:
            print(f"no ensembles in the report: {error}", flush=True)
    return evaluate([model], config.data, split)
