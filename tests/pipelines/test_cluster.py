"""A scheduler and two workers, each a process, on the loopback interface."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.workers import Workers, run_all
from tests.pipelines import units

pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]
LOCAL = ["--host", "127.0.0.1", "--no-dashboard"]


class Cluster:
    """A scheduler, to which tests add workers."""

    def __init__(self, directory):
        self._directory, self._processes = directory, []
        file = directory / "scheduler.json"
        self._start("dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        while not file.exists() or not file.read_text().endswith("}"):
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]
        self.workers = Workers(scheduler=self.address)

    def _start(self, program, *flags, path=()):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
        command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{program}", *LOCAL, *flags]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=environment, cwd=self._directory, **silent)
        self._processes.append(process)
        return process

    def add_worker(self, nthreads=1, path=()):
        return self._start("dask_worker", self.address, "--no-nanny", "--nthreads", str(nthreads), path=path)

    def close(self):
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    with contextlib.closing(Cluster(tmp_path)) as found:
        yield found


@pytest.mark.slow
def test_units_of_a_killed_worker_are_done_again(cluster, tmp_path):
    workers = {worker.pid: worker for worker in (cluster.add_worker(), cluster.add_worker())}
    paths = [tmp_path / f"{number}.txt" for number in range(8)]

    def kill_one():
        while not (started := list(tmp_path.glob("2.[0-9]*"))):
            time.sleep(0.01)
        os.kill(int(started[0].suffix[1:]), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    list(run_all(units.write_slowly, [(path,) for path in paths], cluster.workers))
    killer.join()
    assert [path.read_text() for path in paths] == [path.stem for path in paths]
    assert sorted(process.poll() is None for process in workers.values()) == [False, True]
    assert len(list(tmp_path.glob("2.[0-9]*"))) == 2


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused(cluster, tmp_path):
    metadata = tmp_path / "other" / "socialmd_tf-9.9.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: socialmd_tf\nVersion: 9.9\n")
    cluster.add_worker(path=[metadata.parent])
    with pytest.raises(UserError, match=r"^worker tcp://127.0.0.1:\d+: expected socialmd_tf \S+, as here, found 9.9$"):
        list(run_all(units.count, [(0, 1)], cluster.workers))


@pytest.mark.slow
def test_a_worker_with_several_threads_is_refused(cluster):
    cluster.add_worker(nthreads=2)
    with pytest.raises(UserError, match=r"^worker tcp://127.0.0.1:\d+: expected one thread \(`dask worker --nthre"):
        list(run_all(units.count, [(0, 1)], cluster.workers))


def test_a_scheduler_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr("pipelines.cluster._CONNECT_SECONDS", 0.2)
    with pytest.raises(UserError, match=r"^`scheduler` tcp://127.0.0.1:1: no answer within 0.2 s; expected"):
        list(run_all(units.count, [(0, 1)], Workers(scheduler="tcp://127.0.0.1:1")))


def test_a_server_that_is_no_scheduler_is_said(monkeypatch):
    monkeypatch.setattr("pipelines.cluster._CONNECT_SECONDS", 0.2)
    monkeypatch.setattr("pipelines.cluster._MORE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=f"^`scheduler` {address}: no answer within 0.2 s; expected"):
            list(run_all(units.count, [(0, 1)], Workers(scheduler=address)))
