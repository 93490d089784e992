import errno

import pytest

from pipelines.atomic_files import names_path, write_atomically


def test_interrupted_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_half(file):
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write_half)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("names", "expected"), [((), "here"), (("there",), "there")])
def test_errors_that_name_no_path_are_given_one(names, expected):
    with pytest.raises(OSError) as raised, names_path("here"):
        raise OSError(errno.ENOSPC, "No space left on device", *names)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, expected)
