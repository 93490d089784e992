import tracemalloc

import numpy as np
import pytest

from pipelines import stored_trajectory
from pipelines.errors import UserError
from pipelines.molecules import write_simulation
from pipelines.molecules.prepare import prepare
from tests.pipelines.molecules.systems import (
    Molecule,
    config_of,
    contents,
    walk,
    write_pdb,
)


def test_chunks_do_not_show(system, tmp_path, monkeypatch):
    path, _ = system
    flat = {"num_dimensions": 2, "slice_half_thickness": 1.0}
    prepare(config_of(path, **flat), tmp_path / "whole", command="")
    monkeypatch.setattr(write_simulation, "_CHUNK_NUMBERS", 40)
    prepare(config_of(path, **flat), tmp_path / "pieces", command="")
    assert contents(tmp_path / "whole") == contents(tmp_path / "pieces")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path, monkeypatch):
    """1000 atoms; 200 frames of them would be 4.8 MB. Chunks have a few frames."""
    for module in (write_simulation, stored_trajectory):
        monkeypatch.setattr(module, "_CHUNK_NUMBERS", 1 << 14)
    molecules = [Molecule("AU", 1, ["AU"]), *(Molecule("OQL", i, ["A", "B", "C"]) for i in range(2, 335))]
    frames = walk(np.random.default_rng(0).uniform(0, 20, size=(1000, 3)), 5)
    peaks = []
    for count in (1, 40):
        path = write_pdb(tmp_path / f"{count}.pdb", molecules, np.tile(frames, (count, 1, 1)))
        config = config_of(path, molecules=("OQL",), fractions=(1.0, 0.0, 0.0))
        tracemalloc.start()
        prepare(config, tmp_path / str(count), command="")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6


def test_input_that_changes_while_it_is_read(system, tmp_path, monkeypatch):
    path, _ = system
    store = write_simulation._store_centers

    def grow(*arguments):
        path.write_text(path.read_text() + "REMARK\n")
        return (yield from store(*arguments))

    monkeypatch.setattr(write_simulation, "_store_centers", grow)
    with pytest.raises(UserError, match=f"{path}: the input has changed since reading began"):
        prepare(config_of(path), tmp_path / "data", command="")
    assert not (tmp_path / "data").exists()
