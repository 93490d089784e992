"""One exported model and one small dataset for the tests of evaluations."""

import pytest

from tests.socialmd_tf.evaluation.small_model import RANDOM, exported_model


@pytest.fixture(scope="session")
def model(small_export):
    return small_export


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """A model of random motion."""
    return exported_model(tmp_path_factory.mktemp("saved") / "random", network=RANDOM)


@pytest.fixture
def data(write_dataset, random_trajectory):
    """Two files of 3 particles to train on, one of 4 and one of 3 particles to test on."""
    train = [random_trajectory(num_particles=3, seed=seed) for seed in (1, 2)]
    test = [random_trajectory(num_particles=number, seed=number) for number in (4, 3)]
    return write_dataset({"train": train, "validation": train[:0], "test": test})
