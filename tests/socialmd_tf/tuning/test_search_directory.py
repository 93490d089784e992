import shutil

import numpy as np
import pytest

pytest.importorskip("keras_tuner", reason="needs the extra `tuning`")

from pipelines.errors import UserError
from socialmd_tf.tune import TuneConfig
from socialmd_tf.tuning.search_directory import open_search
from socialmd_tf.tuning.search_space import search_space


@pytest.fixture
def data(write_dataset, random_trajectory):
    trajectories = [random_trajectory(num_particles=3, seed=seed) for seed in range(3)]
    return write_dataset({"train": trajectories[:1], "validation": trajectories[1:2], "test": trajectories[2:]})


def open_with(data, output):
    config = TuneConfig(data=str(data), output=str(output))
    open_search(output, config, search_space(config.base(), {}))


def test_data_that_changed_since_the_search_began_are_refused(data, tmp_path):
    open_with(data, tmp_path / "search")
    file = next((data / "train").glob("*.npy"))
    trajectory = np.load(file)
    trajectory[0, 0, 0] += 1
    np.save(file, trajectory)
    with pytest.raises(UserError, match=rf"{data} has changed since the search .* train/{file.name} has changed"):
        open_with(data, tmp_path / "search")


def test_data_that_only_moved_are_the_same(data, tmp_path):
    open_with(data, tmp_path / "search")
    open_with(shutil.copytree(data, tmp_path / "moved"), tmp_path / "search")
