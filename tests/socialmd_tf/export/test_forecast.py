import dataclasses
import sys

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


PERIODIC = dataclasses.replace(FORECAST, box=np.array([4.0, 5.0]), types=("OQL", "ONC", "OQL"))
SAMPLES = Samples(**FACTS, positions=np.stack([MEAN, MEAN + 1, MEAN + 2, MEAN + 3]))


def test_a_universe_has_angstrom_ps_box_and_names():
    universe = PERIODIC.to_mdanalysis()
    assert universe.atoms.names.tolist() == ["OQL", "ONC", "OQL"] == universe.residues.resnames.tolist()
    assert [step.time for step in universe.trajectory] == [0.5, 0.75]
    for step, frame in zip(universe.trajectory, MEAN, strict=True):
        np.testing.assert_allclose(step.positions[:, :2], 10 * frame)
        np.testing.assert_array_equal(step.positions[:, 2], 0)
        np.testing.assert_allclose(step.dimensions[[0, 1, 3, 4, 5]], [40, 50, 90, 90, 90])
    assert universe.select_atoms("name ONC").n_atoms == 1
    assert FORECAST.to_mdanalysis().dimensions is None


def test_ase_atoms_have_angstrom_ps_cell_and_labels():
    first, second = PERIODIC.to_ase()
    np.testing.assert_allclose(second.positions[:, :2], 10 * MEAN[1])
    np.testing.assert_allclose(first.cell.array[:2], [[40, 0, 0], [0, 50, 0]])
    assert first.pbc.tolist() == [True, True, False] and second.info["time"] == 0.75
    assert first.arrays["label"].tolist() == ["OQL", "ONC", "OQL"] and first.get_chemical_symbols() == ["X"] * 3
    assert not FORECAST.to_ase()[0].pbc.any() and FORECAST.to_ase()[0].arrays["label"].tolist() == ["X"] * 3


def test_an_xarray_has_the_units_of_the_data():
    data = PERIODIC.to_xarray()
    np.testing.assert_array_equal(data["mean"].sel(dimension="y").isel(particle=2), MEAN[:, 2, 1])
    np.testing.assert_array_equal(data["covariance"].transpose("other_dimension", ...)[0], COVARIANCE[..., 0])
    np.testing.assert_array_equal(data["time"], FACTS["times"])
    np.testing.assert_array_equal(data["box"], [[4, 0], [0, 5]])
    units = [data[name].attrs["units"] for name in ("mean", "covariance", "time", "box")]
    assert units == ["nm", "nm^2", "ps", "nm"]
    assert data["mean"].where(data["type"] == "OQL", drop=True).sizes == {"time": 2, "particle": 2, "dimension": 2}
    assert data.attrs == {"model": "tiny/1", "length_unit": "nm", "time_unit": "ps"}
    assert "type" not in FORECAST.to_xarray() and "box" not in FORECAST.to_xarray()


def test_samples_and_systems_are_nested_lists_or_axes():
    universes, atoms, data = SAMPLES.to_mdanalysis(), SAMPLES.to_ase(), SAMPLES.to_xarray()
    assert data["positions"].dims == ("sample", "time", "particle", "dimension")
    for number, sample in enumerate(SAMPLES.positions):
        np.testing.assert_allclose(universes[number].trajectory[1].positions[:, :2], 10 * sample[1])
        np.testing.assert_allclose(atoms[number][1].positions[:, :2], 10 * sample[1])
    batch = Samples(**{**FACTS, "time_unit": None}, positions=SAMPLES.positions[None])
    assert batch.to_xarray()["positions"].dims == ("system", "sample", "time", "particle", "dimension")
    assert "units" not in batch.to_xarray()["time"].attrs
    assert len(batch.to_ase()) == 1 and len(batch.to_ase()[0]) == 4
    several = Forecast(**FACTS, mean=MEAN[None], covariance=COVARIANCE[None]).to_xarray()
    assert several["covariance"].dims == ("system", "time", "particle", "dimension", "other_dimension")


@pytest.mark.parametrize(
    "convert, library", [("to_mdanalysis", "MDAnalysis"), ("to_ase", "ase"), ("to_xarray", "xarray")]
)
def test_a_missing_library_is_one_line(monkeypatch, convert, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=rf"^{convert}\(\) needs {library}, .*pip install {library}$"):
        getattr(FORECAST, convert)()


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
