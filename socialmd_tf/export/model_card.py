"""The model card: what a user of an exported model needs to know, as JSON beside the weights."""

import json
import math
from importlib.metadata import version
from pathlib import Path

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from socialmd_tf.config import to_dict

CARD = Path("assets.extra") / "model_card.json"
PREDICTION_FIELDS = (
    "num_dimensions",
    "features",
    "length_unit",
    "time_between_frames",
    "warm_up_steps",
    "windows",
    "max_horizon",
    "density_layout",
)
"""Fields that a prediction needs."""


def _is_count(value):
    return type(value) is int and value >= 1


def _are_counts(value, names):
    return isinstance(value, dict) and all(_is_count(value.get(name)) for name in names)


_COUNT = ("an integer of at least 1", _is_count)
_TEXT = ("a text", lambda value: isinstance(value, str))
_FIELDS = {
    "num_dimensions": ("2 or 3", lambda value: type(value) is int and value in (2, 3)),
    "features": ("a list of names", lambda value: isinstance(value, list) and all(type(name) is str for name in value)),
    "length_unit": _TEXT,
    "time_unit": ("a text or null", lambda value: value is None or isinstance(value, str)),
    "time_between_frames": ("a positive number", lambda value: type(value) in (int, float) and 0 < value < math.inf),
    "warm_up_steps": _COUNT,
    "max_horizon": _COUNT,
    "windows": ("an object of counts", lambda value: _are_counts(value, ("subsample", "rollout_steps"))),
    "model": ("an object", lambda value: isinstance(value, dict)),
    "density_layout": ("an object of counts", lambda value: _are_counts(value, ("num_dimensions", "num_components"))),
}
"""Field -> what it must be if it is there."""


def model_card(config, model, manifest, state):
    """The card of a trained model, JSON-ready; `export` adds what the graph fixes.

    Args:
        config: The `TrainConfig`.
        model: The trained model.
        manifest: The dataset's `Manifest`.
        state: The `RunState`.
    """
    packages = ("socialmd_tf", "tensorflow", "keras", "tensorflow-probability")
    return {
        "data": manifest.name,
        "num_dimensions": manifest.num_dimensions,
        "features": list(manifest.particle_features),
        "length_unit": manifest.length_unit,
        "time_unit": manifest.time_unit,
        "time_between_frames": manifest.time_between_frames * config.windows.subsample,
        "warm_up_steps": config.windows.warm_up_steps,
        "windows": to_dict(config.windows),
        "preset": config.preset,
        "num_parameters": model.count_params(),
        "training": {
            "seed": config.seed,
            "batch_size": config.batch_size,
            "best": state.epochs[state.best_epoch],
            "losses": {name: [epoch.get(name) for epoch in state.epochs] for name in ("loss", "val_loss")},
        },
        "versions": {package: version(package) for package in packages},
    }


def read_card(path):
    """The card of an exported version.

    Args:
        path: The version's directory.

    Raises:
        UserError: There is no card, it is not a JSON object, or a field has a value of another kind than it must.
    """
    try:
        card = json.loads((path / CARD).read_text())
    except FileNotFoundError:
        raise UserError(f"`model` must be a SavedModel of socialmd_tf. Found no {CARD} in {path}") from None
    except ValueError as error:
        raise UserError(f"{path / CARD}: not JSON: {error}") from None
    if not isinstance(card, dict):
        raise UserError(f"{path / CARD}: expected a JSON object, found {type(card).__name__}")
    for name, (kind, is_right) in _FIELDS.items():
        if name in card and not is_right(card[name]):
            raise UserError(f"{path / CARD}: `{name}` must be {kind}. Found: {json.dumps(card[name])[:80]}")
    return card


def add_metrics(path, split, results):
    """Add test results to the card of an exported version.

    Args:
        path: The version's directory.
        split: Name of the split the model was evaluated on.
        results: Results of the model by name; finite numbers are kept, everything else is left out.
    """
    numbers = {name: value for name, value in results.items() if isinstance(value, float) and math.isfinite(value)}
    write_json(path / CARD, {**read_card(path), "metrics": {"split": split, **numbers}})
