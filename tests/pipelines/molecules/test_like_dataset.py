import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules.known_molecules import known_molecules
from pipelines.molecules.like_dataset import prepare_like
from pipelines.molecules.prepare import prepare
from pipelines.molecules.write_simulation import box_file
from tests.pipelines.molecules.systems import config_of

COMMAND = "python -m socialmd_tf.prepare"
ALL = {"fractions": (1.0, 0.0, 0.0)}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"molecules": ("ONC",), "length_unit": "angstrom", "center_on": "mean"},
        {"center_on": "nothing", "box": "keep"},
        {"anchor": ("AU",), "anchor_by": "nearest", "radii": (0.3,)},
    ],
)
def test_the_same_trajectory_gives_the_same_file_in_one_piece(system, tmp_path, settings):
    prepare(config_of(system[0], **settings), tmp_path / "data", command=COMMAND)
    prepare(config_of(system[0], **settings, **ALL), tmp_path / "whole", command=COMMAND)
    manifest = Manifest.load(tmp_path / "data")
    file = prepare_like(manifest, system[0], None, tmp_path / "again")
    assert file.read_bytes() == (tmp_path / "whole/train/00000.npy").read_bytes()
    again = Manifest.load(tmp_path / "again")
    for name in ("features", "length_unit", "time_unit", "time_between_frames", "num_dimensions", "box"):
        assert getattr(again, name) == getattr(manifest, name)
    assert known_molecules(again) == known_molecules(manifest) is not None


def test_a_trajectory_of_one_frame_is_enough(system, tmp_path):
    prepare(config_of(system[0]), tmp_path / "data", command=COMMAND)
    lines = system[0].read_text().splitlines(keepends=True)
    (tmp_path / "one.pdb").write_text("".join(lines[: lines.index("ENDMDL\n") + 1]))
    file = prepare_like(Manifest.load(tmp_path / "data"), tmp_path / "one.pdb", None, tmp_path / "one")
    np.testing.assert_array_equal(np.load(file), np.load(tmp_path / "data/train/00000.npy")[:1])
    assert not (file.parent / box_file(file.name)).exists()


def test_other_datasets_take_npy_files_only(system, tmp_path):
    prepare(config_of(system[0]), tmp_path / "data", command=COMMAND)
    manifest = dataclasses.replace(Manifest.load(tmp_path / "data"), provenance={"command": "mine"})
    with pytest.raises(UserError, match=r"`input` must be a \.npy file .*`prepare` did not make it"):
        prepare_like(manifest, system[0], None, tmp_path / "again")


def test_flat_slices_take_npy_files_only(system, tmp_path):
    flat = config_of(system[0], num_dimensions=2, slice_half_thickness=0.45, num_slices=1)
    prepare(flat, tmp_path / "data", command=COMMAND)
    with pytest.raises(UserError, match=r"`input` must be a \.npy file for a dataset of flat slices"):
        prepare_like(Manifest.load(tmp_path / "data"), system[0], None, tmp_path / "again")
    assert not (tmp_path / "again").exists()
