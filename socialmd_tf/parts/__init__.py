"""The parts of a network by name: cells, heads and interactions, with what each needs and how it is built.

registry.py says what a part is and how to register one, also from outside this package; cells.py, heads.py and
interactions.py register ours. Nothing here imports Keras until a layer is built, so that configurations can be
checked and `--help` printed at once. Begin with interactions.py.
"""

from socialmd_tf.parts.cells import CELLS, register_cell
from socialmd_tf.parts.heads import HEADS, register_head
from socialmd_tf.parts.interactions import INTERACTIONS, register_interaction
from socialmd_tf.parts.registry import Cell, Head, Interaction, Part, Registry

__all__ = [
    "CELLS",
    "HEADS",
    "INTERACTIONS",
    "Cell",
    "Head",
    "Interaction",
    "Part",
    "Registry",
    "register_cell",
    "register_head",
    "register_interaction",
]
