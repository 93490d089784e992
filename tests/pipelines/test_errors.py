import pytest

from pipelines.errors import UserError, require


def test_a_value_that_meets_its_rule_passes():
    require(True, "radius", "positive", 1.0)


def test_field_rule_and_value_are_stated():
    with pytest.raises(UserError) as error:
        require(False, "radius", "positive", -1.0)
    assert str(error.value) == "`radius` must be positive. Received: -1.0"


def test_long_values_are_shortened():
    with pytest.raises(UserError) as error:
        require(False, "radius", "positive", "x" * 10_000)
    assert len(str(error.value)) < 300 and str(error.value).endswith("xxx...")
