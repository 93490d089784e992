"""The context that asks for shapes that do not depend on values."""

import threading

from socialmd_tf.layers.static_shapes import compiled_by_xla, has_static_shapes, is_compiled_by_xla, static_shapes


def test_the_context_ends():
    assert not has_static_shapes()
    with static_shapes():
        assert has_static_shapes()
        with static_shapes(required=False):
            assert has_static_shapes()
    assert not has_static_shapes()


def test_what_xla_compiles_has_static_shapes():
    with static_shapes():
        assert not is_compiled_by_xla()
        with compiled_by_xla(required=False):
            assert not is_compiled_by_xla()
    with compiled_by_xla():
        assert is_compiled_by_xla() and has_static_shapes()
    assert not is_compiled_by_xla() and not has_static_shapes()


def test_the_context_ends_after_an_error():
    try:
        with static_shapes():
            raise KeyError
    except KeyError:
        pass
    assert not has_static_shapes()


def test_other_threads_are_not_concerned():
    seen = []
    with static_shapes():
        thread = threading.Thread(target=lambda: seen.append(has_static_shapes()))
        thread.start()
        thread.join()
    assert seen == [False]
