import json
import os

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from socialmd_tf.report import plots, write
from tests.socialmd_tf.report.report_examples import findings, window

FILES = ["metrics.json", "paths.png", "report.html", "report.md"]


def test_all_files_are_written(tmp_path):
    found = findings()
    write.write(found, tmp_path / "new" / "out")
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == FILES
    assert json.loads((tmp_path / "new" / "out" / "metrics.json").read_text()) == found.metrics()
    with Image.open(tmp_path / "new" / "out" / "paths.png") as picture:
        assert min(picture.size) > 500


@pytest.mark.slow
def test_the_picture_is_of_the_median_window_and_the_first_model(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "paths", lambda file, *arrays, **options: drawn.append((arrays, options)))
    shown = [window(0), window(1, label="median"), window(2, label="worst")]
    write.write(findings(examples=shown), tmp_path)
    (((warm_up, mean, covariance), options),) = drawn
    np.testing.assert_array_equal(warm_up, shown[1].warm_up)
    np.testing.assert_array_equal(mean, shown[1].predictions["ours"][0])
    np.testing.assert_array_equal(covariance, shown[1].predictions["ours"][1])
    np.testing.assert_array_equal(options["truth"], shown[1].truth)
    np.testing.assert_array_equal(options["samples"], shown[1].samples["ours"])
    assert options["unit"] == "nm" and options["title"].startswith("nbody: 4 frames predicted from 3")


@pytest.mark.slow
def test_earlier_files_survive_a_failure(tmp_path, monkeypatch):
    """A picture that cannot be drawn, or a disk that is full, destroys no earlier picture and leaves no rest."""
    write.write(findings(), tmp_path)
    before = (tmp_path / "paths.png").read_bytes()

    def fail(file, *arrays, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plots, "paths", fail)
    with pytest.raises(OSError, match="No space"):
        write.write(findings(), tmp_path)
    assert (tmp_path / "paths.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


@pytest.mark.parametrize("place", ["file", "file/sub", "file/sub/deeper"])
def test_a_file_where_a_directory_belongs_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="`output` must be a directory") as raised:
        write.check_directory(tmp_path / place)
    assert str(tmp_path / "file") in str(raised.value)
    with pytest.raises(UserError, match="`output` must be a directory"):
        write.write(findings(), tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_directory_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="`output` must be writable"):
        write.check_directory(tmp_path / "new")


def test_checking_creates_nothing(tmp_path):
    write.check_directory(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
