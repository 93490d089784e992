"""The parts of a network by name: cells, heads, forces and interactions, their requirements, and how they are built.

registry.py finds parts by name; cells.py, heads.py, forces.py and interactions.py register those of this package, and
other modules may register their own. Nothing here imports Keras until a layer is built, so that configurations are
checked and `--help` is printed at once. Begin with interactions.py.
"""

from socialmd_tf.parts.cells import CELLS, register_cell
from socialmd_tf.parts.forces import FORCES, register_force
from socialmd_tf.parts.heads import HEADS, register_head
from socialmd_tf.parts.interactions import INTERACTIONS, register_interaction
from socialmd_tf.parts.registry import Cell, Force, Head, Interaction, Part, Registry

__all__ = [
    "CELLS",
    "FORCES",
    "HEADS",
    "INTERACTIONS",
    "Cell",
    "Force",
    "Head",
    "Interaction",
    "Part",
    "Registry",
    "register_cell",
    "register_force",
    "register_head",
    "register_interaction",
]
