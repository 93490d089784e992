import os

import pytest

from pipelines.errors import UserError
from pipelines.processes import run_all


def count(first, last):
    yield from range(first, last)


def fail(place):
    yield 1
    if place == 1:
        raise UserError("`place` must not be 1")
    yield 2


def number_of_process():
    yield os.getpid()


@pytest.mark.parametrize("num_processes", [1, 2, None])
def test_every_task_is_done_to_its_end(num_processes):
    found = list(run_all(count, [(0, 3), (5, 5), (7, 9)], num_processes))
    assert sorted(found) == [(0, 0), (0, 1), (0, 2), (2, 7), (2, 8)]


def test_several_tasks_have_processes_of_their_own():
    numbers = {number for _, number in run_all(number_of_process, [(), ()], 2)}
    assert len(numbers | {os.getpid()}) == 3


@pytest.mark.parametrize("num_processes", [1, 2])
def test_the_mistake_of_a_task_is_raised(num_processes):
    with pytest.raises(UserError, match="`place` must not be 1"):
        list(run_all(fail, [(0,), (1,)], num_processes))
