"""Which atoms form a molecule, from residue numbers, chains and names as the topology writes them.

A molecule is a stretch of atoms with one chain, residue number and residue name. Three kinds of files need more:

- Numbers that repeat (all molecules have number 1, or the last number that fits): the stretch holds several molecules,
  and is cut where the sequence of atom names begins again.
- Atoms of a residue in several places (all hydrogens at the end of the file): the stretches of one residue that share
  no atom name are joined.
- Alternate locations: the first one of each residue is kept.

What remains ambiguous is named, and refused if the molecules are selected.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.molecules.formats.frame import Topology

Indices = npt.NDArray[np.intp]
_LAST_NUMBERS, _FIRST_NUMBERS = ["9999", "99999"], ["0", "1"]
_ELEMENTS = frozenset("H D C N O F P S K B I CL BR SI NA MG AL FE ZN CA SE LI MN CU AU AG".split())


@dataclasses.dataclass(frozen=True)
class Molecules:
    """The molecules of a topology."""

    order: Indices
    """Atoms, molecule by molecule `[n]`; without alternate locations."""
    starts: Indices
    """Where each molecule begins in `order` `[num_molecules]`."""
    names: npt.NDArray[np.str_]
    """Residue names `[num_molecules]`."""
    num_alternates: int
    """Atoms left out because they are alternate locations of others."""
    cut: Mapping[str, int]
    """How many molecules of each name come from stretches of one residue number."""
    joined: Mapping[str, int]
    """How many molecules of each name come from several stretches."""
    ambiguous: Mapping[str, str]
    """Names whose molecules cannot be told apart by their atom names, and why; see `why_unclear`."""

    @property
    def sizes(self) -> Indices:
        """Atoms per molecule `[num_molecules]`."""
        return np.diff(np.append(self.starts, len(self.order)))


def find_molecules(topology: Topology) -> Molecules:
    """Group atoms into molecules.

    Args:
        topology: The topology. Its residue numbers are compared as text and may start again.

    Returns:
        The molecules, in the order of their first atoms.
    """
    generations = _generations(topology)
    atoms = _without_alternates(topology, generations)
    table = _Table.of(topology, generations, atoms)
    begins = table.begins.copy()
    cut, ambiguous = _cut_repeats(table, begins)
    pieces = np.cumsum(begins) - 1
    molecule_of_piece, joined = _join(table, begins)
    molecule_of_atom = molecule_of_piece[pieces]
    by_molecule = np.argsort(molecule_of_atom, kind="stable")
    starts = np.flatnonzero(np.diff(molecule_of_atom[by_molecule], prepend=-1))
    order = atoms[by_molecule]
    names = topology.molecule_names[order[starts]]
    return Molecules(order, starts, names, topology.num_atoms - len(atoms), cut, joined, ambiguous)


def _generations(topology: Topology) -> Indices:
    """How often the residue numbers have started again after the last one that fits, before each atom."""
    numbers = topology.molecule_numbers
    restarts = np.zeros(len(numbers), dtype=bool)
    restarts[1:] = np.isin(numbers[:-1], _LAST_NUMBERS) & np.isin(numbers[1:], _FIRST_NUMBERS)
    return np.cumsum(restarts)


def _codes(*columns: npt.NDArray[np.generic]) -> Indices:
    """One number per row, the same for rows that are the same in all columns."""
    codes: dict[tuple[object, ...], int] = {}
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return np.array([codes.setdefault(row, len(codes)) for row in rows], dtype=np.intp)


def _without_alternates(topology: Topology, generations: Indices) -> Indices:
    """Atoms without those in a second location.

    Each residue keeps its atoms without a letter, and those with its first letter whose names these do not have.
    """
    letters = topology.alternates
    if letters is None or not (letters != "").any():
        return np.arange(topology.num_atoms)
    residues = _codes(generations, topology.chains, topology.molecule_numbers)
    lettered = np.flatnonzero(letters != "")
    with_letters, places = np.unique(residues[lettered], return_index=True)
    kept = np.full(residues.max() + 1, "", dtype=letters.dtype)
    kept[with_letters] = letters[lettered[places]]
    named = _codes(residues, topology.atom_names)
    repeats_plain = np.isin(named, named[letters == ""])
    return np.flatnonzero((letters == "") | ((letters == kept[residues]) & ~repeats_plain))


@dataclasses.dataclass(frozen=True)
class _Table:
    """Columns of the atoms `[n]`."""

    residues: Indices
    """Code of generation, chain, number and residue name."""
    names: npt.NDArray[np.str_]
    """Residue names."""
    numbered: npt.NDArray[np.str_]
    """Residue names whose molecules have different numbers within a chain."""
    atom_names: npt.NDArray[np.str_]
    atom_codes: Indices
    """Codes of the atom names."""
    begins: npt.NDArray[np.bool_]
    """Where a stretch of one residue begins."""

    @classmethod
    def of(cls, topology: Topology, generations: Indices, atoms: Indices) -> "_Table":
        names, numbers, chains = (
            topology.molecule_names[atoms],
            topology.molecule_numbers[atoms],
            topology.chains[atoms],
        )
        residues = _codes(generations[atoms], chains, numbers, names)
        begins = np.diff(residues, prepend=-1) != 0
        if topology.chain_ends is not None and len(atoms):
            # An end counts for the next atom that is kept.
            ends: Indices = np.cumsum(topology.chain_ends) - topology.chain_ends
            begins[1:] |= np.diff(ends[atoms]) > 0
        _, first = np.unique(residues, return_index=True)
        per_chain = Counter(zip(names[first].tolist(), chains[first].tolist(), strict=True))
        numbered = np.array(sorted({name for (name, _), count in per_chain.items() if count > 1}), dtype=np.str_)
        return cls(residues, names, numbered, topology.atom_names[atoms], _codes(topology.atom_names[atoms]), begins)


def _cut_repeats(table: _Table, begins: npt.NDArray[np.bool_]) -> tuple[dict[str, int], dict[str, str]]:
    """Mark where molecules begin within stretches whose atom names repeat.

    A stretch that repeats a block of atoms is cut into blocks if the block is known from other stretches, or if its
    atom names identify its atoms and the residue numbers do not distinguish the molecules of this name.

    Returns:
        How many molecules of each name were cut out, and why others are ambiguous.
    """
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(begins))
    num_names = _count_names(table, begins)
    is_repeat = num_names < stops - starts
    known: defaultdict[str, set[bytes]] = defaultdict(set)
    for place in np.flatnonzero(~is_repeat & np.isin(table.names[starts], np.unique(table.names[starts[is_repeat]]))):
        known[str(table.names[starts[place]])].add(table.atom_codes[starts[place] : stops[place]].tobytes())
    cut: Counter[str] = Counter()
    ambiguous: dict[str, str] = {}
    for place in np.flatnonzero(is_repeat):
        start, stop = starts[place], stops[place]
        name, codes = str(table.names[start]), table.atom_codes[start:stop]
        period = _period(codes)
        num_blocks = len(codes) // period
        is_numbered = name in table.numbered
        identifies = num_names[place] == period > 1 and not _are_elements(table.atom_names[start:stop])
        if num_blocks > 1 and (codes[:period].tobytes() in known[name] or (identifies and not is_numbered)):
            begins[start:stop:period] = True
            cut[name] += num_blocks
        elif not is_numbered or known[name] or (num_blocks > 1 and period > 1):
            ambiguous[name] = (
                f"{len(codes)} successive atoms with one residue number have only {num_names[place]} different names"
            )
    return dict(cut), ambiguous


def _count_names(table: _Table, begins: npt.NDArray[np.bool_]) -> Indices:
    """Number of different atom names in every stretch."""
    base = table.atom_codes.max(initial=0) + 1
    pairs = np.unique((np.cumsum(begins) - 1) * base + table.atom_codes)
    return np.bincount(pairs // base, minlength=int(begins.sum()))


def _period(codes: Indices) -> int:
    """Length of the shortest block of which a sequence is a repetition."""
    for period in range(1, len(codes) // 2 + 1):
        if len(codes) % period == 0 and (codes[period:] == codes[:-period]).all():
            return period
    return len(codes)


def _are_elements(atom_names: npt.NDArray[np.str_]) -> bool:
    """Whether the names say no more than the chemical elements."""
    return {name.upper() for name in atom_names.tolist()} <= _ELEMENTS


def _join(table: _Table, begins: npt.NDArray[np.bool_]) -> tuple[Indices, dict[str, int]]:
    """The molecule of every piece, and how many molecules of each name consist of several pieces."""
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(begins))
    molecules = np.arange(len(starts))
    keys = table.residues[starts]
    by_key = np.argsort(keys, kind="stable")
    groups = np.split(by_key, np.flatnonzero(np.diff(keys[by_key])) + 1) if len(by_key) else []
    joined: Counter[str] = Counter()
    for pieces in groups:
        if len(pieces) < 2:
            continue
        contents = [frozenset(table.atom_codes[starts[piece] : stops[piece]].tolist()) for piece in pieces]
        owners = _owners(contents)
        molecules[pieces] = pieces[owners]
        joined[str(table.names[starts[pieces[0]]])] += sum(count > 1 for count in Counter(owners).values())
    return molecules, {name: count for name, count in joined.items() if count}


def _owners(contents: Sequence[frozenset[int]]) -> list[int]:
    """For every piece of a residue, the first piece of the molecule that it belongs to.

    A piece belongs to the first molecule that has none of its atom names.
    """
    owners: list[int] = []
    members: list[tuple[int, set[int]]] = []
    first_free: dict[frozenset[int], int] = {}
    for piece, content in enumerate(contents):
        place = first_free.get(content, 0)
        while place < len(members) and members[place][1] & content:
            place += 1
        if place == len(members):
            members.append((piece, set()))
        members[place][1].update(content)
        first_free[content] = place + 1
        owners.append(members[place][0])
    return owners


def why_unclear(topology: Topology, molecules: Molecules, name: str) -> str | None:
    """Why molecules of a name cannot be told apart.

    Two molecules without a common atom name are taken for parts of molecules.

    Args:
        topology: The topology.
        molecules: Its molecules.
        name: The residue name.

    Returns:
        The reason; None if they can.
    """
    if name in molecules.ambiguous:
        return molecules.ambiguous[name]
    sizes, atom_names = molecules.sizes, topology.atom_names[molecules.order]
    members = np.flatnonzero(molecules.names == name)
    largest = members[np.argmax(sizes[members])]
    start = molecules.starts[largest]
    shared = np.isin(atom_names, atom_names[start : start + sizes[largest]])
    is_stranger = ~np.logical_or.reduceat(shared, molecules.starts)[members]
    if not is_stranger.any():
        return None
    other = molecules.starts[members[np.argmax(is_stranger)]]
    return f"one molecule has the atom {atom_names[start]}, another has only others such as {atom_names[other]}"
