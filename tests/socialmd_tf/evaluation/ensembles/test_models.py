import dataclasses

import numpy as np
import pytest

from socialmd_tf.evaluation import models as models_
from socialmd_tf.evaluation.ensembles import models
from socialmd_tf.evaluation.ensembles.cases import Cases
from socialmd_tf.evaluation.ensembles.models import DrawnPaths


@pytest.fixture
def cases(model, write_dataset, random_trajectory):
    test = [random_trajectory(num_particles=number, seed=number) for number in (4, 3)]
    data = write_dataset({"train": [random_trajectory()], "test": test})
    return Cases([models_.windows_of(model)], data, "test", 12)


def test_members_differ_within_and_between_batches_and_do_not_depend_on_the_run(model, cases, monkeypatch):
    monkeypatch.setattr(models, "_PAIRS_PER_BATCH", 2 * 4**2)  # two members at a time
    drawn = DrawnPaths(model, models_.windows_of(model), cases.windows, 5)
    for number, case in enumerate(cases):
        paths = drawn.paths(case, number)
        assert paths.shape == (5, 7, (4, 3)[number], 2)
        assert len(np.unique(paths[:, -1, 0, 0])) == 5
        assert (paths[:, 0] == case.runs[0, 0]).all()
        np.testing.assert_array_equal(paths, drawn.paths(case, number))
        assert (paths != drawn.paths(case, number + 1)).any()


def test_members_are_those_that_the_model_samples_after_the_last_observed_frames(model, cases):
    drawn = DrawnPaths(model, models_.windows_of(model), cases.windows, 3)
    case = next(iter(cases))
    inputs = case.inputs(models_.windows_of(model))
    rows = [np.repeat(inputs[name], 3, axis=0) for name in ("positions", "features")]
    expected = model.paths(*rows, 6, (0, 0))
    np.testing.assert_array_equal(drawn.paths(case, 0)[:, 1:], expected)


def test_a_finer_model_is_read_at_the_common_frames(model, cases):
    class Clock:
        """Every position is the number of the model's frame."""

        def paths(self, positions, features, horizon, *others):
            return np.broadcast_to(np.arange(1.0, horizon + 1)[:, None, None], (len(positions), horizon, 4, 2))

    fine = dataclasses.replace(models_.windows_of(model), subsample=1)
    windows = Cases([models_.windows_of(model), fine], cases._directory, "test", 12).windows
    case = next(iter(Cases([models_.windows_of(model), fine], cases._directory, "test", 12)))
    paths = DrawnPaths(Clock(), fine, windows, 2).paths(case, 0)
    assert paths[0, 1:, 0, 0].tolist() == [2, 4, 6, 8, 10, 12]
