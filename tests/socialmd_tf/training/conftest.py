"""A small dataset for the tests of training."""

import pytest


@pytest.fixture
def mixed_data(write_dataset, random_trajectory):
    """Systems of three and four particles, 8 windows each."""
    trajectories = [random_trajectory(num_particles=number, seed=number) for number in (3, 4)]
    return write_dataset({"train": trajectories, "validation": trajectories[:1]})
