"""Draws side by side: spare ones save the time of drawing again, and change nothing else."""

import dataclasses

import pytest

from pipelines.nbody.lanes import LANES_PER_GROUP, Lanes
from tests.pipelines.nbody.dense import DENSE

NUM_FRAMES = DENSE.num_steps // DENSE.save_every


def run(tasks, config=DENSE):
    """The accepted draws, the number of frames that the lanes were integrated for, and the draws refused at each."""
    lanes = Lanes(config, tasks, num_groups=1)
    accepted, redrawn = [], []
    for attempts in lanes.accepted():
        accepted += attempts
        redrawn.append(lanes.num_redrawn)
    return accepted, len(redrawn), redrawn


def test_the_draws_of_one_simulation_are_made_at_the_same_time():
    (attempt,), num_frames, _ = run([("train", 0)])
    assert 0 < attempt.number < LANES_PER_GROUP  # refused draws before it
    assert num_frames == NUM_FRAMES


@pytest.mark.slow
def test_spare_draws_are_not_counted_and_not_preferred():
    tasks = [("train", index) for index in range(LANES_PER_GROUP)]
    together, _, redrawn = run(tasks)
    alone = [run([task])[0][0] for task in tasks]
    found = {(attempt.task, attempt.number, attempt.energy_error) for attempt in together}
    assert found == {(attempt.task, attempt.number, attempt.energy_error) for attempt in alone}
    assert redrawn == sorted(redrawn)
    assert redrawn[-1] == sum(attempt.number for attempt in together)


def test_nothing_is_refused_where_all_energies_are_kept():
    accepted, num_frames, redrawn = run([("test", 0), ("test", 1)], dataclasses.replace(DENSE, max_energy_error=1e9))
    assert [attempt.number for attempt in accepted] == [0, 0]
    assert num_frames == NUM_FRAMES and redrawn[-1] == 0
