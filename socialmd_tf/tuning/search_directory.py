"""The files of a search, besides KerasTuner's own: its settings, the best configuration, and pictures."""

import dataclasses
from pathlib import Path

from pipelines.atomic_files import write_json
from pipelines.errors import UserError, require
from pipelines.manifest import Manifest
from pipelines.output_directory import LOCK_FILE
from socialmd_tf.config import TrainConfig, load_json, to_dict
from socialmd_tf.training.dataset_record import dataset_change, dataset_record, read_record
from socialmd_tf.training.settings import flatten
from socialmd_tf.tuning import plots
from socialmd_tf.tuning.hypermodel import HyperModel
from socialmd_tf.tuning.oracles import ENDED
from socialmd_tf.tuning.tpe import importances

SEARCH = "search.json"
_DATA, _BEST = "data.json", "best.json"
# Settings that may change when a search is resumed. The dataset is compared by its content, the space by its ranges.
_MAY_CHANGE = (
    "max_trials",
    "minutes",
    "worker_timeout",
    "output",
    "config",
    "data",
    "space",
    "only",
    "ranges",
    "run_directory",
    "export_directory",
)


def open_search(directory, config, ranges):
    """Write the settings of a search, or refuse a directory that holds another search.

    Raises:
        UserError: The directory holds another search, one of other data, or other files.
    """
    _check_settings(directory, config, ranges)
    path = Path(directory) / _DATA
    known = read_record(path) if path.exists() else None
    data = dataset_record(config.data, Manifest.load(Path(config.data)), known)
    if known and (change := dataset_change(known, data)):
        raise UserError(
            f"{config.data} has changed since the search in {directory} began: {change}. Restore the data or choose "
            "another --output"
        )
    write_json(path, data)


def _check_settings(directory, config, ranges):
    path = Path(directory) / SEARCH
    settings = flatten(
        {
            **{key: value for key, value in to_dict(config).items() if key not in _MAY_CHANGE},
            "space": {name: to_dict(searched) for name, searched in ranges.items()},
            "manifest": load_json(Path(config.data) / "dataset.json"),
        }
    )
    if path.exists():
        saved = load_json(path)
        require(isinstance(saved, dict), "output", f"a directory whose {SEARCH} is a JSON object", str(directory))
        for key in sorted({*settings, *saved}):
            if saved.get(key) != settings.get(key):
                raise UserError(
                    f"{directory} holds another search: `{key}` is {saved.get(key)!r} there and "
                    f"{settings.get(key)!r} here. Choose another --output"
                )
    elif any(entry.name != LOCK_FILE for entry in Path(directory).glob("*")):
        raise UserError(f"`output` must be a new directory or that of a search. Found other files in {directory}")
    else:
        write_json(path, settings)


def write_best(config, base, ranges, oracle):
    """Write the configuration of the best trial to `best.json`, for `train --config`.

    It has the default number of epochs, and its own directories for the run and the exported model.

    Returns:
        The path of the file, or None if no trial is completed.
    """
    (best,) = oracle.get_best_trials(1) or [None]
    if best is None or best.status != "COMPLETED":
        return None
    directory = Path(config.output)
    tuned = HyperModel(base, ranges).config(best.hyperparameters)
    tuned = dataclasses.replace(
        tuned,
        model=dataclasses.replace(tuned.model, rollout_steps=tuned.windows.rollout_steps),
        epochs=TrainConfig.epochs,
        run_directory=str(directory / "best"),
        export_directory=f"saved_models/{directory.name}",
    )
    settings = {key: value for key, value in to_dict(tuned).items() if key != "config"}
    write_json(directory / _BEST, settings)
    return directory / _BEST


def draw(config, ranges, oracle):
    """Draw the losses, the importance of the hyperparameters, and the loss over pairs of the most important ones.

    Returns:
        The paths of the pictures. Those that need more trials are left out.
    """
    ended = [oracle.trials[trial_id] for trial_id in oracle.start_order if oracle.trials[trial_id].status in ENDED]
    trials = [(trial.hyperparameters.values, trial.score if trial.status == "COMPLETED" else None) for trial in ended]
    seen = {name for values, _ in trials for name in values}
    searched = {name: range_ for name, range_ in ranges.items() if len(range_.values) != 1 and name in seen}
    if not searched:
        return []
    shares = importances(oracle)
    paths = {name: Path(config.output) / f"{name}.png" for name in ("losses", "surfaces", "importance")}
    plots.losses(paths["losses"], trials, searched)
    plots.surfaces(paths["surfaces"], trials, searched, sorted(searched, key=lambda name: -shares.get(name, 0)))
    if shares:
        plots.importance(paths["importance"], shares)
    return [path for path in paths.values() if path.exists()]
