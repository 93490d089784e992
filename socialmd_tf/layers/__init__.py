"""The network's layers, one idea a file, written with `keras.ops`."""

from socialmd_tf.layers.cell import SocialLSTMCell
from socialmd_tf.layers.density import DensityLayout
from socialmd_tf.layers.displacement_head import DisplacementHead
from socialmd_tf.layers.heads import AbsoluteHead
from socialmd_tf.layers.interactions import NoInteraction, StackedPoolingInteraction
from socialmd_tf.layers.kinematic_head import KinematicHead
from socialmd_tf.layers.pair_force import PairForce
from socialmd_tf.layers.pairwise import PairwiseInteraction
from socialmd_tf.layers.plain_cell import PlainLSTMCell
from socialmd_tf.layers.pooled_convolution import PooledConvolution
from socialmd_tf.layers.pooling import StackedStatePooling
from socialmd_tf.layers.rollout import Rollout
from socialmd_tf.layers.verlet_head import VerletHead

__all__ = [
    "AbsoluteHead",
    "DensityLayout",
    "DisplacementHead",
    "KinematicHead",
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
