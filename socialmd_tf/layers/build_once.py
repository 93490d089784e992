"""Weights of a layer inside another one."""

import keras


def build_once(layer, *shapes):
    """Create the weights of a layer, unless it has them.

    Args:
        layer: A layer. Without weights it may do without `build`; the one that it inherits takes a single shape.
        *shapes: Shapes of its arguments.
    """
    if not layer.built:
        has_own_build = type(layer).build is not keras.layers.Layer.build
        layer.build(*(shapes if has_own_build else shapes[:1]))
