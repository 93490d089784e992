import itertools

import numpy as np

from pipelines.boxes import half_height
from pipelines.molecules.periodic import gather_around_mean, make_whole
from tests.boxes import BOXES


@BOXES
def test_molecules_longer_than_half_the_box_become_whole(box):
    generator = np.random.default_rng(2)
    steps = generator.normal(size=(30, 3))
    steps *= 0.9 * half_height(box) / np.linalg.norm(steps, axis=1, keepdims=True)
    starts = np.array([0, 12, 13])
    whole = np.cumsum(steps, axis=0)
    wrapped = whole - np.floor(whole @ np.linalg.pinv(box)) @ box
    joined = make_whole(wrapped, starts, box)
    for start, stop in itertools.pairwise([*starts, 30]):
        np.testing.assert_allclose(np.diff(joined[start:stop], axis=0), steps[start + 1 : stop], atol=1e-9)
        np.testing.assert_allclose(joined[start], wrapped[start], atol=1e-12)


@BOXES
def test_a_cluster_is_gathered_wherever_the_box_cuts_it(box):
    generator = np.random.default_rng(3)
    cluster = generator.uniform(-1, 1, size=(50, 3))
    for offset in generator.uniform(-10, 10, size=(20, 3)):
        wrapped = cluster + offset - np.floor((cluster + offset) @ np.linalg.pinv(box)) @ box
        gathered = gather_around_mean(wrapped, box)
        np.testing.assert_allclose(gathered - gathered.mean(axis=0), cluster - cluster.mean(axis=0), atol=1e-9)
