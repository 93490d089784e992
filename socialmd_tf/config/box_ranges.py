"""How far particles see each other, and how far they may in a periodic box: up to half its smallest height.

Farther away, a particle would see several images of a neighbour, of which models take only the nearest.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from pipelines.errors import UserError
from socialmd_tf.config.json_format import from_dict
from socialmd_tf.config.model import ModelConfig
from socialmd_tf.config.terms import Terms
from socialmd_tf.parts import HEADS, INTERACTIONS

_ROUNDING = 1 + 1e-5


def ranges(config: ModelConfig) -> dict[str, float]:
    """Largest distances at which particles see each other, in units of length, by the field that sets them."""
    reads = {*HEADS[config.head].reads, *INTERACTIONS[config.interaction].reads}
    found = {"cutoff": config.cutoff} if "cutoff" in reads else {}
    if "side_lengths" in reads:
        # The thesis's grids hold a disc; those of multiscale pooling, half a bin wider, are seen up to the corners.
        is_disc = "filters" in reads
        corner = 1.0 if is_disc else (1 + 1 / config.bins) * math.sqrt(config.num_dimensions)
        found["side_lengths"] = max(config.side_lengths) / 2 * corner
    return found


def reach(config: ModelConfig) -> float:
    """Largest distance at which particles of a trained model see each other, in units of length; 0 if they do not."""
    return max(*ranges(config).values(), config.terms.cutoff, 0.0)


def with_law(config: ModelConfig, terms: Terms, is_chosen: bool) -> ModelConfig:
    """The configuration with a fitted law, and a cutoff of at most that of its pair forces.

    Args:
        config: The configuration.
        terms: Those of the law.
        is_chosen: Whether the user has chosen the cutoff, which then stays.
    """
    cutoff = config.cutoff if is_chosen else min(config.cutoff, terms.cutoff or math.inf)
    return dataclasses.replace(config, terms=terms, cutoff=cutoff)


def check_law(config: ModelConfig, half_height: float) -> None:
    """Refuse a fitted law whose pair forces reach farther than half the smallest height of a box.

    Raises:
        UserError: They do. A law fitted to these data does not; it comes from initial weights.
    """
    cutoff = config.terms.cutoff or math.inf
    if config.terms.pairs and cutoff > half_height * _ROUNDING:
        raise UserError(
            f"the law of the initial weights must not reach farther than {half_height:.4g}, half the smallest height "
            f"of the periodic box. Found a cutoff of {cutoff:.4g}; fit a new law, without --initial-weights or "
            "--initial-model"
        )


def sees_neighbors(settings: Mapping[str, Any]) -> bool:
    """Whether a box matters to a model: whether particles see each other.

    Args:
        settings: The `ModelConfig` as the card of an export holds it.
    """
    return bool(ranges(from_dict(ModelConfig, settings)))


def within_box(config: ModelConfig, half_height: float) -> ModelConfig:
    """The configuration with ranges of at most half the smallest height of a box, in units of length."""
    changes: dict[str, float | tuple[float, ...]] = {}
    for name, reach in ranges(config).items():
        if reach > half_height * _ROUNDING:
            factor, value = half_height / reach, getattr(config, name)
            changes[name] = tuple(factor * side for side in value) if isinstance(value, tuple) else factor * value
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def box_notes(config: ModelConfig, defaults: ModelConfig, half_height: float) -> list[str]:
    """What `within_box` changes, one line each; only defaults may be changed.

    Args:
        config: The configuration.
        defaults: The configuration that its user started from.
        half_height: Half the smallest height of a box, in units of length.

    Raises:
        UserError: A range that the user has chosen is too long for the box.
    """
    fitted, notes = within_box(config, half_height), []
    for name, reach in ranges(config).items():
        old, new = getattr(config, name), getattr(fitted, name)
        flag = f"--model.{name.replace('_', '-')}"
        if new != old:
            if old != getattr(defaults, name):
                raise UserError(
                    f"`{name}` must not let particles see farther than {half_height:.4g}, half the smallest height of "
                    f"the periodic box. Received: {_text(old)}, a range of {reach:.4g}; change {flag}"
                )
            notes.append(f"{flag} is {_text(new)} instead of {_text(old)}: half the smallest height of the box")
    return notes


def _text(value: float | tuple[float, ...]) -> str:
    return " ".join(f"{number:.4g}" for number in (value if isinstance(value, tuple) else (value,)))
