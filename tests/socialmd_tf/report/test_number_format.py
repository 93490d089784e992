import pytest

from socialmd_tf.report import number_format


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (12.3456, "12.346"),
        (0.0016, "0.00160"),
        (-0.0016, "-0.00160"),
        (7.2e-7, "7.20e-07"),
        (8299796935812.7, "8.30e+12"),
        (None, "n/a"),
    ],
)
def test_at_least_three_significant_digits(value, text):
    assert number_format.number(value, 3) == text


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([0.0133, 0.204, 0.38], 3), ([1234.0], 0), ([0.00133], 5), ([1e-9, 2e-9], 5), ([0.0, None, float("nan")], 2)],
)
def test_decimals_show_three_digits_of_the_median(values, decimals):
    assert number_format.decimals_for(values) == decimals


def test_an_error_has_the_decimals_of_its_number():
    assert number_format.with_error(1.0, 0.01234, 2) == "1.00 ± 0.01"
    assert number_format.with_error(1.0, 0.0, 3) == "1.000 ± 0.000"
    assert number_format.with_error(1.3e-7, 1.6e-8, 5) == "1.30e-07 ± 1.60e-08"
    assert number_format.with_error(2.0, float("nan"), 2) == "2.00"


def test_percent_and_units():
    assert number_format.percent(0.5123) == "51.2 %"
    assert number_format.percent(None) == "n/a"
    assert number_format.with_unit("MAE", "nm") == "MAE (nm)"
    assert number_format.with_unit("MAE", "1") == "MAE"
    assert [number_format.power_of_unit("nm", power) for power in (0, 1, 2, -3)] == ["1", "nm", "nm²", "nm⁻³"]
    assert number_format.power_of_unit("1", 2) == "1"
