import subprocess
import sys

import numpy as np
import pytest

from pipelines.manifest import Manifest
from socialmd_tf import prepare
from socialmd_tf.commands import run
from tests.pipelines.molecules.systems import nanoparticle, walk, write_pdb, write_series

FLAGS = ["--time-between-frames", "1000", "--min-frames", "3"]


@pytest.fixture
def mda():
    return pytest.importorskip("MDAnalysis", reason="needs the extra `md`: pip install 'socialmd_tf[md]'")


@pytest.fixture
def pdb(tmp_path):
    molecules, first = nanoparticle()
    return write_pdb(tmp_path / "md.pdb", molecules, walk(first, 20))


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command in this process: exit status, stdout, stderr."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["prepare", *map(str, flags)])
        with pytest.raises(SystemExit) as stop:
            run(prepare.main)
        return (stop.value.code, *capsys.readouterr())

    return call


def test_help_explains_every_flag_without_tensorflow_or_mdanalysis():
    script = (
        "import sys; from socialmd_tf.prepare import main\n"
        "sys.argv = ['prepare', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'tensorflow', 'MDAnalysis'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for flag in ("--topology", "--trajectory", "--molecules", "--output", "--center", "--split-by", "--input-unit"):
        assert flag in result.stdout
    assert "--config" not in result.stdout


def test_prepares_what_the_flags_say(pdb, tmp_path):
    flags = ["--topology", pdb, "--trajectory", pdb, "--molecules", "OQL", "ONC", "--output", tmp_path / "data", *FLAGS]
    words = [sys.executable, "-m", "socialmd_tf.prepare", *map(str, flags)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{tmp_path / 'data'}: 1 simulation, 3D, positions in nm\n")
    manifest = Manifest.load(tmp_path / "data")
    assert manifest.features == ("OQL", "ONC")
    written = manifest.provenance["command"]
    assert written.startswith(f"python -m socialmd_tf.prepare --trajectory {pdb} --topology {pdb} --molecules OQL ONC ")
    assert "--fractions 0.7 0.15 0.15" in written and "--slice" not in written
    assert str(tmp_path / "data") not in written


def refused(command, tmp_path, *flags):
    """The one line on stderr of a command that must be refused, leaving nothing behind."""
    code, stdout, stderr = command("--output", tmp_path / "data", *flags)
    assert (code, stdout) == (2, "")
    (line,) = stderr.splitlines()
    assert line.startswith("error: ")
    assert not (tmp_path / "data").exists()
    return line.removeprefix("error: ")


def test_no_such_molecule(command, pdb, tmp_path):
    line = refused(command, tmp_path, "--trajectory", pdb, "--molecules", "OQL", "XYZ", *FLAGS)
    assert line.startswith(f"{pdb}: ") and "XYZ" in line and "`molecules`" in line
    assert line.endswith("OQL (3), ONC (3), HOH (3, water), AU (1)")


def test_no_such_centre(command, pdb, tmp_path):
    line = refused(command, tmp_path, "--trajectory", pdb, "--center", "AG", *FLAGS)
    assert line.startswith(f"{pdb}: ") and "AG" in line and "`center`" in line and "OQL (3)" in line


def test_water(command, pdb, tmp_path):
    line = refused(command, tmp_path, "--trajectory", pdb, "--molecules", "OQL", "HOH", *FLAGS)
    assert "`molecules`" in line and "water" in line and "Received: HOH" in line


def test_frames_of_different_numbers_of_atoms_in_a_series(command, tmp_path):
    molecules, first = nanoparticle()
    paths = write_series(tmp_path / "series", molecules, walk(first, 12))
    lines = paths[8].read_text().splitlines(keepends=True)
    paths[8].write_text("".join(lines[1:]))
    line = refused(command, tmp_path, "--trajectory", tmp_path / "series", *FLAGS)
    assert line == f"{paths[8]}: frame 0: expected 32 atoms as in the topology, found 31"


def test_frames_of_different_numbers_of_atoms_in_a_file(command, pdb, tmp_path):
    text = pdb.read_text()
    third = text.index("MODEL        3")
    pdb.write_text(text[:third] + text[third:].replace("ATOM ", "REMARK", 1))
    line = refused(command, tmp_path, "--trajectory", pdb, *FLAGS)
    assert line == f"{pdb}: frame 2: expected 32 atoms as in the topology, found 31"


def test_an_unreadable_file_with_its_line(command, pdb, tmp_path):
    lines = pdb.read_text().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if i > 200 and line.startswith("ATOM"))
    lines[number] = lines[number][:30] + "nonsense" + lines[number][38:]
    pdb.write_text("".join(lines))
    line = refused(command, tmp_path, "--trajectory", pdb, *FLAGS)
    assert line.startswith(f"{pdb}: line {number + 1}: ") and "'nonsense " in line


@pytest.mark.parametrize("name", ["md.xtc", "md.trr", "md.dcd", "md.nc"])
def test_an_unreadable_trajectory(command, mda, pdb, tmp_path, name):
    junk = tmp_path / name
    junk.write_bytes(b"junk" * 100)
    assert refused(command, tmp_path, "--topology", pdb, "--trajectory", junk).startswith(f"{junk}: ")


def test_an_empty_slice(command, pdb, tmp_path):
    flags = ["--num-dimensions", 2, "--slice-half-thickness", 0.001, *FLAGS]
    line = refused(command, tmp_path, "--trajectory", pdb, *flags)
    assert line.startswith(f"{pdb}: ") and "[0.0, 0.0, 1.0]" in line and "--slice-half-thickness" in line


def test_units_that_look_wrong(command, tmp_path):
    molecules, first = nanoparticle()
    path = write_pdb(tmp_path / "nm.pdb", molecules, walk(first, 20) / 10)
    line = refused(command, tmp_path, "--trajectory", path, *FLAGS)
    assert line.startswith(f"{path}: ") and "0.1" in line and "`--input-unit nm`" in line
    code, _, _ = command("--output", tmp_path / "data", "--trajectory", path, "--input-unit", "nm", *FLAGS)
    assert code == 0
    positions = np.load(tmp_path / "data" / "train" / "00000.npy")[0, :, :3]
    np.testing.assert_allclose(np.linalg.norm(positions, axis=1), 0.6, atol=0.02)


def test_a_trajectory_shorter_than_a_window(command, pdb, tmp_path):
    line = refused(command, tmp_path, "--trajectory", pdb, *FLAGS[:2])
    assert line.startswith(f"{pdb}: 20 frames") and "train split gets 14" in line and "`--min-frames` = 35" in line


def test_no_time_between_frames(command, pdb, tmp_path):
    line = refused(command, tmp_path, "--trajectory", pdb)
    assert line.startswith(f"{pdb}: ") and "`--time-between-frames`" in line


def test_mdanalysis_is_missing(command, pdb, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    junk = tmp_path / "md.xtc"
    junk.touch()
    line = refused(command, tmp_path, "--topology", pdb, "--trajectory", junk, *FLAGS)
    assert "MDAnalysis" in line and "expected: pip install 'MDAnalysis>=" in line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--anchor", "S"], "no molecule or atom is called S (`anchor`); the molecules are"),
        (["--anchor-by", "bonds"], "states no bonds; expected a `--topology` with bonds"),
        (["--anchor-by", "nearest"], "`anchor` must be given with `--anchor-by nearest`"),
        (["--reruns", "missing.json"], "missing.json: No such file or directory; expected a list of re-runs"),
    ],
)
def test_wrong_anchors_and_reruns_are_one_line(command, pdb, tmp_path, flags, message):
    status, _, error = command("--trajectory", pdb, "--output", tmp_path / "data", *FLAGS, *flags)
    assert status == 2 and message in error and error.count("\n") == 1
