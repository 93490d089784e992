"""The network's layers, one idea a file, written with `keras.ops`."""

from socialmd_tf.layers.cell import SocialLSTMCell
from socialmd_tf.layers.density import DensityLayout
from socialmd_tf.layers.heads import AbsoluteHead
from socialmd_tf.layers.interactions import CombinedInteraction, NoInteraction, StackedPoolingInteraction
from socialmd_tf.layers.kinematic_head import KinematicHead
from socialmd_tf.layers.multiscale_interaction import MultiscalePoolingInteraction
from socialmd_tf.layers.multiscale_pooling import MultiscalePooling
from socialmd_tf.layers.pair_force import PairForce
from socialmd_tf.layers.pairwise import PairwiseInteraction
from socialmd_tf.layers.pooled_convolution import PooledConvolution
from socialmd_tf.layers.pooling import StackedStatePooling
from socialmd_tf.layers.rollout import Rollout
from socialmd_tf.layers.verlet_head import VerletHead

__all__ = [
    "AbsoluteHead",
    "CombinedInteraction",
    "DensityLayout",
    "KinematicHead",
    "MultiscalePooling",
    "MultiscalePoolingInteraction",
    "NoInteraction",
    "PairForce",
    "PairwiseInteraction",
    "PooledConvolution",
    "Rollout",
    "SocialLSTMCell",
    "StackedPoolingInteraction",
    "StackedStatePooling",
    "VerletHead",
]
