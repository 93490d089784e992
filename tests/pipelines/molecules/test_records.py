import pytest

from pipelines.errors import UserError
from pipelines.molecules.prepare import prepare
from tests.pipelines.molecules.systems import (
    config_of,
)


def test_records_of_another_version_are_refused(system, tmp_path):
    path, _ = system
    prepare(config_of(path), tmp_path / "data", command="")
    record = tmp_path / "data" / "simulations" / "00000.json"
    for text in ('{"topology": "md.pdb"}', "[1]", "{", ""):
        record.write_text(text)
        with pytest.raises(UserError, match=f"{record}: not a record"):
            prepare(config_of(path), tmp_path / "data", command="")
