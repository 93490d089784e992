"""Whether a model may be used on a dataset: what its model card says, compared with the manifest."""

import math

from pipelines.config import DataConfig
from pipelines.errors import UserError
from socialmd_tf.config import from_dict
from socialmd_tf.config.box_ranges import sees_neighbors

_NEEDED = ("num_dimensions", "features", "length_unit", "time_between_frames", "windows")
_SAME_TIME = 1e-4
"""Relative difference of two frame intervals that counts as rounding: stored times are often float32."""


def check_data(card, manifest):
    """Refuse a dataset that differs from the one the model was trained on in dimensions, features, units or inputs.

    Args:
        card: The model card, a dictionary.
        manifest: The `Manifest` of the dataset.

    Raises:
        UserError: Dimensions, features, length unit, time unit or time between frames differ, the card lacks one, or
            only one of the two has a periodic box, bonds or observed velocities that matter to the model.
    """
    missing = [name for name in _NEEDED if name not in card]
    if missing:
        raise UserError(f"`model` must have a complete model card. Missing: {', '.join(missing)}")
    _require_equal("features", card["features"], manifest.particle_features)
    for name in ("num_dimensions", "length_unit"):
        _require_equal(name, card[name], getattr(manifest, name))
    if card.get("time_unit") and manifest.time_unit:
        _require_equal("time_unit", card["time_unit"], manifest.time_unit)
    expected = card["time_between_frames"] / from_dict(DataConfig, card["windows"]).subsample
    if not math.isclose(expected, manifest.time_between_frames, rel_tol=_SAME_TIME):
        _refuse("time_between_frames", f"{expected:.6g}", f"{manifest.time_between_frames:.6g}")
    _check_optional_inputs(card.get("model", {}), manifest)


def _check_optional_inputs(settings, manifest):
    found = {
        "box": (settings.get("periodic"), manifest.is_periodic),
        "edges": (settings.get("num_edge_types"), manifest.edges is not None),
        "velocities": (settings.get("observed_velocities"), manifest.velocity_start is not None),
    }
    for name, (is_taken, is_there) in found.items():
        if is_taken and not is_there:
            _refuse(name, "there", "none")
    if manifest.is_periodic and settings and not settings.get("periodic") and sees_neighbors(settings):
        _refuse("box", "none", "a periodic box")


def _require_equal(name, expected, found):
    found = list(found) if isinstance(found, tuple) else found
    if expected != found:
        _refuse(name, repr(expected), repr(found))


def _refuse(name, expected, found):
    raise UserError(
        f"`{name}` of the data must be that of the model's training data, {expected}. Received: {found}; "
        "change --data or --model"
    )
