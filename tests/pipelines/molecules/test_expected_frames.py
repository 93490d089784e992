import numpy as np
import pytest

from pipelines.molecules.expected_frames import expected_frames
from tests.pipelines.molecules.systems import (
    nanoparticle,
    walk,
    write_gro,
    write_pdb,
    write_series,
    write_trr,
    write_xtc,
)


def test_about_the_number_of_frames(tmp_path):
    pytest.importorskip("MDAnalysis")
    molecules, first = nanoparticle()
    frames, count = walk(first, 40), len(first)
    box = np.eye(3) * 3
    paths = [
        write_pdb(tmp_path / "a.pdb", molecules, frames),
        write_gro(tmp_path / "a.gro", molecules, frames / 10),
        write_xtc(tmp_path / "a.xtc", frames / 10, [box] * 40),
    ]
    for path in paths:
        assert expected_frames([path], count) == pytest.approx(40, rel=0.15), path
    # Velocities are as large as positions, headers are not small beside so few atoms.
    assert 80 <= expected_frames([write_trr(tmp_path / "a.trr", frames / 10, box)], count) <= 130
    assert expected_frames(write_series(tmp_path / "series", molecules, frames), count) == 40


def test_nothing_is_said_of_other_files(tmp_path):
    for name in ("a.nc", "a.pdb.gz", "damaged.xtc"):
        (tmp_path / name).write_bytes(b"nothing")
        assert expected_frames([tmp_path / name], 10) is None
