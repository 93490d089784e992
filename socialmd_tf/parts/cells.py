"""The recurrent cells, and how to add one: as in interactions.py, with `register_cell`."""

import inspect
from typing import Any

from pipelines.errors import require
from socialmd_tf.parts.heads import HEADS
from socialmd_tf.parts.interactions import INTERACTIONS
from socialmd_tf.parts.registry import Cell, Registry

CELLS = Registry("cell", Cell)

register_cell = CELLS.register


@register_cell("social", reads=("units", "input_embedding"))
def social(config: Any, name: str) -> Any:
    """One LSTM per particle, which sees its neighbours through the interaction."""
    from socialmd_tf.layers import SocialLSTMCell

    is_kinematic = HEADS[config.head].kinematic
    interaction = INTERACTIONS[config.interaction].build(config, "interaction")
    fits = not config.periodic or "box" in inspect.signature(interaction.call).parameters
    require(fits, "interaction", "one that takes `box`, for data in a periodic box", config.interaction)
    return SocialLSTMCell(
        config.units,
        config.input_embedding,
        interaction,
        velocity_scale=config.move_scale if is_kinematic else None,
        expose_interaction=is_kinematic,
        name=name,
    )


@register_cell("none", interacts=False)
def none(config: Any, name: str) -> Any:
    """No memory, for heads that have their own (langevin)."""
    from socialmd_tf.layers import MemorylessCell

    return MemorylessCell(name=name)


@register_cell("plain", reads=("input_layers", "lstm_layers", "output_layers", "dropout"), interacts=False)
def plain(config: Any, name: str) -> Any:
    """Perceptron, LSTMs and perceptron, each particle alone (the thesis's first experiment)."""
    from socialmd_tf.layers import PlainLSTMCell

    return PlainLSTMCell(config.input_layers, config.lstm_layers, config.output_layers, config.dropout, name=name)
