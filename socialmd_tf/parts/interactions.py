"""The interactions, and how to add one.

from socialmd_tf.parts import register_interaction

@register_interaction("mine", reads=("cutoff",))
def mine(config, name):
    '''Number of neighbours within the cutoff.'''
    return CountNeighbors(config.cutoff, name=name)
"""

from typing import Any

from socialmd_tf.parts.registry import Interaction, Registry

INTERACTIONS = Registry("interaction", Interaction)

register_interaction = INTERACTIONS.register
_GRIDS = ("bins", "side_lengths", "state_embedding", "interaction_embedding")
_PAIRS = ("cutoff", "softening", "pair_units", "pair_channels", "move_scale")


@register_interaction("none")
def none(config: Any, name: str) -> Any:
    """No neighbours."""
    from socialmd_tf.layers import NoInteraction

    return NoInteraction(name=name)


@register_interaction("stacked_pooling", reads=(*_GRIDS, "filters", "kernel_size"))
def stacked_pooling(config: Any, name: str) -> Any:
    """The thesis's pooling grids, added up and read by a CNN."""
    from socialmd_tf.layers import StackedPoolingInteraction

    return StackedPoolingInteraction(
        bins=config.bins,
        side_lengths=config.side_lengths,
        filters=config.filters,
        kernel_size=config.kernel_size,
        state_embedding=config.state_embedding,
        embedding=config.interaction_embedding,
        name=name,
    )


@register_interaction("multiscale_pooling", reads=_GRIDS)
def multiscale_pooling(config: Any, name: str) -> Any:
    """Pooling grids of several sizes, kept apart and read bin by bin."""
    from socialmd_tf.layers import MultiscalePoolingInteraction

    return MultiscalePoolingInteraction(
        bins=config.bins,
        side_lengths=config.side_lengths,
        state_embedding=config.state_embedding,
        embedding=config.interaction_embedding,
        name=name,
    )


@register_interaction("pairwise", reads=_PAIRS)
def pairwise(config: Any, name: str) -> Any:
    """A learned function of each pair, summed over the neighbours."""
    from socialmd_tf.layers import PairwiseInteraction

    return PairwiseInteraction(
        config.cutoff, config.softening, config.pair_units, config.pair_channels, config.move_scale, name=name
    )


@register_interaction("both", reads=(*_GRIDS, *_PAIRS))
def both(config: Any, name: str) -> Any:
    """The interactions multiscale_pooling and pairwise side by side."""
    from socialmd_tf.layers import CombinedInteraction

    parts = multiscale_pooling(config, "multiscale_pooling"), pairwise(config, "pairwise")
    return CombinedInteraction(parts, name=name)
