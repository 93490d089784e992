"""Units of work that do not depend on each other: one after the other, or on the workers of a Dask cluster."""

import dataclasses
import functools
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from pipelines.errors import require

Work = Callable[..., Generator[Any, None, Any]]
"""A function of a module: it yields how far it is, a number or several, and returns its result."""
Report = Callable[[int, Any], object]
"""Takes the place of a unit and how far it is."""


@dataclasses.dataclass(frozen=True)
class Workers:
    """Where units of work are done. No result depends on it."""

    workers: int = 1
    """Worker processes on this machine. Several need Dask (pip install distributed); with 1, no process is started."""
    scheduler: str | None = None
    """Address of the scheduler of a Dask cluster, such as tcp://10.0.0.5:8786, whose workers do the work instead.
    They need the same version of this package, one thread each (--nthreads 1), and the same files at the same paths.
    Units of a worker that is lost are done again by the others."""

    def __post_init__(self) -> None:
        """Check every field."""
        require(self.workers >= 1, "workers", "at least 1", self.workers)
        alone = self.scheduler is None or self.workers == 1
        require(alone, "workers", "left out beside `--scheduler`, which knows its workers", self.workers)
        right = self.scheduler is None or "://" in self.scheduler
        require(right, "scheduler", "an address such as tcp://10.0.0.5:8786", self.scheduler)

    @property
    def are_processes(self) -> bool:
        """Whether other processes do the work."""
        return self.workers > 1 or self.scheduler is not None


HERE = Workers()
"""One unit after the other, in this process."""


def run_all(
    work: Work, tasks: Sequence[tuple[Any, ...]], workers: Workers, report: Report = lambda place, step: None
) -> Iterator[Any]:
    """Do all units of work.

    Args:
        work: Does a unit.
        tasks: Its arguments; values that can be pickled.
        workers: Where.
        report: Called when a unit says how far it is; at most once a second for a unit of another process.

    Yields:
        The results, in the order of the tasks.

    Raises:
        UserError: A unit raised it, Dask is missing, or the cluster cannot do the work. Units that were not done yet
            are given up.
        OSError: As before.
    """
    if workers.are_processes and tasks:
        from pipelines.cluster import run_on_cluster

        yield from run_on_cluster(work, tasks, workers, report)
        return
    for place, task in enumerate(tasks):
        yield follow(work(*task), place, report)


class Shared:
    """A value that all units share: a process of a cluster unpickles it once, and what it caches stays for later units.

    Args:
        value: The value.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    @functools.cached_property
    def _pickled(self) -> bytes:
        return pickle.dumps(self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared, (self._pickled,)


@functools.lru_cache(maxsize=1)
def _shared(pickled: bytes) -> Shared:
    return Shared(pickle.loads(pickled))


def follow(steps: Generator[Any, None, Any], place: int, report: Report) -> Any:
    """Do a unit of work, report its steps, and return its result."""
    while True:
        try:
            report(place, next(steps))
        except StopIteration as end:
            return end.value
