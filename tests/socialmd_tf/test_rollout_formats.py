"""`rollout` with files of other programs: what it writes opens in MDAnalysis and ASE, what they write it reads."""

import csv
import dataclasses
import io
import sys
import warnings

import ase.io
import MDAnalysis
import numpy as np
import pytest

import socialmd_tf
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.molecules.prepare import prepare
from socialmd_tf import commands
from socialmd_tf.export.formats.files import SUFFIXES
from socialmd_tf.export.frames import Frames
from socialmd_tf.export.model_inputs import last_box
from socialmd_tf.prepare import command_line
from socialmd_tf.rollout import main
from tests.pipelines.molecules.systems import BOX, config_of, convert, nanoparticle, walk, write_pdb
from tests.socialmd_tf.evaluation.small_model import exported_model

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)


@pytest.fixture(scope="module")
def molecules(tmp_path_factory):
    """A prepared dataset, a model of it, and the PDB file that it was made from."""
    directory = tmp_path_factory.mktemp("molecules")
    beads, first = nanoparticle()
    pdb = write_pdb(directory / "md.pdb", beads, walk(first, 40), box=BOX)
    config = config_of(pdb, time_between_frames=500.0, min_frames=3)
    prepare(config, directory / "data", command=command_line(config))
    exported_model(directory / "model", WINDOWS, Manifest.load(directory / "data"))
    return directory


@pytest.fixture(scope="module")
def predicted(molecules):
    """Observed frames `[2, N, 3]`, forecast and samples of three frames, from Python."""
    model = socialmd_tf.load(molecules / "model")
    frames = socialmd_tf.read(molecules / "data/train/00000.npy")
    return frames.positions[:4:2], model.rollout(frames, 3), model.sample(frames, 3, num_samples=2, seed=0)


@pytest.fixture
def call(monkeypatch, capsys, molecules, tmp_path):
    """Run the command in this process, with some flags replaced -> exit status, stdout, stderr."""

    def call(**flags):
        usual = {
            "model": molecules / "model",
            "input": molecules / "data/train/00000.npy",
            "data": molecules / "data",
            "output": tmp_path / "out.npz",
            "num_steps": 3,
        }
        given = [f"--{name.replace('_', '-')}={value}" for name, value in {**usual, **flags}.items()]
        monkeypatch.setattr(sys, "argv", ["rollout", *given])
        with pytest.raises(SystemExit) as stop:
            commands.run(main)
        return stop.value.code, *capsys.readouterr()

    return call


def universe_of(*files):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MDAnalysis.Universe(*map(str, files), to_guess=())


def test_a_rollout_opens_in_mdanalysis(call, predicted, tmp_path):
    observed, forecast, samples = predicted
    code, out, error = call(num_samples=2, output=tmp_path / "x.xtc")
    assert (code, error) == (0, "")
    assert out.startswith(f"wrote {tmp_path}/x.xtc, {tmp_path}/x.topology.pdb, {tmp_path}/x.sample-00.xtc, ")
    assert "truth" not in out  # the files do not hold it
    assert out.splitlines()[1:] == [f"picture: {tmp_path}/x.png"]  # no note: nm and ps are known
    drawn = {"x.xtc": forecast.mean, "x.sample-00.xtc": samples.positions[0], "x.sample-01.xtc": samples.positions[1]}
    for name, path in drawn.items():
        universe = universe_of(tmp_path / "x.topology.pdb", tmp_path / name)
        positions = np.array([step.positions.copy() for step in universe.trajectory])
        np.testing.assert_allclose(positions, 10 * np.concatenate([observed, path]), atol=1e-4)
        assert [step.time for step in universe.trajectory] == [0, 1000, 2000, 3000, 4000]
        universe.trajectory.close()
    assert universe.atoms.resnames.tolist() == list(forecast.types)
    assert (tmp_path / "x.png").exists()


def test_a_rollout_opens_in_ase(call, predicted, tmp_path):
    observed, forecast, _ = predicted
    assert call(output=tmp_path / "x.extxyz")[0] == 0
    positions = [frame.positions for frame in ase.io.read(tmp_path / "x.extxyz", ":")]
    np.testing.assert_allclose(positions, 10 * np.concatenate([observed, forecast.mean]), atol=1e-5)


def test_a_rollout_is_a_table(call, predicted, tmp_path):
    assert call(output=tmp_path / "x.csv")[0] == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert {row["path"] for row in rows} == {"observed", "mean", "truth"}
    last = [float(row["x"]) for row in rows if row["path"] == "mean" and row["frame"] == "4"]
    np.testing.assert_allclose(last, predicted[1].mean[-1, :, 0], rtol=1e-6)


def test_an_unknown_suffix_is_refused_before_anything_is_loaded(call, tmp_path):
    code, out, error = call(output=tmp_path / "x.nc", model="nowhere")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert all(suffix in error for suffix in SUFFIXES) and "nowhere" not in error


def test_a_missing_library_is_one_line_before_anything_is_loaded(call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    code, out, error = call(output=tmp_path / "x.dcd", model="nowhere")
    assert (code, out) == (2, "") and list(tmp_path.iterdir()) == []
    assert error == "error: a .dcd file needs MDAnalysis, which is not installed; expected: pip install MDAnalysis\n"


@pytest.mark.slow
def test_an_unknown_unit_is_named_in_a_line(call, molecules, tmp_path):
    dataclasses.replace(Manifest.load(molecules / "data"), time_unit=None).save(tmp_path / "data")
    code, out, _ = call(output=tmp_path / "x.pdb", data=tmp_path / "data")
    assert code == 0 and out.endswith(
        "\nunits: time not stated; such numbers are taken as angstrom and ps, "
        "so that a file in nm has a tenth of the lengths\n"
    )


def test_a_trajectory_of_molecules_is_read_as_prepare_reads_it(call, molecules, predicted, tmp_path):
    topology = universe_of(molecules / "md.pdb")
    topology.trajectory[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        topology.atoms.write(str(tmp_path / "top.gro"))
    xtc = convert(MDAnalysis, molecules / "md.pdb", tmp_path / "run.xtc", 500.0, [*BOX, 90, 90, 90])
    code, _, error = call(input=xtc, topology=tmp_path / "top.gro")
    assert (code, error) == (0, "")
    arrays = np.load(tmp_path / "out.npz")
    for name, expected in zip(("observed", "mean"), (predicted[0], predicted[1].mean), strict=True):
        np.testing.assert_allclose(arrays[name], expected, atol=2e-3)  # XTC has one decimal less


@pytest.mark.slow
def test_a_trajectory_that_names_its_molecules_needs_no_topology(call, molecules, predicted, tmp_path):
    assert call(input=molecules / "md.pdb", output=tmp_path / "x.csv")[0] == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    last = [float(row["z"]) for row in rows if row["path"] == "mean" and row["frame"] == "4"]
    np.testing.assert_allclose(last, predicted[1].mean[-1, :, 2], atol=1e-5)
    assert [row["type"] for row in rows[: len(last)]] == list(predicted[1].types)


@pytest.mark.slow_cases("flags2-words2")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"topology": "top.gro"}, ["`topology`", "left out beside a file of a dataset"]),
        ({"input": "nowhere.xtc", "topology": "nowhere.gro"}, ["nowhere.xtc", "no such file"]),
        ({"warm_up_steps": 30, "input": "md.pdb"}, ["md.pdb: expected at least 30 frames", "--warm-up-steps"]),
    ],
)
def test_mistakes_with_trajectories_are_one_line(call, molecules, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(molecules)
    code, out, error = call(**flags)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert all(word in error for word in words) and "00000.npy" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_prepare_did_not_make_takes_no_trajectory(call, molecules, tmp_path):
    dataclasses.replace(Manifest.load(molecules / "data"), provenance={}).save(tmp_path / "data")
    code, _, error = call(data=tmp_path / "data", input=molecules / "md.pdb")
    assert code == 2 and "`input` must be a .npy file" in error and "`prepare` did not make it" in error


def test_forecasts_of_prepared_files_know_the_molecules(molecules, predicted):
    kinds = np.load(molecules / "data/train/00000.npy")[0, :, 3:].argmax(axis=1)
    _, forecast, samples = predicted
    assert forecast.types == samples.types == tuple(("OQL", "ONC")[kind] for kind in kinds)
    assert set(forecast.types) == {"OQL", "ONC"}
    assert forecast.to_mdanalysis().atoms.names.tolist() == list(forecast.types)


def test_a_forecast_has_the_box_of_the_last_observed_frame():
    boxes = np.arange(1.0, 9.0)[:, None, None] * np.eye(2)
    card = {"time_between_frames": 0.5, "warm_up_steps": 3}
    frames = Frames(np.zeros((8, 3, 2)), box=boxes, time_between_frames=0.25)
    np.testing.assert_array_equal(last_box(frames, card), boxes[4])
    np.testing.assert_array_equal(last_box(dataclasses.replace(frames, box=boxes[0]), card), boxes[0])
    assert last_box(dataclasses.replace(frames, box=None), card) is None
