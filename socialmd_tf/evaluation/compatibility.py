"""Whether a model may be used on a dataset: what its model card says, compared with the manifest."""

import math

from pipelines.errors import UserError

_SAME_TIME = 1e-4
"""Relative difference of two frame intervals that counts as rounding: stored times are often float32."""


def check_data(card, manifest):
    """Refuse a dataset that differs from the one the model was trained on in dimensions, features or units.

    Args:
        card: The model card, a dictionary.
        manifest: The `Manifest` of the dataset.

    Raises:
        UserError: Dimensions, features, length unit, time unit or time between frames differ.
    """
    for name in ("num_dimensions", "features", "length_unit"):
        _require_equal(name, card[name], getattr(manifest, name))
    if card.get("time_unit") and manifest.time_unit:
        _require_equal("time_unit", card["time_unit"], manifest.time_unit)
    subsample, expected = card["windows"]["subsample"], card["time_between_frames"]
    found = manifest.time_between_frames * subsample
    if not math.isclose(expected, found, rel_tol=_SAME_TIME):
        raise UserError(
            f"`time_between_frames` of the data must be {expected / subsample:.6g}: the model reads every "
            f"{_ordinal(subsample)} stored frame and was trained on frames {expected:.6g} apart. "
            f"Received: {manifest.time_between_frames:.6g}; change --data or --model"
        )


def _require_equal(name, expected, found):
    found = list(found) if isinstance(found, tuple) else found
    if expected != found:
        raise UserError(
            f"`{name}` of the data must be that of the model, {expected!r}. Received: {found!r}; "
            "change --data or --model"
        )


def _ordinal(number):
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
