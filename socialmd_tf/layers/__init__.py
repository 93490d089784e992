"""The layers of the network, written with `keras.ops` and importing only each other.

cells/ (what a particle remembers), interactions/ (how particles see their neighbours), heads/ (densities of the next
positions), pooling/ and pairs/ (sums over neighbours that these use). rollout.py joins a cell and a head in time;
density.py says how a density is stored as numbers. Begin with rollout.py.
"""

from socialmd_tf.layers.cells.none import MemorylessCell
from socialmd_tf.layers.cells.plain import PlainLSTMCell
from socialmd_tf.layers.cells.social import SocialLSTMCell
from socialmd_tf.layers.density import DensityLayout
from socialmd_tf.layers.heads.absolute import AbsoluteHead
from socialmd_tf.layers.heads.displacement import DisplacementHead
from socialmd_tf.layers.heads.kinematic import KinematicHead
from socialmd_tf.layers.heads.langevin import LangevinHead
from socialmd_tf.layers.heads.verlet import VerletHead
from socialmd_tf.layers.interactions.combined import CombinedInteraction
from socialmd_tf.layers.interactions.multiscale_pooling import MultiscalePoolingInteraction
from socialmd_tf.layers.interactions.none import NoInteraction
from socialmd_tf.layers.interactions.pairwise import PairwiseInteraction
from socialmd_tf.layers.interactions.stacked_pooling import StackedPoolingInteraction
from socialmd_tf.layers.pairs.pair_force import PairForce
from socialmd_tf.layers.pooling.multiscale_pooling import MultiscalePooling
from socialmd_tf.layers.pooling.pooled_convolution import PooledConvolution
from socialmd_tf.layers.pooling.stacked_state_pooling import StackedStatePooling
from socialmd_tf.layers.rollout import Rollout

__all__ = [
    "AbsoluteHead",
    "CombinedInteraction",
    "DensityLayout",
    "DisplacementHead",
    "KinematicHead",
    "LangevinHead",
    "MemorylessCell",
    "MultiscalePooling",
    "MultiscalePoolingInteraction",
    "NoInteraction",
    "PairForce",
    "PairwiseInteraction",
    "PlainLSTMCell",
    "PooledConvolution",
    "Rollout",
    "SocialLSTMCell",
    "StackedPoolingInteraction",
    "StackedStatePooling",
    "VerletHead",
]
