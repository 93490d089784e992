"""Errors of real writes, and the texts that libraries give where a test cannot cause them cheaply."""

import errno
import os

import h5py
import numpy as np
import pytest

from socialmd_tf.os_errors import describe


def error_of(call):
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


@pytest.fixture
def blocked(tmp_path):
    """A path below a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "result"


def test_a_file_where_a_directory_belongs_whatever_writes(blocked):
    import tensorflow as tf

    writers = (
        lambda: blocked.write_text(""),
        lambda: h5py.File(blocked, "w"),
        lambda: tf.io.write_file(str(blocked), "x"),
        lambda: tf.io.TFRecordWriter(str(blocked)).close(),
    )
    for write in writers:
        assert describe(error_of(write)) == f"{blocked}: Not a directory"
    # TensorFlow names the file, not the path below it.
    for make in (tf.io.gfile.makedirs, lambda path: tf.summary.create_file_writer(path).init()):
        assert describe(error_of(lambda make=make: make(str(blocked)))) == f"{blocked.parent}: Not a directory"


def test_a_directory_where_a_file_belongs(tmp_path):
    for read in (tmp_path.read_text, lambda: np.load(tmp_path), lambda: h5py.File(tmp_path)):
        assert describe(error_of(read)) == f"{tmp_path}: Is a directory"


def test_missing_files(tmp_path):
    import tensorflow as tf

    path = tmp_path / "none"
    for read in (path.read_text, lambda: tf.io.read_file(str(path)), lambda: h5py.File(path)):
        assert describe(error_of(read)) == f"{path}: No such file or directory"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/a"), "/a: Read-only file system"),
        (OSError("200000 requested and 75744 written"), "200000 requested and 75744 written"),
        (OSError(None, "200000 requested and 75744 written", "/a"), "/a: 200000 requested and 75744 written"),
        (
            OSError(
                "Unable to synchronously create file (file write failed: time = Thu Nov 26 15:47:54 2026\n, filename = "
                "'/a/w.h5', file descriptor = 3, errno = 28, error message = 'No space left on device', buf = 0x563e)"
            ),
            "/a/w.h5: No space left on device",
        ),
        (
            RuntimeError(
                "Can't decrement id ref count (unable to extend file properly, errno = 27, error message = 'File too "
                "large')"
            ),
            "File too large",
        ),
        (
            RuntimeError("{{function_node __wrapped__SaveV2}} /a/part-0; No space left on device [Op:SaveV2]"),
            "/a/part-0: No space left on device",
        ),
        (RuntimeError("/a/b; Permission denied"), "/a/b: Permission denied"),
    ],
)
def test_texts_of_libraries(error, line):
    assert describe(error) == line


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a defect"),
        RuntimeError("OOM when allocating tensor with shape[1,2]"),
        RuntimeError("{{node a}} input 3; Invalid argument"),
        KeyError("error message"),
    ],
)
def test_other_errors_are_not_described(error):
    assert describe(error) is None
