import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.heads.time_steps import take_steps
from socialmd_tf.layers.static_shapes import static_shapes

MAX_STEPS = 90
LENGTHS = np.float32([1 / 3, 1 / 20, 1 / 11, 1 / 5])  # of the steps of four systems


def swing(x, v, rate, goal=0):
    """Steps of x'' = -rate x by the semi-implicit Euler method, and how many."""

    def choose(number, left, x, v):
        return tf.where(left < LENGTHS + 1e-4, left, LENGTHS)

    def move(h, moving, constants):
        (x, v), h = moving, h[:, None]
        v = v - h * constants["rate"] * x
        return [x + h * v, v]

    start = (3, tf.ones_like(x[:, 0]))
    number, left, moved = take_steps(choose, move, goal, start, [x, v], {"rate": rate}, MAX_STEPS)
    return moved, number - 3, left


def loss(x, v, rate):
    moved, *_ = swing(x, v, rate)
    return tf.reduce_sum(tf.sin(moved[0]) + moved[1] ** 2)


def start():
    generator = np.random.default_rng(0)
    return [tf.constant(generator.normal(size=(4, 3)), tf.float32) for _ in range(2)] + [tf.constant([1.0, 2.0, 4.0])]


def gradients(values, is_static, is_compiled):
    @tf.function(jit_compile=is_compiled)
    def function(*values):
        with static_shapes(is_static), tf.GradientTape() as tape:
            tape.watch(values)
            result = loss(*values)
        return result, *tape.gradient(result, values)

    return function(*values)


@pytest.mark.slow_cases("False")
@pytest.mark.parametrize("is_compiled", [False, True])
def test_values_and_gradients_are_those_of_the_plain_loop(is_compiled):
    expected = gradients(start(), False, False)
    assert all(np.abs(values).max() > 0.1 for values in expected)
    for found, wanted in zip(gradients(start(), True, is_compiled), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_gradients_in_eager_mode_are_those_of_differences():
    x, v, rate = start()
    with static_shapes(), tf.GradientTape() as tape:
        tape.watch(rate)
        result = loss(x, v, rate)
    change = tf.constant([0.0, 1e-2, 0.0])
    difference = (loss(x, v, rate + change) - loss(x, v, rate - change)) / 2e-2
    np.testing.assert_allclose(tape.gradient(result, rate)[1], difference, rtol=1e-2)


@pytest.mark.parametrize("goal", [0, 1, 3, 4])
def test_steps_end_when_few_enough_systems_have_time_left(goal):
    plain = swing(*start(), goal=goal)
    counts = np.sort(np.round(1 / LENGTHS))[::-1]
    assert plain[1] == (counts[goal] if goal < 4 else 0)
    with static_shapes():
        static = swing(*start(), goal=goal)
    assert plain[1] <= static[1] < plain[1] + 8
    assert np.count_nonzero(static[2]) <= goal


@pytest.mark.slow
def test_steps_are_kept_only_for_the_gradient():
    def function(*values):
        with static_shapes():
            return swing(*values)[0]

    def compiled(function):
        return tf.function(function, jit_compile=True).experimental_get_compiler_ir(*start())(stage="optimized_hlo")

    def with_gradient(*values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = tf.reduce_sum(function(*values)[0])
        return tape.gradient(result, values)

    assert "[96," in compiled(with_gradient)
    assert "[96," not in compiled(function)
