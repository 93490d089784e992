"""Damaged inputs, from fixed seeds: each is refused with a `UserError` of one line, or accepted and handled right."""

import json
import random
import re

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.dataset import open_split
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.npy_files import open_trajectory
from pipelines.resolution import resolution_warnings
from pipelines.validation import check
from socialmd_tf.config import TrainConfig, from_dict, load_json, to_dict

SEEDS = range(50)
WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3)
HEADER_BYTES = 128
VALUES = ["0", "-1", "3", "0.5", "1e-30", "1e30", "1e400", "NaN", "-Infinity", "9" * 40, "9" * 5000, "null", "true"]
VALUES += ['"text"', '""', '"\\ud800"', "[]", "{}", "[[1]]", '{"a": 1}', '["a", 1]']


def flip_bytes(content, rng, end=None):
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        content[rng.randrange(end or len(content))] = rng.randrange(256)
    return bytes(content)


def truncate(content, rng):
    return content[: rng.randrange(len(content))]


def drop_a_line(content, rng):
    lines = content.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def repeat_a_line(content, rng):
    lines = content.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    return b"".join([*lines[:place], lines[place], *lines[place:]])


def replace_a_value(content, rng):
    """Another JSON value where there is a number or a text."""
    values = list(re.finditer(rb'(?<=[ \[])("[^"\n]*"|-?[0-9][0-9.e+-]*)(?=[,\n\]])', content))
    start, end = rng.choice(values).span()
    return content[:start] + rng.choice(VALUES).encode() + content[end:]


def damaged_json(content, seed):
    rng = random.Random(seed)
    mutations = [flip_bytes, truncate, drop_a_line, repeat_a_line, replace_a_value, replace_a_value, replace_a_value]
    return rng.choice(mutations)(content, rng)


def replace_a_number_of_the_header(content, rng):
    numbers = list(re.finditer(rb"\d+", content[:HEADER_BYTES]))
    start, end = rng.choice(numbers).span()
    return content[:start] + str(rng.choice([0, 1, 2, 3, 7, 39, 41, 2**40])).encode() + content[end:]


def damaged_array(content, seed):
    rng = random.Random(seed)
    mutations = [
        lambda content, rng: flip_bytes(content, rng, HEADER_BYTES),
        replace_a_number_of_the_header,
        flip_bytes,
        truncate,
        lambda content, rng: content + bytes(rng.randrange(1, 100)),
    ]
    return rng.choice(mutations)(content, rng)


def accepted(call):
    """The result of a call, or None if it refuses its input in one line."""
    try:
        return call()
    except UserError as error:
        assert str(error) and "\n" not in str(error)
        return None


@pytest.fixture
def directory(write_dataset, random_trajectory):
    return write_dataset({"train": [random_trajectory()], "test": [random_trajectory(seed=1)]})


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_manifests(directory, seed):
    path = directory / "dataset.json"
    fields = json.loads(path.read_text())
    fields |= {"time_unit": "ps", "group": {"train/00000.npy": "run 1"}}
    path.write_bytes(damaged_json(json.dumps(fields, indent=2).encode(), seed))
    manifest = accepted(lambda: Manifest.load(directory))
    if manifest is None:
        return
    manifest.save(directory / "again")
    assert Manifest.load(directory / "again") == manifest
    for split in manifest.splits:
        if accepted(lambda split=split: check(directory, splits=[split]) or True):
            accepted(lambda split=split: open_split(manifest, directory, split, WINDOWS))
            accepted(lambda split=split: resolution_warnings(directory, [split], WINDOWS))


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_arrays(directory, seed):
    path = directory / "train/00000.npy"
    content = damaged_array(path.read_bytes(), seed)
    path.write_bytes(content)
    if accepted(lambda: check(directory) or True) is None:
        return
    found = open_trajectory(path, 3)
    assert found.shape == (40, 3, 3)
    np.testing.assert_array_equal(found.ravel("K"), np.frombuffer(content, found.dtype, offset=HEADER_BYTES))
    assert np.isfinite(found).all()
    accepted(lambda: resolution_warnings(directory, ["train"], WINDOWS))


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_configurations(tmp_path, seed):
    path = tmp_path / "config.json"
    path.write_bytes(damaged_json(json.dumps(to_dict(TrainConfig()), indent=2).encode(), seed))
    config = accepted(lambda: from_dict(TrainConfig, load_json(path)))
    if config is not None:
        assert from_dict(TrainConfig, json.loads(json.dumps(to_dict(config)))) == config
