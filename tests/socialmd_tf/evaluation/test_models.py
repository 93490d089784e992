import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.evaluation import models
from tests.socialmd_tf.evaluation.small_model import MANIFEST, WINDOWS, built_model


def test_windows_are_not_rotated(model):
    assert model.card["windows"]["rotations"] == 2
    assert models.windows_of(model) == dataclasses.replace(WINDOWS, rotations=0)


def test_equal_names_become_different(tmp_path):
    def named(*paths):
        found = [SimpleNamespace(name=path.parent.name, path=path) for path in (tmp_path / path for path in paths)]
        return models.names_of(found)

    assert named("a/1", "b/1") == ["a", "b"]
    assert named("a/1", "a/2", "b/1") == ["a/1", "a/2", "b"]
    assert named("x/a/1", "y/a/1") == [str(tmp_path / "x/a/1"), str(tmp_path / "y/a/1")]
    assert named("constant_velocity/3") == ["constant_velocity/3"]
    with pytest.raises(UserError, match="must name different models"):
        named("a/1", "b/1", "a/1")


def test_models_in_memory_are_numbered():
    found = [SimpleNamespace(name="socialmd", path=None)] * 2 + [SimpleNamespace(name="other", path=None)]
    assert models.names_of(found) == ["socialmd/1", "socialmd/2", "other"]


def test_a_model_in_memory_predicts_what_it_predicts():
    built = built_model()
    prepared = models.prepare(built, MANIFEST, dataclasses.replace(WINDOWS, rollout_steps=30))
    assert models.windows_of(prepared).rollout_steps == 3  # those of the model
    inputs = {
        "positions": np.random.default_rng(0).normal(size=(2, 4, 5, 2)).astype("float32"),
        "features": np.ones((2, 5, 1), "float32"),
        "mask": np.ones((2, 5), "float32"),
    }
    np.testing.assert_allclose(prepared.density(inputs), built(inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("field", "value"), [("num_dimensions", 3), ("features", ("mass", "charge"))])
def test_a_model_in_memory_must_fit_the_data(field, value):
    with pytest.raises(UserError, match="`models` must be models for"):
        models.prepare(built_model(), dataclasses.replace(MANIFEST, **{field: value}), WINDOWS)


@pytest.mark.parametrize("model", [None, 3, keras.Sequential([keras.layers.Dense(2)])])
def test_other_models_are_refused(model):
    with pytest.raises(UserError, match="`models` must be paths of SavedModels"):
        models.prepare(model, MANIFEST, WINDOWS)


def test_the_windows_are_a_configuration():
    with pytest.raises(UserError, match="`windows` must be a `DataConfig`"):
        models.prepare(built_model(), MANIFEST, {"subsample": 1})
