"""Damaged files: each is refused in one line or read to its end, without a traceback and without hanging."""

import random
import signal
import sys

import numpy as np
import pytest

from socialmd_tf import prepare
from socialmd_tf.commands import run
from tests.pipelines.molecules.formats.test_dcd import RIGHT, dcd
from tests.pipelines.molecules.systems import Molecule, walk, write_gro, write_pdb, write_trr, write_xtc

SECONDS = 10
MOLECULES = [Molecule("AU", 1, ["AU"]), *(Molecule("OQL", number, ["B1", "B2"]) for number in range(2, 14))]
FRAMES = walk(np.random.default_rng(0).uniform(1, 5, (25, 3)), 4, step=0.05)


def flip_bytes(content, generator):
    damaged = bytearray(content)
    for _ in range(generator.choice([1, 1, 2, 8])):
        damaged[generator.randrange(len(damaged))] = generator.randrange(256)
    return bytes(damaged)


def cut_or_repeat(content, generator):
    start, stop = sorted(generator.randrange(len(content)) for _ in range(2))
    return generator.choice([content[:start], content[:start] + content[stop:], content[:stop] + content[start:]])


def drop_or_swap_lines(content, generator):
    lines = content.splitlines(keepends=True)
    first, second = (generator.randrange(len(lines)) for _ in range(2))
    if generator.random() < 0.5:
        del lines[first]
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


def replace_columns(content, generator):
    lines = content.splitlines(keepends=True)
    place, column = generator.randrange(len(lines)), generator.randrange(60)
    text = generator.choice(
        [b"        ", b"********", b"1e999", b"nan", b"-inf", b"A000", b"99999999", b"END", b"\xff"]
    )
    lines[place] = lines[place][:column] + text + lines[place][column + len(text) :]
    return b"".join(lines)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The content of one file per format, and their topology."""
    folder = tmp_path_factory.mktemp("originals")
    topology = write_gro(folder / "top.gro", MOLECULES, FRAMES[:1], (6, 6, 6))
    box = np.diag([6.0, 6, 6])
    contents = {
        "pdb": write_pdb(folder / "a.pdb", MOLECULES, 10 * FRAMES, (60, 60, 60)).read_bytes(),
        "gro": write_gro(folder / "a.gro", MOLECULES, FRAMES, (6, 6, 6)).read_bytes(),
        "dcd": dcd((10 * FRAMES).astype(np.float32), [RIGHT] * 4),
    }
    pytest.importorskip("MDAnalysis", reason="needs the extra `md`: pip install 'socialmd_tf[md]'")
    contents["xtc"] = write_xtc(folder / "a.xtc", FRAMES, [box] * 4).read_bytes()
    contents["trr"] = write_trr(folder / "a.trr", FRAMES, box).read_bytes()
    return contents, topology


def out_of_time(*_):
    raise TimeoutError(f"no end after {SECONDS} seconds")


@pytest.mark.slow_cases(all_but=["*-[0-9]"])
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("suffix", ["pdb", "gro", "xtc", "trr", "dcd"])
def test_a_damaged_file_is_refused_in_one_line_or_read(originals, tmp_path, monkeypatch, capfd, suffix, seed):
    contents, topology = originals
    generator = random.Random(f"{suffix} {seed}")
    mutations = [flip_bytes, cut_or_repeat] + [drop_or_swap_lines, replace_columns] * (suffix in ("pdb", "gro"))
    folder, output = tmp_path / "input", tmp_path / "data"
    folder.mkdir()
    path = folder / f"a.{suffix}"
    path.write_bytes(generator.choice(mutations)(contents[suffix], generator))
    flags = ["--trajectory", path, "--topology", path if suffix in ("pdb", "gro") and seed % 2 else topology]
    flags += ["--molecules", "OQL", "--min-frames", 1, "--fractions", 1, 0, 0, "--time-between-frames", 1]
    flags += ["--input-unit", "angstrom", "--output", output]
    monkeypatch.setattr(sys, "argv", ["prepare", *map(str, flags)])
    previous = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(SECONDS)
    try:
        with pytest.raises(SystemExit) as stop:
            run(prepare.main)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    stdout, stderr = capfd.readouterr()
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    if stop.value.code:
        assert (stop.value.code, stdout) == (2, "") and stderr.startswith("error: ") and stderr.count("\n") == 1
        assert path.name in stderr
        assert not output.exists()
    else:
        assert stderr == ""
        assert np.isfinite(np.load(output / "train" / "00000.npy")).all()
