import dataclasses

import numpy as np
import pytest

from socialmd_tf.fitting.basis import Channel
from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.integrator import continue_windows
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.short_range import choose_short_range, dominating, has_close_encounters
from socialmd_tf.fitting.trajectories import Trajectories

STRENGTH = 0.01


def encounters(count, limit, core, seed):
    """Pairs that attract as 1 / r^2 and pass each other closely: a law, and trajectories under it."""
    rng = np.random.default_rng(seed)
    start = np.concatenate([rng.uniform(-1.0, -0.6, (count, 1, 1)), rng.uniform(0.02, 0.2, (count, 1, 1))], axis=-1)
    before = start + np.array([-0.12, 0.0])
    frames = np.stack([np.concatenate([x, -x], axis=1) for x in (before, start)], axis=1)
    observed = Trajectories.of(frames)
    basis = dataclasses.replace(candidate_basis(observed, 8), channels=(Channel(),), fields=(), frictions=())
    basis = dataclasses.replace(basis, core=core, limit=limit)
    law = Law(basis, np.full(8, STRENGTH))
    later = continue_windows(law, observed, 18, tolerance=1e-8)
    return law, Trajectories.of(np.concatenate([frames, later], axis=1))


def chosen_for(true_law, core, limit):
    law, train = encounters(12, limit, core, 0)
    _, validation = encounters(12, limit, core, 1)
    assert law.basis.limit == true_law.basis.limit
    plain = Law(dataclasses.replace(law.basis, core=1e-3, limit=np.inf), law.coefficients)
    lines = []
    return plain, choose_short_range(plain, train, validation, 2, 18, lines.append), lines


@pytest.mark.slow
def test_a_limit_is_found_by_rollouts():
    true_law, _ = encounters(2, 0.15, 1e-3, 0)
    plain, chosen, lines = chosen_for(true_law, 1e-3, 0.15)
    assert chosen.basis.limit == pytest.approx(0.15, rel=0.1)
    assert len(lines) == 1 and "limit" in lines[0]
    np.testing.assert_array_equal(chosen.coefficients, plain.coefficients)


def test_nothing_is_changed_where_nothing_helps():
    true_law, _ = encounters(2, np.inf, 1e-3, 0)
    plain, chosen, lines = chosen_for(true_law, 1e-3, np.inf)
    assert chosen is plain and not lines


def test_close_encounters_are_a_heavy_tail():
    assert has_close_encounters(np.array([1e-6] * 9 + [1.0]))
    assert not has_close_encounters(np.linspace(1, 3, 10))


def test_close_encounters_may_be_in_most_windows():
    assert has_close_encounters(np.array([1e-6] * 4 + [0.5] * 6))


def test_windows_that_dominate_the_mean():
    np.testing.assert_array_equal(dominating(np.array([1.0, 5.0, 0.5, 3.0, 0.5])), [1, 3, 0])
