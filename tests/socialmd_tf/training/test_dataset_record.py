import dataclasses
import json
import os

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.training.dataset_record import dataset_change, dataset_record, read_record


def record(directory, known=None):
    return json.loads(json.dumps(dataset_record(directory, Manifest.load(directory), known)))


def test_a_record_of_the_same_content_is_equal_whenever_it_was_written(mixed_data):
    before = record(mixed_data)
    for file in before["files"]:
        os.utime(mixed_data / file, ns=(1, 1))
    assert dataset_change(before, record(mixed_data, before)) is None


def test_one_changed_number_is_a_change(mixed_data):
    before = record(mixed_data)
    path = mixed_data / "validation" / "00000.npy"
    frames = np.load(path)
    frames[3, 1, 0] += 1
    np.save(path, frames)
    assert dataset_change(before, record(mixed_data, before)) == "validation/00000.npy has changed"


def test_name_and_provenance_are_no_data(mixed_data):
    before = record(mixed_data)
    manifest = dataclasses.replace(Manifest.load(mixed_data), name="other", provenance={})
    assert dataset_change(before, dataset_record(mixed_data, manifest)) is None
    assert "`length_unit`" in dataset_change(
        before, dataset_record(mixed_data, dataclasses.replace(manifest, length_unit="nm"))
    )


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"manifest": {}, "files": []}', '{"manifest": {}, "files": {"a": {}}}']
)
def test_damaged_records_are_refused(tmp_path, content):
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(UserError, match=r"data\.json"):
        read_record(tmp_path / "data.json")
