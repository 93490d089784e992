import dataclasses

import pytest

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from pipelines.nbody.records import Record, Summary


def test_a_record_survives_its_file(tmp_path):
    record = Record(3, 1e-9, 0.5)
    write_json(tmp_path / "record.json", dataclasses.asdict(record))
    assert Record.load(tmp_path / "record.json") == record


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"attempts": 1, "other": 2}'])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(UserError, match=r"record\.json: not the record of a simulation"):
        Record.load(tmp_path / "record.json")


def test_summary_says_what_redrawing_does_to_the_data(tmp_path):
    records = (Record(1, 1e-9, 0.5), Record(4, 3e-9, 0.25))
    summary = Summary(tmp_path, records, was_complete=False)
    assert summary.redrawn == 3
    lines = str(summary).splitlines()
    assert lines[0] == f"{tmp_path}: 2 simulations accepted, 3 draws redrawn"
    assert lines[1] == "max |E - E0| / K0: median 2.0e-09, 90 % quantile 2.8e-09, largest 3.0e-09"
    assert lines[2] == "closest approach in the stored frames: 0.250"
    assert "close encounters are under-represented" in lines[3]
    assert "under-represented" not in str(dataclasses.replace(summary, records=records[:1]))
