import numpy as np
import pytest

from tests.pipelines.molecules.systems import BOX, config_of, nanoparticle, walk, write_pdb


@pytest.fixture
def system(tmp_path):
    """40 frames of a nanoparticle in a box that cuts it now and then: the file, and the true positions."""
    molecules, first = nanoparticle()
    truth = walk(first, 40)
    shifted = truth + np.array([8.0, 0, 0])
    return write_pdb(tmp_path / "md.pdb", molecules, shifted % np.array(BOX), box=BOX), truth


@pytest.fixture
def eight(tmp_path):
    """A configuration of eight simulations."""
    molecules, first = nanoparticle()
    paths = [write_pdb(tmp_path / f"{i}.pdb", molecules, walk(first, 60, seed=i), box=BOX) for i in range(8)]
    return config_of(*paths, split_by="file", fractions=(0.5, 0.25, 0.25))
