"""A real trajectory, fetched through pip; the default suite downloads nothing."""

import warnings

import numpy as np
import pytest

from benchmarks.molecules import fetch
from pipelines.boxes import minimum_image
from pipelines.manifest import Manifest
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.prepare import prepare
from pipelines.validation import check

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    pytest.importorskip("MDAnalysis", reason="needs the extra `md`: pip install 'socialmd_tf[md]'")
    folder = tmp_path_factory.mktemp("real")
    fetch(folder)
    return folder


def bubble(real, **changes):
    return MoleculesConfig(
        trajectory=(real / "lnb.xtc",), topology=(real / "lnb.gro",), min_frames=10, center=("DPPC",), **changes
    )


def test_a_lipid_nanobubble(real, tmp_path):
    """21 691 beads, 7 898 molecules, 101 frames of 100 ps in a box that changes its size."""
    summary = prepare(bubble(real, molecules=("DAPC", "DPPC", "CHOL", "O2"), box="drop"), tmp_path / "data", command="")
    (record,) = summary.records
    assert record.molecules == {"DAPC": 376, "DPPC": 627, "CHOL": 251, "O2": 6644}
    assert (record.num_atoms, record.num_frames, record.time_between_frames) == (21_691, 101, 100)
    check(tmp_path / "data")
    manifest = Manifest.load(tmp_path / "data")
    parts = [np.load(tmp_path / "data" / manifest.splits[split][0]) for split in ("train", "validation", "test")]
    assert [part.shape for part in parts] == [(71, 7898, 7), (15, 7898, 7), (15, 7898, 7)]
    assert parts[0][0, :, 3:].sum(axis=0).tolist() == [376, 627, 251, 6644]

    # Against the file itself: every position is an image of the atom's, relative to the centre's.
    mda = pytest.importorskip("MDAnalysis")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = mda.Universe(str(real / "lnb.gro"), str(real / "lnb.xtc"), to_guess=())
        for step, found in zip(universe.trajectory, np.concatenate(parts), strict=True):
            relative = step.positions[list(record.particles)] - step.positions[record.center_atoms[0]]
            apart = minimum_image(10.0 * found[:, :3] - relative, np.diag(step.dimensions[:3].astype(float)))
            assert np.abs(apart).max() < 0.01


def test_its_lipids_leave_no_bubble(real, tmp_path):
    """The shell of a bubble that nothing cuts keeps its radius when the jumps are taken out."""
    config = bubble(real, molecules=("DAPC", "DPPC", "CHOL"), center_on="mean", fractions=(1.0, 0.0, 0.0))
    prepare(config, tmp_path / "data", command="")
    radii = np.linalg.norm(np.load(tmp_path / "data" / "train" / "00000.npy")[..., :3], axis=-1)
    assert 5 < radii.min() and radii.max() < 11
    assert np.ptp(radii.mean(axis=1)) < 0.2


def test_a_truncated_octahedron(real, tmp_path):
    """AMBER NetCDF in a triclinic box, with times that mean nothing."""
    config = MoleculesConfig(
        trajectory=(real / "tz2.truncoct.nc",),
        topology=(real / "tz2.truncoct.parm7.bz2",),
        molecules=("TRP", "LYS"),
        center=("CA",),
        time_between_frames=1.0,
        min_frames=1,
        fractions=(1.0, 0.0, 0.0),
    )
    prepare(config, tmp_path / "data", command="")
    positions = np.load(tmp_path / "data" / "train" / "00000.npy")[..., :3]
    assert positions.shape == (10, 6, 3)
    assert np.linalg.norm(positions, axis=-1).max() < 1.5  # a hairpin of 12 residues
