from pathlib import Path

import pytest

from pipelines.molecules.records import Record
from pipelines.molecules.summary import Summary
from tests.pipelines.molecules.systems import config_of


def record_of(**changes):
    values = {
        "topology": "md.pdb",
        "parts": ("md.pdb",),
        "inputs": {},
        "num_frames": 5,
        "time_between_frames": 2.0,
        "molecules": {"OQL": 3, "ONC": 2, "HOH": 9},
        "sizes": {"OQL": (3, 3), "ONC": (1, 1)},
        "notes": (),
        "num_atoms": 20,
        "particles": (1, 2, 3, 4, 5),
        "center_atoms": (0,),
        "periodic_axes": "xyz",
        "boxes_carried_on": 0,
        "without_positions": 0,
        "incomplete": 0,
        "num_jumps": 0,
        "largest_move": 0.0,
        "files": {"train": ["train/00000.npy"]},
        "slices": [],
        "keeps_box": False,
        "fills_box": False,
        "box": None,
    }
    return Record(**{**values, **changes})


def lines_of(*records):
    return str(Summary(Path("data"), config_of(Path("md.pdb")), records, was_complete=False)).splitlines()


def test_the_number_and_size_of_all_molecules():
    lines = lines_of(record_of())
    assert "molecules: 3 OQL (3 atoms each), 2 ONC (1 atom each)" in lines and "not kept: 9 HOH" in lines
    other = record_of(molecules={"OQL": 1}, sizes={"OQL": (2, 2)})
    assert "molecules: 4 OQL (2 to 3 atoms each), 2 ONC (1 atom each)" in lines_of(record_of(), other)


@pytest.mark.parametrize(
    ("axes", "beginning"),
    [
        ([""], "no periodic box in the trajectory"),
        (["xyz"], "box periodic along x, y, z: no jumps removed"),
        (["xy"], "box periodic along x, y: "),
        (["xyz", ""], "box periodic along x, y, z or no axis: "),
    ],
)
def test_no_box_differs_from_a_box_with_nothing_to_unwrap(axes, beginning):
    lines = lines_of(*(record_of(periodic_axes=each) for each in axes))
    assert sum(line.startswith(beginning) for line in lines) == 1
    assert any("confused" in line for line in lines_of(record_of(largest_move=0.9)))


def test_what_was_unusual_is_said_once_for_all_simulations():
    first = record_of(notes=("something",), boxes_carried_on=4, without_positions=1, incomplete=1)
    lines = lines_of(first, record_of(notes=("something",), without_positions=2))
    assert "md.pdb and 1 more: something" in lines
    assert sum(line.endswith((": 4", ": 3", ": 1")) for line in lines) == 3
    assert len(lines_of(record_of())) == len(lines) - 4


def test_a_complete_dataset():
    summary = Summary(Path("data"), config_of(Path("md.pdb")), (record_of(),), was_complete=True)
    assert str(summary).splitlines()[0] == "The dataset was complete already; nothing was done."
