import numpy as np
import pytest

from socialmd_tf.evaluation.compositions.mixture import Mixture

COLUMNS = {"D": 0, "W": 1, "B": 2}


def relabelled(fraction, num_particles=60, seed=0):
    features = np.random.default_rng(5).normal(size=(num_particles, 6)).astype(np.float32)  # three more are an anchor
    redrawn = Mixture("D", "B", fraction).relabel(features, COLUMNS, np.random.default_rng(seed))
    return features, redrawn


@pytest.mark.parametrize(("fraction", "count"), [(0, 0), (0.1, 6), (0.18, 11), (0.5, 30), (0.9, 54), (1, 60)])
def test_the_number_of_drugs_is_exact_and_nothing_but_the_types_changes(fraction, count):
    features, redrawn = relabelled(fraction)
    assert redrawn[:, 0].sum() == count and redrawn[:, 2].sum() == 60 - count and not redrawn[:, 1].any()
    assert set(redrawn[:, :3].sum(axis=1)) == {1.0}
    assert (redrawn[:, 3:] == features[:, 3:]).all()


def test_halves_are_rounded_up():
    assert [Mixture("D", "B", 0.5).count(number) for number in (1, 2, 3, 5)] == [1, 1, 2, 3]


def test_a_mixture_of_more_drug_keeps_the_drugs_of_one_of_less():
    less, more = (relabelled(fraction)[1][:, 0] for fraction in (0.3, 0.7))
    assert (more >= less).all()
    assert (relabelled(0.3, seed=1)[1][:, 0] != less).any()


def test_every_particle_is_as_likely_to_be_a_drug():
    mixture, generator = Mixture("D", "B", 0.25), np.random.default_rng(0)
    counts = sum(mixture.relabel(np.zeros((8, 3)), COLUMNS, generator)[:, 0] for _ in range(2000))
    assert counts == pytest.approx(np.full(8, 500), abs=5 * np.sqrt(2000 * 0.25 * 0.75))


def test_compositions_are_compared_by_numbers():
    mixture = Mixture("D", "B", 0.5)
    assert mixture.is_that_of({"D": 4, "W": 0, "B": 4}) and mixture.is_that_of({"D": 4, "B": 3})
    assert not mixture.is_that_of({"D": 3, "B": 4})
    assert not mixture.is_that_of({"D": 4, "W": 1, "B": 3})
