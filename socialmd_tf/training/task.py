"""Which worker of a training over machines this process is, by the environment variable `TF_CONFIG`."""

import dataclasses
import json
import os

from pipelines.errors import UserError

VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:5000", "10.0.0.2:5000"]}, "task": {"type": "worker", "index": 0}}'
_KINDS = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Task:
    """One of the workers that train a model together."""

    index: int
    """Number of the worker, from 0; the first one is the chief, which writes the files."""
    count: int
    """Number of workers."""

    @property
    def is_chief(self):
        """Whether this process writes checkpoints, exports and evaluates."""
        return self.index == 0

    def __str__(self):
        return f"worker {self.index + 1} of {self.count}{', the chief' if self.is_chief else ''}"


def task_of_environment():
    """The task that `TF_CONFIG` names, or None if it is not set.

    Raises:
        UserError: It is no JSON, describes no cluster of workers, or names a task that the cluster does not have.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UserError(f"{VARIABLE}: not JSON: {error}; expected {_EXAMPLE}") from None
    cluster, task = (values.get(name) if isinstance(values, dict) else None for name in ("cluster", "task"))
    if not (isinstance(cluster, dict) and isinstance(task, dict) and all(map(_are_addresses, cluster.values()))):
        raise UserError(f"{VARIABLE}: expected {_EXAMPLE}, found {text[:200]}")
    others = sorted(set(cluster) - set(_KINDS))
    if others or not cluster:
        raise UserError(f"{VARIABLE}: expected a cluster of workers only, found {', '.join(others) or 'an empty one'}")
    names = [(kind, index) for kind in _KINDS for index in range(len(cluster.get(kind, ())))]
    name = task.get("type"), task.get("index")
    if name not in names:
        listed = ", ".join(f"{kind} {index}" for kind, index in names)
        raise UserError(f"{VARIABLE}: the cluster has no task {name[0]} {name[1]}; it has {listed}")
    return Task(names.index(name), len(names))


def _are_addresses(values):
    return isinstance(values, list) and len(values) > 0 and all(isinstance(value, str) for value in values)
