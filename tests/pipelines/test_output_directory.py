import json
import os
import signal
import subprocess
import sys

import pytest

from pipelines.errors import UserError
from pipelines.output_directory import DirectoryLock, check_claim, claim

CONFIG_FILE, CONFIG, KIND = "made.json", {"seed": 0, "size": [1, 2]}, "a made dataset"

HOLD = """
import pathlib, sys
from pipelines.errors import UserError
from pipelines.output_directory import claim
try:
    lock = claim(pathlib.Path(sys.argv[1]), "made.json", {"seed": int(sys.argv[2])}, "a made dataset")
except UserError as error:
    print(error, flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
    lock.release()
"""


@pytest.fixture
def start():
    """A starter of processes that claim a directory, say so, and hold it until their input ends."""
    processes = []

    def start_one(directory, seed=0):
        command = [sys.executable, "-c", HOLD, str(directory), str(seed)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start_one
    for process in processes:
        process.communicate()
        process.wait()


def test_a_directory_that_another_process_holds_is_refused(tmp_path, start):
    holder = start(tmp_path / "data")
    assert holder.stdout.readline() == "held\n"
    temporary = tmp_path / "data" / f".0.npy.{holder.pid}.tmp"
    temporary.write_text("half written by the holder")
    for attempt in range(2):  # a refused attempt leaves the lock as it was
        with pytest.raises(UserError) as error:
            claim(tmp_path / "data", CONFIG_FILE, {"seed": 0}, KIND)
        message = str(error.value)
        assert message.startswith(f"{tmp_path / 'data'}: in use by process {holder.pid} on "), attempt
        assert " since 2" in message and "-c " in message
    assert temporary.exists()
    (tmp_path / "data" / "0.npy").write_text("finished by the holder")
    holder.communicate()
    holder.wait()
    assert not (tmp_path / "data" / ".lock").exists()
    with claim(tmp_path / "data", CONFIG_FILE, {"seed": 0}, KIND):
        assert not temporary.exists()


def test_the_lock_of_a_killed_process_is_free(tmp_path, start):
    holder = start(tmp_path)
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    assert (tmp_path / CONFIG_FILE).exists()
    with claim(tmp_path, CONFIG_FILE, {"seed": 0}, KIND):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


def test_one_of_several_processes_gets_the_directory(tmp_path, start):
    processes = [start(tmp_path / "data", seed) for seed in range(4)]
    said = [process.stdout.readline() for process in processes]
    assert said.count("held\n") == 1
    winner = said.index("held\n")
    assert json.loads((tmp_path / "data" / CONFIG_FILE).read_text()) == {"seed": winner}
    for line in said[:winner] + said[winner + 1 :]:
        assert "in use by" in line or "holds a dataset with `seed`" in line


def test_the_same_process_cannot_lock_a_directory_twice(tmp_path):
    with DirectoryLock(tmp_path), pytest.raises(UserError, match=f"in use by process {os.getpid()} on"):
        DirectoryLock(tmp_path)
    with DirectoryLock(tmp_path):
        pass


def test_an_error_releases_the_lock(tmp_path):
    with pytest.raises(KeyboardInterrupt), DirectoryLock(tmp_path):
        raise KeyboardInterrupt
    DirectoryLock(tmp_path).release()


def test_a_claimed_directory_can_be_claimed_again_with_the_same_configuration(tmp_path):
    place = (tmp_path / "a/b", CONFIG_FILE, CONFIG, KIND)
    assert not check_claim(*place)
    assert not (tmp_path / "a").exists()
    with claim(*place):
        (tmp_path / "a/b/train").mkdir()
        (tmp_path / "a/b/train/.0.npy.4711.tmp").write_text("of a killed run")
    assert check_claim(*place)
    claim(*place).release()
    assert sorted(path.name for path in (tmp_path / "a/b").rglob("*")) == [CONFIG_FILE, "train"]


@pytest.mark.parametrize("was_there", [True, False])
def test_a_directory_to_which_nothing_was_added_is_left_as_it_was(tmp_path, was_there):
    directory = tmp_path / "data"
    if was_there:
        directory.mkdir()
    with pytest.raises(KeyboardInterrupt), claim(directory, CONFIG_FILE, CONFIG, KIND):
        assert (directory / CONFIG_FILE).exists()
        raise KeyboardInterrupt
    assert list(tmp_path.rglob("*")) == ([directory] if was_there else [])
    claim(directory, CONFIG_FILE, {"seed": "corrected"}, KIND).release()


@pytest.mark.parametrize("remains", [".lock", f".{CONFIG_FILE}.4711.tmp"])
def test_a_run_killed_before_it_wrote_its_configuration_left_an_empty_directory(tmp_path, remains):
    (tmp_path / remains).write_text("{")
    with claim(tmp_path, CONFIG_FILE, CONFIG, KIND):
        assert sorted(os.listdir(tmp_path)) == [".lock", CONFIG_FILE]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("notes.txt", "mine", "not empty and not a made dataset"),
        (CONFIG_FILE, "{", "not the configuration of a made dataset"),
        (CONFIG_FILE, "[]", "not the configuration of a made dataset"),
        (CONFIG_FILE, '{"seed": 1, "size": [1, 2]}', "`seed` = 1; expected 0"),
    ],
)
def test_other_directories_are_refused_and_left_as_they_were(tmp_path, name, content, found):
    (tmp_path / name).write_text(content)
    for refuse in (check_claim, claim):
        with pytest.raises(UserError, match=found):
            refuse(tmp_path, CONFIG_FILE, CONFIG, KIND)
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == content


def test_a_file_where_a_directory_belongs_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/data"):
        with pytest.raises(UserError, match=f"{path}: cannot hold a dataset: "):
            claim(path, CONFIG_FILE, CONFIG, KIND)
