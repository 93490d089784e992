import hashlib
import json
import os
import shutil

import pytest

from pipelines.errors import UserError
from pipelines.fingerprint import fingerprint, same_content

FILES = ("a.npy", "train/b.npy")


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "data"
    (directory / "train").mkdir(parents=True)
    for file in FILES:
        (directory / file).write_bytes(file.encode() * 100)
    return directory


def test_an_entry_holds_size_time_and_hash(directory):
    path = directory / "a.npy"
    expected = {
        "size": 500,
        "mtime_ns": path.stat().st_mtime_ns,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    found = fingerprint(directory, FILES)
    assert list(found) == list(FILES)
    assert found["a.npy"] == expected
    assert json.loads(json.dumps(found)) == found


def test_a_copied_dataset_is_the_same(directory, tmp_path):
    shutil.copytree(directory, tmp_path / "copy", copy_function=shutil.copy)
    old, new = fingerprint(directory, FILES), fingerprint(tmp_path / "copy", FILES)
    assert same_content(old, new) is None


def test_a_touched_file_is_the_same_and_a_changed_one_is_not(directory):
    old = fingerprint(directory, FILES)
    os.utime(directory / "a.npy", ns=(0, 0))
    touched = fingerprint(directory, FILES, known=old)
    assert touched["a.npy"]["mtime_ns"] == 0
    assert same_content(old, touched) is None
    content = bytearray((directory / "train/b.npy").read_bytes())
    content[-1] ^= 1
    (directory / "train/b.npy").write_bytes(content)
    os.utime(directory / "train/b.npy", ns=(1, 1))
    assert same_content(old, fingerprint(directory, FILES, known=old)) == "train/b.npy has changed"


def test_only_files_whose_size_or_time_changed_are_read(directory):
    old = fingerprint(directory, FILES)
    for entry in old.values():
        entry["sha256"] = "of the earlier fingerprint"
    (directory / "a.npy").write_bytes(b"longer" * 500)
    new = fingerprint(directory, FILES, known=old)
    assert new["a.npy"]["sha256"] == hashlib.sha256(b"longer" * 500).hexdigest()
    assert new["train/b.npy"]["sha256"] == "of the earlier fingerprint"


@pytest.mark.parametrize("known", [{"a.npy": None}, {"a.npy": {"size": 500}}, [], {"a.npy": {"sha256": "x"}}])
def test_a_damaged_earlier_fingerprint_is_not_trusted(directory, known):
    assert fingerprint(directory, FILES, known=known) == fingerprint(directory, FILES)


def test_lost_and_new_files_are_named(directory):
    both = fingerprint(directory, FILES)
    one = fingerprint(directory, FILES[:1])
    assert same_content(both, one) == "train/b.npy is missing"
    assert same_content(one, both) == "train/b.npy was added"


def test_a_file_that_cannot_be_read_is_refused(directory):
    for file in ("none.npy", "train"):
        with pytest.raises(UserError, match=f"{file}: cannot be read"):
            fingerprint(directory, [file])
