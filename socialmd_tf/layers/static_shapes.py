"""Whether shapes may depend on values: a compiler for accelerators needs shapes that do not."""

import contextlib
import threading

import keras

_local = threading.local()


@contextlib.contextmanager
def static_shapes(required=True):
    """Within this context, layers compute with shapes that do not depend on values, and with loops of bounded length.

    Values and gradients are the same. XLA can compile the computation then; without XLA it is often slower, for it
    computes what the other form leaves out.

    Args:
        required: False leaves the context as it is.
    """
    before = getattr(_local, "required", False)
    _local.required = before or required
    try:
        yield
    finally:
        _local.required = before


@contextlib.contextmanager
def compiled_by_xla(required=True):
    """The same for what XLA does compile; within this context, layers may use operations that only XLA has.

    Args:
        required: False leaves the context as it is.
    """
    before = is_compiled_by_xla()
    _local.compiled = before or required
    try:
        with static_shapes(required):
            yield
    finally:
        _local.compiled = before


def is_compiled_by_xla():
    """Whether the context is that of `compiled_by_xla`."""
    return getattr(_local, "compiled", False)


def has_static_shapes():
    """Whether the context is that of `static_shapes`; always with JAX, which knows no other shapes."""
    return getattr(_local, "required", False) or keras.backend.backend() == "jax"
