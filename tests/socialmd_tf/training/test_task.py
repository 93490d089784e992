import json

import pytest

from pipelines.errors import UserError
from socialmd_tf.training.task import Task, task_of_environment

ADDRESSES = ["10.0.0.1:5000", "10.0.0.2:5000"]


def config(kind="worker", index=0, **cluster):
    return json.dumps({"cluster": cluster or {"worker": ADDRESSES}, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("", None),
        (config(), Task(0, 2)),
        (config(index=1), Task(1, 2)),
        (config("chief", chief=ADDRESSES[:1], worker=ADDRESSES), Task(0, 3)),
        (config("worker", 1, chief=ADDRESSES[:1], worker=ADDRESSES), Task(2, 3)),
    ],
)
def test_the_first_task_is_the_chief(monkeypatch, text, task):
    monkeypatch.setenv("TF_CONFIG", text)
    found = task_of_environment()
    assert found == task
    assert task is None or found.is_chief == (task.index == 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"^TF_CONFIG: not JSON: Expecting .*; expected \{\"cluster\""),
        ("[]", r"^TF_CONFIG: expected \{.*, found \[\]$"),
        ('{"cluster": {"worker": "x"}, "task": {}}', "^TF_CONFIG: expected .*, found "),
        (config(index=2), "^TF_CONFIG: the cluster has no task worker 2; it has worker 0, worker 1$"),
        (config("chief"), "^TF_CONFIG: the cluster has no task chief 0; it has worker 0, worker 1$"),
        (config(ps=ADDRESSES), "^TF_CONFIG: expected a cluster of workers only, found ps$"),
    ],
)
def test_refuses(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message):
        task_of_environment()
