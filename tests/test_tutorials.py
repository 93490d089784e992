"""The first steps of the tutorials, as their pages have them. The long ones, training and evaluation, are not run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.manifest import Manifest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.docs


def test_own_data_from_tracks_to_the_command_that_trains(tmp_path):
    text = (ROOT / "docs" / "tutorials" / "own-data.md").read_text()
    tracks, convert, predict = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "smd.load" in predict
    for program in (tracks, convert):
        run(["-c", program], tmp_path)
    assert len(list((tmp_path / "tracks").glob("*.csv"))) == 10
    assert Manifest.load(tmp_path / "data" / "mine").splits["test"] == ("test/08.npy", "test/09.npy")
    page = run(["-m", "socialmd_tf.check", "data/mine"], tmp_path)
    (shown,) = re.findall(r"^```text\n(Training.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (command,) = re.findall(r"^```sh\n(python -m socialmd_tf\.train.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert words(shown) == words(page[page.index("Training") :])[: len(words(shown))]
    assert set(words(command)) - {"--final"} == set(words(page[page.index("python -m socialmd_tf.train") :]))


def run(arguments, directory):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=True
    ).stdout


def words(text):
    return text.replace("\\\n", " ").split()
