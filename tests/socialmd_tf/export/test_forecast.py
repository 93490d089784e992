import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.export.forecast import Forecast, Samples

FACTS = {"times": np.array([0.5, 0.75]), "length_unit": "nm", "time_unit": "ps", "model": "tiny/1"}
MEAN = np.arange(12.0).reshape(2, 3, 2)
COVARIANCE = np.array([4.0, 9.0])[:, None, None, None] * np.eye(2) * np.ones((2, 3, 1, 1))
FORECAST = Forecast(**FACTS, mean=MEAN, covariance=COVARIANCE)


def test_a_forecast_is_read_back_as_it_was_saved(tmp_path):
    FORECAST.save(str(tmp_path / "new" / "forecast.npz"))
    found = np.load(tmp_path / "new" / "forecast.npz")
    assert set(found) == {"mean", "covariance", "times", "length_unit", "time_unit", "model"}
    np.testing.assert_array_equal(found["mean"], MEAN)
    np.testing.assert_array_equal(found["covariance"], COVARIANCE)
    np.testing.assert_array_equal(found["times"], FACTS["times"])
    assert (str(found["length_unit"]), str(found["time_unit"]), str(found["model"])) == ("nm", "ps", "tiny/1")


def test_the_box_is_saved_where_there_is_one(tmp_path):
    dataclasses.replace(FORECAST, box=np.array([4.0, 5.0])).save(tmp_path / "forecast.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "forecast.npz")["box"], [4.0, 5.0])


def test_samples_without_a_time_unit_are_saved_without_it(tmp_path):
    samples = Samples(**{**FACTS, "time_unit": None}, positions=np.zeros((4, 2, 3, 2)))
    samples.save(tmp_path / "samples.npz")
    found = np.load(tmp_path / "samples.npz")
    assert set(found) == {"positions", "times", "length_unit", "model"} and found["positions"].shape == (4, 2, 3, 2)


def test_a_file_that_cannot_be_written_whole_is_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "forecast.npz"
    FORECAST.save(path)
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="no space"):
        FORECAST.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["forecast.npy", "forecast"])
def test_other_endings_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"`path` must be .*\.npz"):
        FORECAST.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_forecast_is_one_readable_line():
    for fragment in ("tiny/1", "2 frames", "3 particles", "2 dimensions", "0.5 to 0.75 ps", "nm", " 2 in ", " 3 in "):
        assert fragment in str(FORECAST)
    assert repr(FORECAST) == f"<{FORECAST}>"
    batch = Forecast(**FACTS, mean=MEAN[None], covariance=COVARIANCE[None])
    assert "1 system," in str(batch) and "\n" not in str(batch)


@pytest.mark.parametrize(
    ("systems", "fragment"), [((), "4 samples of tiny/1: 2 frames"), ((5,), "5 systems, 2 frames")]
)
def test_samples_are_one_readable_line(systems, fragment):
    samples = Samples(**{**FACTS, "time_unit": None}, positions=np.zeros((*systems, 4, 2, 3, 2)))
    assert fragment in str(samples) and "times 0.5 to 0.75;" in str(samples)
