import os
import sys

import pytest

from pipelines.errors import UserError
from pipelines.workers import Workers, run_all
from tests.pipelines import units


def test_one_worker_does_the_units_here_in_order():
    seen = []
    results = list(run_all(units.count, [(0, 3), (5, 5)], Workers(), lambda *each: seen.append(each)))
    assert results == [3, 0] and seen == [(0, 0), (0, 1), (0, 2)]
    assert set(run_all(units.number_of_process, [()] * 2, Workers())) == {os.getpid()}
    assert list(run_all(units.count, [], Workers(2))) == []


def test_one_worker_needs_no_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert list(run_all(units.count, [(0, 3)], Workers())) == [3]
    with pytest.raises(UserError, match=r"^`workers` other than 1.* need Dask.* expected: pip install"):
        list(run_all(units.count, [(0, 3)], Workers(2)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workers": 0}, "`workers` must be at least 1"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "`workers` must be left out beside `--scheduler`"),
        (
            {"scheduler": "localhost:8786"},
            r"`scheduler` must be an address such as tcp://.* Received: 'localhost:8786'",
        ),
    ],
)
def test_refuses(values, message):
    with pytest.raises(UserError, match=message):
        Workers(**values)


@pytest.mark.slow
def test_several_workers_give_the_same_results_and_errors():
    tasks = [(0, 3), (5, 5), (7, 9)]
    assert list(run_all(units.count, tasks, Workers(2))) == [3, 0, 2]
    with pytest.raises(UserError, match="`place` must not be 1"):
        list(run_all(units.fail, [(0,), (1,)], Workers(2)))


@pytest.mark.slow
def test_two_clusters_run_at_the_same_time_without_a_warning():
    """Each keeps its workers until the process ends or a unit fails."""
    assert list(run_all(units.count, [(0, 3), (5, 5)], Workers(2))) == [3, 0]
    assert list(run_all(units.count, [(0, 3), (5, 5)], Workers(3))) == [3, 0]
    processes = set(run_all(units.number_of_process, [()] * 20, Workers(3)))
    with pytest.raises(UserError, match="`place` must not be 1"):
        list(run_all(units.fail, [(0,), (1,)], Workers(2)))
    assert set(run_all(units.number_of_process, [()] * 20, Workers(3))) & processes
