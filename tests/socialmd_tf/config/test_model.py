import dataclasses
import math
import subprocess
import sys

import pytest

from pipelines.errors import UserError
from socialmd_tf.config import ModelConfig
from socialmd_tf.parts import CELLS, HEADS, INTERACTIONS

FIELDS = {field.name for field in dataclasses.fields(ModelConfig)}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"num_dimensions": 4}, "num_dimensions"),
        ({"num_features": -1}, "num_features"),
        ({"rollout_steps": 0}, "rollout_steps"),
        ({"kernel_size": 2.5}, "kernel_size"),
        ({"side_lengths": ()}, "side_lengths"),
        ({"side_lengths": (1.0, -2.0)}, "side_lengths"),
        ({"side_lengths": (math.nan,)}, "side_lengths"),
        ({"filters": (3, 0)}, "filters"),
        ({"filters": ()}, "filters"),
        ({"bins": 7}, "bins"),  # three poolings halve 8 bins to 1
        ({"lstm_layers": ()}, "lstm_layers"),
        ({"output_layers": (8, 0)}, "output_layers"),
        ({"dropout": 1.0}, "dropout"),
        ({"charges": 0}, "charges"),
        ({"substeps": 0.5}, "substeps"),
        ({"scale_floor": 0.0}, "scale_floor"),
        ({"scale_floor": math.nan}, "scale_floor"),
        ({"scale_floor": 1e-20}, "scale_floor"),
        ({"cutoff": math.inf}, "cutoff"),
        ({"walls": -1.0}, "walls"),
        ({"walls": 5.0}, "walls"),
    ],
)
def test_refuses(changes, field):
    with pytest.raises(UserError) as error:
        ModelConfig(**changes)
    assert str(error.value).startswith(f"`{field}` must be ")
    assert str(error.value).endswith(f"Received: {changes[field]!r}")


@pytest.mark.parametrize(("field", "registry"), [("cell", CELLS), ("head", HEADS), ("interaction", INTERACTIONS)])
@pytest.mark.parametrize("name", ["leapfrog", "", None])
def test_an_unknown_part_is_refused_with_the_names_of_the_others(field, registry, name):
    with pytest.raises(UserError, match=f"`{field}` must be one of ") as error:
        ModelConfig(**{field: name})
    assert all(known in str(error.value) for known in registry)


@pytest.mark.parametrize(
    ("changes", "field", "received"),
    [
        ({"cell": "plain"}, "interaction", "stacked_pooling"),
        ({"cell": "plain", "interaction": "none", "head": "kinematic"}, "head", "kinematic"),
        ({"head": "verlet", "correlated": False}, "correlated", False),
        ({"head": "kinematic", "walls": 1.0}, "walls", 1.0),
        ({"head": "kinematic", "shared_noise": True}, "shared_noise", True),
        ({"head": "kinematic", "growing_noise": True}, "growing_noise", True),
        ({"head": "kinematic", "measurement_noise": True}, "measurement_noise", True),
    ],
)
def test_parts_that_contradict_each_other_are_refused(changes, field, received):
    with pytest.raises(UserError) as error:
        ModelConfig(**changes)
    assert f"`{field}`" in str(error.value) and str(error.value).endswith(f"Received: {received!r}")


def test_only_what_a_cnn_reads_needs_bins_to_halve():
    assert ModelConfig(interaction="multiscale_pooling", bins=3).bins == 3


def test_parts_read_fields_that_exist():
    registries = (CELLS, HEADS, INTERACTIONS)
    read = {field for registry in registries for name in registry for field in registry[name].reads}
    assert {"units", "charges", "bins"} <= read <= FIELDS


def test_importing_the_configuration_imports_neither_keras_nor_tensorflow():
    code = "import sys, socialmd_tf.config; print([m for m in ('keras', 'tensorflow', 'numpy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
