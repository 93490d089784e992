import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.nanoparticle import dynamics, generate
from pipelines.molecules.nanoparticle.beads import build
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.prepare import prepare
from pipelines.workers import Workers

SMALL = NanoparticleConfig(
    num_simulations=2, num_strands=6, chain_beads=2, num_frames=4, steps_per_frame=5, relaxation_steps=20
)


def contents(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_frames_are_files_that_prepare_takes(tmp_path):
    pytest.importorskip("openmm")
    pytest.importorskip("MDAnalysis")
    summary = generate.generate(SMALL, tmp_path / "out")
    folders = sorted((tmp_path / "out" / "simulations").iterdir())
    assert [folder.name for folder in folders] == ["00000", "00001"]
    assert [path.name for path in sorted(folders[0].iterdir())] == [f"frame_{i}.pdb" for i in range(4)]
    config = MoleculesConfig(
        tuple(folders), split_by="file", fractions=(0.5, 0.5, 0.0), min_frames=4, time_between_frames=0.1
    )
    prepared = prepare(config, tmp_path / "data", command="")
    assert [record.molecules["OQL"] for record in prepared.records] == [3, 2]
    frames = np.load(tmp_path / "data" / "train" / "00000.npy")
    assert frames.shape == (4, 6, 5)
    # The middle bead of three stands for a molecule; a PDB file holds thousandths of an angstrom.
    beads = build(SMALL, 0)
    first = next(dynamics.simulate(SMALL, beads, 0)).positions
    heads = [bead for bead, name in enumerate(beads.molecules) if name in ("OQL", "ONC") and beads.names[bead] == "C2"]
    np.testing.assert_allclose(frames[0, :, :3], first[heads], atol=1e-4)
    rows = np.linalg.norm(first[np.array(beads.molecules) == "OQL"], axis=1)
    assert summary.distances[0, 0, 0] == pytest.approx(rows.mean())
    assert "stand-in" in str(summary) and "--time-between-frames 0.1 " in str(summary)


def test_frames_simulated_before_are_prepared_where_there_is_no_openmm(tmp_path):
    """`stand_in` is of `nanoparticle --num-simulations 1 --num-strands 8 --num-frames 5 --relaxation-steps 500`."""
    pytest.importorskip("MDAnalysis")
    folder = Path(__file__).parent / "stand_in"
    config = MoleculesConfig((folder,), fractions=(0.4, 0.4, 0.2), min_frames=1, time_between_frames=1.0)
    prepared = prepare(config, tmp_path / "data", command="")
    assert prepared.records[0].molecules["OQL"] == prepared.records[0].molecules["ONC"] == 4
    frames = np.concatenate(
        [np.load(tmp_path / "data" / name / "00000.npy") for name in ("train", "validation", "test")]
    )
    assert frames.shape == (5, 8, 5)
    for number, positions in enumerate(frames[..., :3]):
        lines = (folder / f"frame_{number}.pdb").read_text().splitlines()
        heads = [line for line in lines if line[17:20] in ("OQL", "ONC") and line[12:16].strip() == "C2"]
        written = np.array([[float(line[start : start + 8]) for start in (30, 38, 46)] for line in heads])
        np.testing.assert_allclose(positions, written / 10, atol=1e-4)  # angstrom to nm


def test_the_same_seed_gives_the_same_files_and_another_one_others(tmp_path):
    pytest.importorskip("openmm")
    one = dataclasses.replace(SMALL, num_simulations=1)
    for name, config in (("a", one), ("b", one), ("c", dataclasses.replace(one, seed=1))):
        generate.generate(config, tmp_path / name)
    a, b, c = (contents(tmp_path / name / "simulations") for name in "abc")
    assert a == b != c


def test_the_files_do_not_depend_on_the_number_of_processes(tmp_path):
    pytest.importorskip("openmm")
    config = dataclasses.replace(SMALL, drug="both", drug_fractions=(0.5,))
    summaries = [generate.generate(config, tmp_path / str(number), Workers(number)) for number in (1, 2)]
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    np.testing.assert_array_equal(*(summary.distances for summary in summaries))
    assert "OQL: " in str(summaries[0]) and "PAN: " in str(summaries[0])


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_is_finished_by_the_same_command(tmp_path, workers):
    pytest.importorskip("openmm")
    flags = ["--num-simulations", "3", "--num-strands", "6", "--num-frames", "30", "--relaxation-steps", "10"]
    flags += ["--steps-per-frame", "20", "--workers", workers]
    command = [sys.executable, "-m", "socialmd_tf.nanoparticle", *flags, "--output"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen([*command, str(killed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list((killed / "simulations").glob(".00001.*.tmp/*1.pdb")):
        assert process.poll() is None and time.sleep(0.002) is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folders = [path.name for path in (killed / "simulations").iterdir() if not path.name.startswith(".")]
    assert folders == ["00000"] or (workers == "2" and not folders)
    subprocess.run([*command, str(killed)], check=True, capture_output=True)
    assert contents(killed) == contents(tmp_path / "whole")


def test_a_time_step_that_is_too_long_is_said(tmp_path):
    pytest.importorskip("openmm")
    with pytest.raises(UserError, match=r"^`time_step` must be short enough .* Received: 5.0 ps"):
        generate.generate(dataclasses.replace(SMALL, time_step=5.0), tmp_path / "out")
    assert not list((tmp_path / "out" / "simulations").glob("[0-9]*"))


def test_without_openmm_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(UserError, match=r"needs OpenMM, which is not installed; expected: pip install"):
        generate.generate(SMALL, tmp_path / "out")


def test_refuses_a_directory_of_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty and not simulated nanoparticles"):
        generate.generate(SMALL, tmp_path)
    assert Path(tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_hydrophobic_drug_sinks_in_and_a_hydrophilic_one_does_not(tmp_path):
    """Figure 16 of the thesis, of a small nanoparticle: about two minutes."""
    pytest.importorskip("openmm")
    config = NanoparticleConfig(num_simulations=8, num_strands=40, num_frames=120, drug_fractions=(0.5,))
    moves = {}
    for drug in ("hydrophobic", "hydrophilic"):
        distances = generate.generate(dataclasses.replace(config, drug=drug), tmp_path / drug).distances
        moves[drug] = distances[:, -20:].mean(axis=(0, 1)) - distances[:, :3].mean(axis=(0, 1))
    sunk = moves["hydrophobic"][0] - moves["hydrophobic"][1]  # the drug's way against the background's
    assert sunk < -0.15
    assert abs(moves["hydrophilic"][0] - moves["hydrophilic"][1]) < 0.1
