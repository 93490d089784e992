"""Pieces of work that do not depend on each other, in parallel processes."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from pipelines.errors import UserError

Work = Callable[..., Iterator[int]]


def run_all(work: Work, tasks: Sequence[tuple[Any, ...]], num_processes: int | None) -> Iterator[tuple[int, int]]:
    """Do all tasks; with several processes, each task in a new one that imports the module of `work` itself.

    A process ends at its next step when this one is killed, and at once when this one is interrupted.

    Args:
        work: A function of a module; it yields how far it is, such as the number of frames.
        tasks: Its arguments; values that can be pickled.
        num_processes: Largest number of processes at a time; None for one per core. With one, or one task, no process
            is started.

    Yields:
        The place of a task in `tasks`, and what it yielded.

    Raises:
        UserError: A task raised it; the others were stopped.
        OSError: A task raised it; the others were stopped.
        RuntimeError: A process ended without a reason.
    """
    limit = min(num_processes or os.cpu_count() or 1, len(tasks))
    if limit > 1:
        yield from _in_processes(work, tasks, limit)
        return
    for place, task in enumerate(tasks):
        for step in work(*task):
            yield place, step


def _in_processes(work: Work, tasks: Sequence[tuple[Any, ...]], limit: int) -> Iterator[tuple[int, int]]:
    waiting = list(enumerate(tasks))[::-1]
    running: dict[Connection, tuple[int, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                place, task = waiting.pop()
                connection, process = _start(work, task)
                running[connection] = place, process
            for ready in wait(list(running)):
                connection = next(each for each in running if each is ready)
                place, process = running[connection]
                try:
                    message = connection.recv()
                except EOFError:
                    _end(connection, process)
                    del running[connection]
                    continue
                if isinstance(message, Exception):
                    raise message
                yield place, message
    finally:
        for _, process in running.values():
            process.terminate()
        for connection, (_, process) in running.items():
            process.join()
            connection.close()


def _start(work: Work, task: tuple[Any, ...]) -> tuple[Connection, Any]:
    # Processes that are forked would share the locks and threads of this one.
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_do, args=(theirs, work, task), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _end(connection: Connection, process: Any) -> None:
    connection.close()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a process ended with status {process.exitcode}")


def _do(connection: Connection, work: Work, task: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    try:
        for step in work(*task):
            connection.send(step)
    except BrokenPipeError:  # that process is gone
        return
    except (UserError, OSError) as error:
        connection.send(error)
