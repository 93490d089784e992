"""Write a trained model as the next version of a SavedModel."""

import contextlib
import dataclasses
import os
import shutil
import time
from pathlib import Path

import tensorflow as tf

from pipelines.atomic_files import write_json
from pipelines.errors import require
from socialmd_tf.config import TrainConfig, to_dict
from socialmd_tf.export.model_card import CARD
from socialmd_tf.export.signatures import Signatures
from socialmd_tf.export.versions import versions
from socialmd_tf.model import build_model, rollout_layer
from socialmd_tf.serving import warmup
from socialmd_tf.weights import save_weights

WEIGHTS = Path("assets.extra") / "model.weights.h5"
_ABANDONED = 3600.0  # seconds after which a partial export belongs to a process that was killed


def export(model, directory, card, max_horizon=TrainConfig.max_horizon):
    """Write a model as the next version of a SavedModel.

    Signatures, for any B, T, N >= 1 and horizon from 1 to `max_horizon`, lengths in the unit of the data:

    - `serving_default` = `rollout`: `positions` `[B, T, N, D]`, `features` `[B, N, F]`, `horizon` scalar ->
      `mean` `[B, horizon, N, D]`, `covariance` `[B, horizon, N, D, D]`; the mean is fed back;
    - `sample`: the same and `seed` `[2]` -> `positions` `[B, horizon, N, D]`; drawn positions are fed back;
    - `density`: the inputs of `rollout` and `mask` `[B, N]` -> `parameters` `[B, horizon, N, P]` in the order of the
      card's `density_layout`.

    In three more signatures every input and output has B rows, so that a server can batch requests:

    - `rollout_rows`: `positions`, `features`, `mask`, `horizon` `[B]`, `seed` `[B, 2]` -> for each row the results of
      `rollout` and `sample` (`positions`) for that row alone, with zeros after its `num_frames` `[B]` and for padding;
    - `initial_state`: `positions` of the first frame `[B, N, D]` -> the state before it, `state_...` `[B, N, ...]`;
    - `step`: `positions` `[B, N, D]`, `features`, `mask`, `observed` `[B]` (false if `positions` are the last `mean`),
      `state_...` -> `mean` `[B, N, D]` and `covariance` `[B, N, D, D]` of the next frame, and the new `state_...`.

    Models of data with boxes, bonds or observed velocities also take `box` `[B, D, D]`, lattice vectors in rows, in
    which positions are unwrapped; `edges` `[B, N, N]`, int32, the types of bonds; and `velocities` `[B, T, N, D]`, per
    frame interval. In `step`, `velocities` are `[B, N, D]`, and `velocities_observed` `[B]` says which rows have them.
    Where it is false, as for a drawn frame, they are not read, and the model goes by the positions.

    Inputs that do not fit are refused with InvalidArgumentError and the input's name. In `rollout_rows` and `step` a
    row with unfit values gives zeros, with the reason in `refused` `[B]`, unless no row fits: one caller's mistake must
    not fail the other rows of the batch.

    The version also holds the Keras weights and, in the card, the configuration that rebuilds the model
    (`load_keras_model`); with the extra `serving` installed, the requests on which a server warms up.

    Args:
        model: A model of `build_model`.
        directory: `saved_models/NAME`.
        card: JSON-ready description of the model, written to `assets.extra/model_card.json`.
        max_horizon: Largest number of frames that one request can ask for.

    Returns:
        The version's directory, `saved_models/NAME/<integer>`; it appears whole, by renaming.

    Raises:
        UserError: The directory holds something other than versions, or `max_horizon` is below the frames predicted in
            training.
    """
    directory = Path(directory)
    versions(directory)  # refuses other directories
    least = rollout_layer(model).rollout_steps
    require(max_horizon >= least, "max_horizon", f"at least {least}, the frames predicted in training", max_horizon)
    module = Signatures(model, max_horizon)
    card = {
        **card,
        "model": to_dict(model.config),
        "density_layout": dataclasses.asdict(rollout_layer(model).head.layout),
        "max_horizon": max_horizon,
        "state": {name: shape[2:] for name, shape in module.state_shapes.items()},
    }
    with _partial_version(directory) as partial:
        tf.saved_model.save(module, partial, signatures={"serving_default": module.rollout, **module.functions()})
        write_json(partial / CARD, card)
        _save_weights(model, partial / WEIGHTS)
        if warmup.is_possible():
            warmup.write(partial)
        return _publish(partial, directory)


@contextlib.contextmanager
def _partial_version(directory):
    """A hidden directory to write a version in; leftovers of a killed process are removed first."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(".*.partial"):
        if time.time() - left.stat().st_mtime > _ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    partial = directory / f".{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial, directory):
    """Rename to the next free number, which another process may take first."""
    while True:
        version = directory / str(max(versions(directory), default=0) + 1)
        try:
            return partial.rename(version)
        except OSError:
            if not version.exists():
                raise


def _save_weights(model, path):
    """Write the weights for Keras: those of the model alone, without the optimizer's."""
    copy = build_model(model.config)
    copy.set_weights(model.get_weights())
    save_weights(copy, path)
