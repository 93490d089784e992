"""The examples of docs/api.md, run on the shipped model and a tiny dataset."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.simulate import simulate

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text()
DATA = SimulationConfig(
    num_train=1, num_validation=1, num_test=1, num_particles=4, num_steps=7500, time_step=1e-5, save_every=10
)


def examples(heading):
    """The fenced examples of one section, as one program."""
    start = TEXT.index(heading)
    section = TEXT[start : TEXT.find("\n## ", start + 1)]
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Run the examples of sections in a directory with the shipped model and `data/nbody` -> names and values."""
    directory = tmp_path_factory.mktemp("api")
    simulate(DATA, directory / "data" / "nbody", command="")
    (directory / "saved_models").mkdir()
    (directory / "saved_models" / "nbody").symlink_to(ROOT / "saved_models" / "nbody")

    def run(*headings):
        names, before = {}, Path.cwd()
        os.chdir(directory)
        try:
            for heading in ("# Python API", *headings):
                exec(examples(heading), names)
        finally:
            os.chdir(before)
        return names

    run.directory = directory
    return run


@pytest.mark.slow
def test_predictions(program, capsys):
    names = program("## Predict", "## Files of other programs", "## Which frames are observed")
    assert "Forecast of nbody/2: 30 frames, 4 particles, 2 dimensions" in capsys.readouterr().out
    saved = np.load(program.directory / "runs" / "forecast.npz")
    assert saved["mean"].shape == (30, 4, 2) and saved["covariance"].shape == (30, 4, 2, 2)
    np.testing.assert_allclose(saved["times"][:2], [0.01, 0.012])
    assert np.load(program.directory / "runs" / "samples.npz")["positions"].shape == (16, 30, 4, 2)
    assert names["spread"].shape == (30, 4, 2)
    assert len(names["universe"].trajectory) == len(names["atoms"]) == names["table"].sizes["time"] == 30
    assert names["truth"].shape == (20, 4, 2) and names["error"] < 0.01
    assert names["forecast"].mean.shape == (10, 2, 2) and names["several"].mean.shape == (2, 10, 2, 2)


def test_networks_and_layers(program):
    names = program("## Networks and layers")
    assert names["network"].count_params() == 34_356
    assert names["parameters"].shape == (1, 3, 4, 5) and names["pooled"].shape == (1, 6, 4, 4, 3)


@pytest.mark.slow
def test_training_and_evaluation(program, capsys):
    names = program("## Train", "## Evaluate")
    assert names["result"].model == Path("saved_models/lstm/1") and names["result"].metrics["mae"] > 0
    assert 0 < names["mae"] < 0.1
    assert "constant_velocity" in capsys.readouterr().out


def test_every_public_name_is_described():
    import socialmd_tf

    for name in socialmd_tf.__all__:
        assert f"`{name}" in TEXT, name
