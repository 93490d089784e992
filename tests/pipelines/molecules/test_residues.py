from pathlib import Path

import numpy as np
import pytest

from pipelines.molecules.formats.frame import Topology
from pipelines.molecules.residues import find_molecules, why_unclear


def topology_of(rows, alternates=None, chain_ends=None):
    """Rows of (chain, number, molecule, atom)."""
    chains, numbers, molecules, atoms = np.array(rows).T
    alternates = None if alternates is None else np.array(list(alternates.replace("-", " "))).astype("U1")
    if alternates is not None:
        alternates = np.char.strip(alternates)
    ends = None
    if chain_ends is not None:
        ends = np.zeros(len(rows), bool)
        ends[chain_ends] = True
    return Topology(Path("top.pdb"), atoms, molecules, numbers, chains, alternates, ends)


def rows_of(residues, atoms="XYZ", name="OQL", chain="A"):
    return [(chain, str(number), name, atom) for number in residues for atom in atoms]


def atoms_of(molecules):
    return [atoms.tolist() for atoms in np.split(molecules.order, molecules.starts[1:])]


def consecutive(count, size=3):
    return [list(range(start, start + size)) for start in range(0, count * size, size)]


def test_molecules_end_where_chain_number_or_name_changes():
    topology = topology_of(
        [
            ("A", "9999", "OQL", "C"),
            ("A", "9999", "OQL", "N"),
            ("A", "0", "OQL", "C"),  # the numbers start again
            ("B", "0", "OQL", "C"),  # another chain
            ("B", "0", "ONC", "C"),  # another name
            ("B", "0", "ONC", "N"),
            ("A", "9999", "OQL", "C"),  # the number and name of an earlier molecule
        ]
    )
    assert atoms_of(find_molecules(topology)) == [[0, 1], [2], [3], [4, 5], [6]]


@pytest.mark.parametrize("first", ["0", "1"])
@pytest.mark.parametrize("last", [9999, 99_999])
def test_numbers_may_start_again(first, last):
    numbers = [*range(last - 2, last + 1), *range(int(first), int(first) + 5)]
    molecules = find_molecules(topology_of(rows_of(numbers)))
    assert atoms_of(molecules) == consecutive(8)
    assert not molecules.joined and why_unclear(topology_of(rows_of(numbers)), molecules, "OQL") is None


def test_ten_thousand_molecules_and_more_stay_apart():
    numbers = [(index + 1) % 10000 for index in range(25_000)]
    topology = topology_of(rows_of(numbers, "CN"))
    assert find_molecules(topology).starts.tolist() == list(range(0, 50_000, 2))


@pytest.mark.parametrize(
    "numbers",
    [
        ["9999", "A000", "A001", "A00A", "FFFF"],  # hexadecimal, or hybrid-36
        ["ZZZZ", "a000", "zzzz"],
        ["12", "12A", "12B", "13"],  # insertion codes
        ["99999", "186a0", "186a1"],
    ],
)
def test_numbers_are_compared_as_text(numbers):
    assert atoms_of(find_molecules(topology_of(rows_of(numbers)))) == consecutive(len(numbers))


def test_molecules_with_one_number_are_told_apart_by_their_atom_names():
    rows = [("A", "1", "AU", "AU"), *rows_of([1] * 20), *rows_of([1] * 5, "PQ", "ONC")]
    molecules = find_molecules(topology_of(rows))
    assert molecules.names.tolist() == ["AU"] + ["OQL"] * 20 + ["ONC"] * 5
    assert atoms_of(molecules)[1:21] == [[1 + 3 * k, 2 + 3 * k, 3 + 3 * k] for k in range(20)]
    assert (molecules.cut, molecules.ambiguous) == ({"OQL": 20, "ONC": 5}, {})


def test_a_number_used_twice():
    rows = rows_of([1, 2, 2, 3])
    assert atoms_of(find_molecules(topology_of(rows))) == consecutive(4)


@pytest.mark.parametrize("overflow", ["9999", "****", ""])
def test_a_last_number_that_stands_for_all_further_molecules(overflow):
    rows = rows_of([9997, 9998]) + rows_of([overflow] * 41)
    molecules = find_molecules(topology_of(rows))
    assert atoms_of(molecules) == consecutive(43)
    assert molecules.cut == {"OQL": 41}


def test_one_number_per_chain():
    rows = rows_of([1] * 4, chain="A") + rows_of([1] * 3, chain="B")
    assert atoms_of(find_molecules(topology_of(rows))) == consecutive(7)


def test_kinds_that_alternate_under_one_number():
    rows = [row for _ in range(3) for row in (*rows_of([1], "XY"), *rows_of([1], "PQ", "ONC"))]
    molecules = find_molecules(topology_of(rows))
    assert atoms_of(molecules) == consecutive(6, 2)
    assert molecules.names.tolist() == ["OQL", "ONC"] * 3


def test_a_chain_end_is_the_end_of_a_molecule():
    """Two molecules with one number and names that say nothing: only TER tells them apart."""
    rows = rows_of([1, 1], "CHH")
    assert atoms_of(find_molecules(topology_of(rows, chain_ends=[2, 5]))) == consecutive(2)
    assert why_unclear(topology_of(rows), find_molecules(topology_of(rows)), "OQL")


@pytest.mark.parametrize(
    ("rows", "is_clear"),
    [
        (rows_of([1] * 20, "X"), False),  # one name only: single atoms, or one molecule?
        (rows_of([1], "XXXYYYZZZ"), False),  # sorted by name
        (rows_of([1], "XYZXYZXY"), False),  # the last one is not complete
        (rows_of([1], "CHHHCHHH"), False),  # ethane, or two of methyl?
        (rows_of([1], "CHCHCH"), False),
        (rows_of([1], "XYZXYZ") + rows_of([2], "XYZXYZ"), False),  # one number per layer, or a symmetric molecule
        (rows_of([1, 2, 3], "CCHHH"), True),  # the names are elements, the numbers tell the molecules apart
        (rows_of([1, 2, 3], "CCCC"), True),
        (rows_of([1], "XYZX") + rows_of([2, 3], "XYZ"), False),  # the others have no atom twice
    ],
)
def test_repeated_names_are_read_right_or_reported(rows, is_clear):
    topology = topology_of(rows)
    molecules = find_molecules(topology)
    assert (why_unclear(topology, molecules, "OQL") is None) == is_clear
    if is_clear:
        assert len(molecules.starts) == 3


@pytest.mark.parametrize("first", [1, 9990])
def test_hydrogens_at_the_end_of_the_file_belong_to_their_residues(first):
    numbers = [number % 10000 for number in range(first, first + 6)]
    rows = rows_of(numbers, "XY") + rows_of([1], "PQ", "ONC") + rows_of(numbers, "HK")
    topology = topology_of(rows)
    molecules = find_molecules(topology)
    expected = [[2 * k, 2 * k + 1, 14 + 2 * k, 15 + 2 * k] for k in range(6)]
    assert atoms_of(molecules) == [*expected, [12, 13]]
    assert molecules.joined == {"OQL": 6}
    assert why_unclear(topology, molecules, "OQL") is None


def test_hydrogens_at_the_end_with_one_number_for_all():
    rows = rows_of([1] * 4, "XY") + rows_of([2], "PQ", "ONC") + rows_of([1] * 4, "RT")
    molecules = find_molecules(topology_of(rows))
    assert atoms_of(molecules) == [*([2 * k, 2 * k + 1, 10 + 2 * k, 11 + 2 * k] for k in range(4)), [8, 9]]


def test_hydrogens_at_the_end_of_a_file_whose_numbers_start_again_are_joined_or_reported():
    numbers = [*range(9997, 10000), 0, 1, 2]
    topology = topology_of(rows_of(numbers, "XY") + rows_of(numbers, "HK"))
    molecules = find_molecules(topology)
    is_right = atoms_of(molecules) == [[2 * k, 2 * k + 1, 12 + 2 * k, 13 + 2 * k] for k in range(6)]
    assert is_right or why_unclear(topology, molecules, "OQL")


def test_parts_of_one_name_without_a_common_atom_are_reported():
    topology = topology_of(rows_of([1, 2], "XY") + rows_of([3, 4], "HK"))
    reason = why_unclear(topology, find_molecules(topology), "OQL")
    assert "X" in reason and "H" in reason


def test_the_first_alternate_location_of_a_residue_is_kept():
    rows = rows_of([1], "XYYZ") + rows_of([2], "XYYZ") + rows_of([3], "XYZ")
    molecules = find_molecules(topology_of(rows, "-AB-" + "-BC-" + "---"))
    assert atoms_of(molecules) == [[0, 1, 3], [4, 5, 7], [8, 9, 10]]
    assert molecules.num_alternates == 2


def test_a_second_location_of_an_atom_without_a_letter():
    molecules = find_molecules(topology_of(rows_of([1, 2], "XYYZ"), "--B---B-"))
    assert atoms_of(molecules) == [[0, 1, 3], [4, 5, 7]]
    assert molecules.num_alternates == 2


def test_alternate_locations_with_names_of_their_own():
    rows = [*rows_of([1], ["X", "YA", "ZA", "YB", "ZB"]), *rows_of([2], "XYZ")]
    molecules = find_molecules(topology_of(rows, "-AABB---"))
    assert atoms_of(molecules) == [[0, 1, 2], [5, 6, 7]]


def test_alternate_locations_of_another_residue_name():
    rows = [("A", "1", "SER", "X"), ("A", "1", "THR", "X"), ("A", "2", "SER", "X")]
    molecules = find_molecules(topology_of(rows, "AB-"))
    assert molecules.names.tolist() == ["SER", "SER"]


def test_alternate_locations_listed_after_the_other_atoms():
    rows = [*rows_of([1, 2], "XY"), *rows_of([1, 2], "Y")]
    molecules = find_molecules(topology_of(rows, "-A-A" + "BB"))
    assert atoms_of(molecules) == [[0, 1], [2, 3]]
    assert molecules.num_alternates == 2


def test_a_letter_that_all_atoms_have_leaves_nothing_out():
    molecules = find_molecules(topology_of(rows_of([1, 2]), "AAAAAA"))
    assert (atoms_of(molecules), molecules.num_alternates) == (consecutive(2), 0)
