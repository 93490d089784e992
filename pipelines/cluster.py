"""Units of work on the workers of a Dask cluster, which is started on this machine or found by its address.

Dask does the units of a lost worker again. What is left to do here: to refuse a cluster that would give other results,
to send no more units than are soon done, to follow their progress, and to say in one line what went wrong.
"""

import atexit
import concurrent.futures
import contextlib
import importlib.metadata
import logging
import os
import queue
import signal
import sys
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipelines.errors import UserError
from pipelines.extras import install_command
from pipelines.workers import Report, Work, Workers, follow

_PACKAGE = "socialmd_tf"
_CONNECT_SECONDS, _MORE_SECONDS = 10, 5
_SECONDS = 1.0
"""Time between two reports of a unit, and between two looks at the cluster."""
_UNITS_PER_WORKER = 2
_CLIENTS: dict[Workers, Any] = {}


def run_on_cluster(work: Work, tasks: Sequence[tuple[Any, ...]], workers: Workers, report: Report) -> Iterator[Any]:
    """Do all units of work on a cluster; as `workers.run_all`.

    The cluster of this machine stays for the next call, since workers are slow to start; after an error it is closed.
    """
    try:
        import distributed
    except ImportError:
        raise UserError(
            f"`workers` other than 1, and `scheduler`, need Dask, which is not installed; expected: "
            f"{install_command('cluster')}"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised
    where = workers.scheduler or "the workers of this machine"
    client = _client(workers)
    try:
        _check_workers(client, where)
        yield from _Units(client, work, tasks).results(report)
    except BaseException as error:
        _close(client)
        if isinstance(error, distributed.CancelledError | distributed.scheduler.KilledWorker):
            raise UserError(_fault(error, where)) from None
        raise


def _client(workers: Workers) -> Any:
    """A client of the cluster, which is started if there is no address and it does not run yet."""
    if workers not in _CLIENTS:
        _CLIENTS[workers] = _new_client(workers)
    return _CLIENTS[workers]


def _new_client(workers: Workers) -> Any:
    import distributed

    address: Any = workers.scheduler
    if address is None:
        with _ignored_interrupts():
            address = distributed.LocalCluster(
                n_workers=workers.workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # None is port 8787, with a warning if another command has it
                scheduler_kwargs={"dashboard": False},
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
    try:
        return _within(_CONNECT_SECONDS, lambda: _connected(address))
    except (OSError, TimeoutError):
        message = f"no answer within {_CONNECT_SECONDS} s; expected the address of a running Dask scheduler"
    except ValueError as error:
        message = f"{error}; expected an address such as tcp://10.0.0.5:8786"
    raise UserError(f"`scheduler` {address}: {message}")


def _connected(address: Any) -> Any:
    import distributed

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s).*Mismatched versions")
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """The result of a function that may wait for ever, as Dask does for a server that answers nothing or otherwise.

    Raises:
        TimeoutError: It takes longer, a few seconds for its own limit included.
    """
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds + _MORE_SECONDS)


@contextlib.contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """Let processes that are started here ignore Ctrl-C: this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _close(client: Any) -> None:
    """Close a client, which gives up its units: they stop at their next step; and the cluster of this machine."""
    for workers in [workers for workers, known in _CLIENTS.items() if known is client]:
        del _CLIENTS[workers]
    with contextlib.suppress(Exception):
        client.close()
    with contextlib.suppress(Exception):
        if client.cluster is not None:
            client.cluster.close()


@atexit.register
def close_all() -> None:
    """Close all clients, and the clusters of this machine."""
    for client in list(_CLIENTS.values()):
        _close(client)


def _check_workers(client: Any, where: str) -> None:
    """Refuse workers of another version, or with several threads, which one process of ours cannot serve."""
    if not client.scheduler_info()["workers"]:
        print(f"{where}: waiting for workers", file=sys.stderr, flush=True)
        client.wait_for_workers(1)
    ours = _version()
    found = client.run(importlib.metadata.version, _PACKAGE, on_error="return")
    for worker, version in found.items():
        _check_version(worker, version if isinstance(version, str) else "none", ours)
    for worker, values in client.scheduler_info(n_workers=-1)["workers"].items():
        _check_threads(worker, values["nthreads"])


def _version() -> str:
    return importlib.metadata.version(_PACKAGE)


def _check_version(worker: str, found: str, expected: str) -> None:
    if found != expected:
        raise UserError(f"worker {worker}: expected {_PACKAGE} {expected}, as here, found {found}")


def _check_threads(worker: str, found: int) -> None:
    if found != 1:
        raise UserError(f"worker {worker}: expected one thread (`dask worker --nthreads 1`), found {found}")


class _Units:
    """The units of work of one call, of which so many are sent at a time that no worker waits.

    Args:
        client: The client.
        work: Does a unit.
        tasks: Arguments of the units.
    """

    def __init__(self, client: Any, work: Work, tasks: Sequence[tuple[Any, ...]]) -> None:
        self._client, self._work = client, work
        self._waiting = deque(enumerate(tasks))
        self._name = f"{work.__name__}-{uuid.uuid4().hex}"
        self._running: dict[int, Any] = {}
        self._done: dict[int, Any] = {}
        self._news: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        """Place of a unit and how far it is; None if it has ended."""
        client.subscribe_topic(self._name, lambda event: self._news.put(event[1]))

    def results(self, report: Report) -> Iterator[Any]:
        """Yield the results in the order of the units."""
        for place in range(len(self._waiting)):
            while place not in self._done:
                self._send()
                self._take_news(report)
            yield self._done.pop(place)

    def _send(self) -> None:
        """Send units to the workers that are there now."""
        limit = _UNITS_PER_WORKER * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        while self._waiting and len(self._running) < limit:
            place, task = self._waiting.popleft()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=r"(?s)Sending large graph")
                future = self._client.submit(
                    _do,
                    *(_version(), os.getcwd(), self._name, place, self._work, task),
                    key=f"{self._name}-{place}",
                    priority=-place,
                    pure=False,
                )
            self._running[place] = future
            future.add_done_callback(lambda _, place=place: self._news.put((place, None)))

    def _take_news(self, report: Report) -> None:
        try:
            place, step = self._news.get(timeout=_SECONDS)
        except queue.Empty:
            return
        if step is not None:
            report(place, step)
        elif place in self._running:
            self._done[place] = self._running.pop(place).result()


def _do(version: str, directory: str, topic: str, place: int, work: Work, task: tuple[Any, ...]) -> Any:
    """Do a unit of work on a worker, in the working directory of the command."""
    import distributed

    worker = distributed.get_worker()
    _check_version(worker.address, _version(), version)
    _check_threads(worker.address, worker.state.nthreads)
    try:
        os.chdir(directory)
    except OSError as error:
        raise UserError(
            f"worker {worker.address}: {directory}: {error.strerror}; expected a file system that all workers see"
        ) from None
    key, last = worker.get_current_task(), -_SECONDS

    def report(place: int, step: Any) -> None:
        nonlocal last
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled":
            raise RuntimeError("the command that wants this unit has ended")
        if time.monotonic() - last >= _SECONDS:
            last = time.monotonic()
            worker.log_event(topic, (place, step))

    return follow(work(*task), place, report)


def _fault(error: Exception, where: str) -> str:
    name = type(error).__name__
    if name == "KilledWorker":
        return (
            f"{where}: a unit of work was given up, because {error.args[2] + 1} workers that did it ended; expected "
            "workers with more memory or time. The same command resumes"
        )
    return f"{where}: the connection was lost; the same command resumes"
