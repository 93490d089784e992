"""Where training begins when it does not begin with new weights: another run, or an exported model."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, from_dict, to_dict
from socialmd_tf.export.model_card import CARD, read_card
from socialmd_tf.export.versions import find_version
from socialmd_tf.training.run import Run
from socialmd_tf.training.settings import difference

NOT_WEIGHTS = (
    "acceleration_scale",
    "anchor_start",
    "cutoff",
    "dropout",
    "move_scale",
    "num_dimensions",
    "num_features",
    "observed_velocities",
    "periodic",
    "rollout_steps",
    "scale_floor",
    "softening",
    "split_distance",
    "step_fraction",
    "substeps",
    "walls",
    "warm_up_steps",
)
"""Settings of a model that may differ from those its weights were trained with.

They are numbers of physics, integration and regularisation, and those that training takes from the data, which are
compared with the data. All other settings determine the number or the meaning of the weights.
"""


@dataclasses.dataclass(frozen=True)
class InitialWeights:
    """Trained weights, and what they were trained on."""

    flag: str
    """The flag that names them, for messages."""
    path: Path
    """The run or the exported model."""
    model: dict
    """Settings of the model."""
    data: dict
    """`num_dimensions`, `features`, `length_unit`, and `time_between_frames`, the time of one step of the model."""
    scales: tuple[float, float]
    """Typical move and second difference by which the model scales its numbers; they belong to the weights."""
    load: Callable
    """Function that loads the weights into a model."""


def initial_weights(config, manifest):
    """The weights that a configuration begins with, or None for new ones.

    Args:
        config: The `TrainConfig`.
        manifest: `Manifest` of the data to train on.

    Raises:
        UserError: There are no such weights, or they are of another model or other data.
    """
    if config.initial_weights is not None:
        initial = _of_run(Path(config.initial_weights))
    elif config.initial_model is not None:
        initial = _of_export(Path(config.initial_model))
    else:
        return None
    different = difference(initial.model, to_dict(config.model), NOT_WEIGHTS)
    if different:
        if config.initial_model:
            raise UserError(
                f"{initial.path} has other model settings: {different}. Leave out --preset and the flags of --model "
                "to take its settings, or --initial-model to begin anew"
            )
        raise UserError(f"`{initial.flag}` must have the same model settings. In {initial.path} {different}")
    _check_data(initial, manifest, manifest.time_between_frames * config.windows.subsample)
    return initial


def _of_run(path):
    run = Run.load(path) if (path / "config.json").exists() else None
    if run is None or not run.epochs:
        raise UserError(f"`initial_weights` must be a run with at least one finished epoch. Received: {path}")
    data = run.data()
    data["features"] = list(Manifest(**data).particle_features)
    data["time_between_frames"] *= run.config.windows.subsample
    return InitialWeights("initial_weights", path, to_dict(run.config.model), data, run.scales(), run.load_weights)


def _of_export(path):
    from socialmd_tf.export.saved_model import load_keras_model

    path, card = _card_of(path)
    model = from_dict(ModelConfig, card["model"])
    return InitialWeights(
        "initial_model",
        path,
        to_dict(model),
        card,
        (model.move_scale, model.acceleration_scale),
        lambda new: new.set_weights(load_keras_model(path).get_weights()),
    )


def _check_data(initial, manifest, time_between_frames):
    names = [("num_dimensions", manifest.num_dimensions), ("features", list(manifest.particle_features))]
    for name, found in [*names, ("length_unit", manifest.length_unit)]:
        expected = initial.data[name]
        if found != expected:
            raise UserError(
                f"`{initial.flag}` must be trained on data with the same `{name}`. "
                f"In {initial.path} it is {expected!r}, in the data {found!r}"
            )
    time_unit = initial.data.get("time_unit")
    if time_unit and manifest.time_unit and time_unit != manifest.time_unit:
        raise UserError(
            f"`{initial.flag}` must be trained on data with the same `time_unit`. "
            f"In {initial.path} it is {time_unit!r}, in the data {manifest.time_unit!r}"
        )
    expected = initial.data["time_between_frames"]
    if not math.isclose(expected, time_between_frames, rel_tol=1e-6):
        raise UserError(
            f"`{initial.flag}` must be trained on frames equally far apart in time. {initial.path} steps by "
            f"{expected:g}, every `subsample`-th frame of the data by {time_between_frames:g}: change --subsample"
        )


def settings_of_export(path):
    """Settings of a `TrainConfig` that an exported model was trained with: `preset`, `model` and `windows`.

    Settings of the model that the export does not know are off. The number of phases is left out, so that it follows
    `subsample`.

    Raises:
        UserError: There is no exported model.
    """
    _, card = _card_of(path)
    settings = {name: card[name] for name in ("preset", "windows") if name in card}
    settings["model"] = to_dict(from_dict(ModelConfig, card["model"]))
    if isinstance(settings.get("windows"), dict):
        settings["windows"] = {key: value for key, value in settings["windows"].items() if key != "subsample_phases"}
    return settings


def _card_of(path):
    """The newest version of an exported model, and its card."""
    try:
        path = find_version(path)
    except UserError:
        raise UserError(f"`initial_model` must be an exported model. Found none in {path}") from None
    card = read_card(path)
    missing = {"model", "num_dimensions", "features", "length_unit", "time_between_frames"} - set(card)
    if missing:
        raise UserError(f"{path / CARD}: expected the fields {', '.join(sorted(missing))}")
    return path, card
