"""The trained model as a SavedModel that needs neither this package nor Keras nor TFP."""

import dataclasses
import json
import math
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from socialmd_tf.config import TrainConfig, to_dict
from socialmd_tf.export.signatures import Signatures
from socialmd_tf.layers import DensityLayout
from socialmd_tf.model import rollout_layer
from socialmd_tf.serving import warmup

_CARD = Path("assets.extra") / "model_card.json"


def export(model, directory, card, max_horizon=TrainConfig.max_horizon):
    """Write a model as the next version of a SavedModel.

    Signatures, for any B, T, N >= 1 and horizon from 1 to `max_horizon`, lengths in the unit of the data:

    - `serving_default` = `rollout`: `positions` `[B, T, N, D]`, `features` `[B, N, F]`, `horizon` scalar ->
      `mean` `[B, horizon, N, D]`, `covariance` `[B, horizon, N, D, D]`, fed back on the mean;
    - `sample`: `seed` `[2]` beside these -> `positions` `[B, horizon, N, D]`, fed back on what was drawn;
    - `density`: `mask` `[B, N]` beside those of `rollout` -> `parameters` `[B, horizon, N, P]` in the order of the
      card's `density_layout`.

    Three more, whose inputs and outputs all begin with B, take rows that a server has put together:

    - `rollout_rows`: `positions`, `features`, `mask`, `horizon` `[B]`, `seed` `[B, 2]` -> for each row what `rollout`
      and `sample` (`positions`) give it alone, zeros after its `num_frames` `[B]` and for padding;
    - `initial_state`: `positions` of the first frame `[B, N, D]` -> the state before it, `state_...` `[B, N, ...]`;
    - `step`: `positions` `[B, N, D]`, `features`, `mask`, `observed` `[B]` (false where `positions` are the last
      `mean`), `state_...` -> `mean` `[B, N, D]` and `covariance` `[B, N, D, D]` of the next frame, the new `state_...`.

    What does not fit is refused with InvalidArgumentError and the input's name. In `rollout_rows` and `step` a row
    whose values do not fit is zeros, with the reason in `refused` `[B]`, unless no row fits: one caller's mistake is
    not that of the others in the batch.

    With the extra `serving` installed, the version has the requests in it that a server warms up on.

    Args:
        model: A model of `build_model`.
        directory: `saved_models/NAME`.
        card: JSON-ready description of the model, written to `assets.extra/model_card.json`.
        max_horizon: Largest number of frames that one request can ask for.

    Returns:
        The version's directory, `saved_models/NAME/<integer>`; it appears whole, by renaming.

    Raises:
        UserError: The directory holds something else.
    """
    directory = Path(directory)
    number = max(versions(directory), default=0) + 1
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f".{number}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    module = Signatures(model, max_horizon)
    tf.saved_model.save(module, partial, signatures={"serving_default": module.rollout, **module.functions()})
    card = {
        **card,
        "density_layout": dataclasses.asdict(rollout_layer(model).head.layout),
        "max_horizon": max_horizon,
        "state": {name: shape[2:] for name, shape in module.state_shapes.items()},
    }
    write_json(partial / _CARD, card)
    if warmup.is_possible():
        warmup.write(partial)
    os.replace(partial, directory / str(number))
    return directory / str(number)


def model_card(config, model, manifest, state):
    """What a user of an exported model needs to know of it, JSON-ready.

    Args:
        config: The `TrainConfig`.
        model: The trained model.
        manifest: The data set's `Manifest`.
        state: The `RunState`.
    """
    settings = to_dict(config)
    packages = ("socialmd_tf", "tensorflow", "keras", "tensorflow-probability")
    return {
        "data": manifest.name,
        "num_dimensions": manifest.num_dimensions,
        "features": list(manifest.features),
        "length_unit": manifest.length_unit,
        "time_between_frames": manifest.time_between_frames * config.windows.subsample,
        "warm_up_steps": config.windows.warm_up_steps,
        "windows": settings["windows"],
        "preset": config.preset,
        "model": settings["model"],
        "num_parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        "training": {"seed": config.seed, "batch_size": config.batch_size, "best": state.epochs[state.best_epoch]},
        "versions": {package: version(package) for package in packages},
    }


def add_metrics(path, split, results):
    """Write into an exported model's card how good the model is.

    Args:
        path: The version's directory.
        split: Name of the split that it was judged on.
        results: What `socialmd_tf.metrics.evaluate` gives; single numbers are taken.
    """
    card = json.loads((path / _CARD).read_text())
    numbers = {name: value for name, value in results.items() if isinstance(value, float) and math.isfinite(value)}
    write_json(path / _CARD, {**card, "metrics": {"split": split, **numbers}})


def versions(directory):
    """Numbers of the exported versions, smallest first.

    Raises:
        UserError: There is something else in the directory.
    """
    if not Path(directory).exists():
        return []
    if not Path(directory).is_dir():
        raise UserError(f"`export_directory` must be a directory. Received: {directory}")
    entries = [entry.name for entry in Path(directory).iterdir() if not entry.name.startswith(".")]
    for name in entries:
        if not name.isdecimal():
            raise UserError(f"`export_directory` must hold only versions 1, 2, ... Found {name!r} in {directory}")
    return sorted(int(name) for name in entries)


class Exported:
    """A SavedModel, loaded to roll trajectories out.

    Args:
        path: `saved_models/NAME`, whose newest version is taken, or `saved_models/NAME/VERSION`.

    Raises:
        UserError: There is no SavedModel of ours.
    """

    def __init__(self, path):
        path = Path(path)
        if not (path / "saved_model.pb").exists():
            entries = [entry for entry in path.glob("*/") if (entry / "saved_model.pb").exists()]
            numbers = [int(entry.name) for entry in entries if entry.name.isdecimal()]
            if not numbers:
                raise UserError(f"`model` must be a SavedModel or a directory of its versions. Found none in {path}")
            path = path / str(max(numbers))
        if not (path / _CARD).exists():
            raise UserError(f"`model` must be a SavedModel of socialmd_tf. Found no {_CARD} in {path}")
        self.path = path
        self.name = path.absolute().parent.name  # "." has no name
        self.card = json.loads((path / _CARD).read_text())
        self.layout = DensityLayout(**self.card["density_layout"])
        try:
            self._loaded = tf.saved_model.load(str(path))
        except (OSError, tf.errors.OpError) as error:
            raise UserError(f"`model` must be a whole SavedModel. {path} cannot be read: {error}") from None

    def rollout(self, positions, features, horizon):
        """Mean `[B, horizon, N, D]` and covariance `[B, horizon, N, D, D]` after frames `[B, T, N, D]`."""
        predicted = self._call("rollout", positions, features, horizon)
        return predicted["mean"].numpy(), predicted["covariance"].numpy()

    def sample(self, positions, features, horizon, seed):
        """One drawn trajectory `[B, horizon, N, D]` after frames `[B, T, N, D]`; `seed` is two integers."""
        drawn = self._call("sample", positions, features, horizon, seed=tf.constant(seed, tf.int32))
        return drawn["positions"].numpy()

    def draw(self, inputs, seed):
        """One drawn trajectory `[B, T', N, D]` after a batch's input dictionary; `seed` is two integers."""
        rows = len(inputs["positions"])
        horizon = np.full(rows, self.card["windows"]["rollout_steps"])
        seeds = np.array(seed) + np.stack([np.zeros(rows, int), np.arange(rows)], axis=1)
        mask = tf.constant(np.asarray(inputs["mask"], np.float32))
        drawn = self._call(
            "rollout_rows",
            inputs["positions"],
            inputs["features"],
            horizon,
            mask=mask,
            seed=tf.constant(seeds, tf.int32),
        )
        return drawn["positions"].numpy()

    def density(self, inputs):
        """Parameters `[B, T', N, P]` of the densities after a batch's input dictionary."""
        horizon = self.card["windows"]["rollout_steps"]
        mask = tf.constant(np.asarray(inputs["mask"], np.float32))
        return self._call("density", inputs["positions"], inputs["features"], horizon, mask=mask)["parameters"].numpy()

    def _call(self, signature, positions, features, horizon, **others):
        return self._loaded.signatures[signature](
            positions=tf.constant(np.asarray(positions, np.float32)),
            features=tf.constant(np.asarray(features, np.float32)),
            horizon=tf.constant(horizon, tf.int32),
            **others,
        )
