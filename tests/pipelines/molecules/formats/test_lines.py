import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.lines import columns, coordinates, format_suffix, numbered_lines, texts


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.pdb", ".pdb"), ("a.PDB", ".pdb"), ("a.ent.gz", ".ent"), ("a.gro.bz2", ".gro"), ("pdb", ""), ("a.gz", "")],
)
def test_the_suffix_of_packed_and_plain_files(name, expected):
    assert format_suffix(Path(name)) == expected


def test_lines_of_packed_files(tmp_path):
    content = b"one\ntwo\nthree"
    for name, packed in (("a", content), ("a.gz", gzip.compress(content)), ("a.bz2", bz2.compress(content))):
        (tmp_path / name).write_bytes(packed)
        assert list(numbered_lines(tmp_path / name)) == [(1, b"one\n"), (2, b"two\n"), (3, b"three")]


def test_packed_files_that_are_damaged_or_cut_off(tmp_path):
    packed = gzip.compress(np.random.default_rng(0).bytes(1000))
    path = tmp_path / "a.gz"
    path.write_bytes(packed[:500])
    with pytest.raises(IncompleteFileError, match=r"a.gz: .* cut off"):
        list(numbered_lines(path))
    for content in (b"\x1f\x8b\x08 and nothing", b"plain text", packed[:100] + b"\0" * 100 + packed[200:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a.gz: "):
            list(numbered_lines(path))


def test_fixed_columns():
    rows = np.array([b"ab cd", b"e"], dtype="S8")
    assert columns(rows, 1, 4).tolist() == [b"b c", b""]
    assert texts(columns(rows, 1, 3)).tolist() == ["b", ""]
    assert texts(np.array([b" \xe9 "])).tolist() == ["é"]


def test_coordinates_in_columns(tmp_path):
    found = coordinates(Path("a"), [b"x  1.0 2.0-3.0 rest\n", b"x 1e3  nan   4\n"], [1, 2], 2, 4)
    np.testing.assert_array_equal(found, [[1, 2, -3], [1000, np.nan, 4]])


@pytest.mark.parametrize("line", [b"x  1.0 2.0   y", b"x  1.0 2.0", b"x  1.0****-3.0", b"x  1.0 2 0-3.0"])
def test_a_line_without_coordinates_is_named(line):
    with pytest.raises(UserError, match=r"a: line 17: expected three coordinates in columns 3 to 14, found ' ?.*'"):
        coordinates(Path("a"), [b"x  1.0 2.0-3.0", line], [9, 17], 2, 4)
