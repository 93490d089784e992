import math

import pytest

from socialmd_tf.report import markdown_tables, number_format
from tests.socialmd_tf.report.report_examples import MOLECULES

RESULT = {
    "nll": 2.8379,
    "nll_standard_error": 0.0,
    "nll_per_move": math.nan,
    "mae": 1.0,
    "mae_standard_error": 0.01234,
    "median_ae": 1.0,
    "ade": math.sqrt(2),
    "fde": math.sqrt(2),
    "coverage_50": 0.0,
    "coverage_90": 1.0,
    "observables": {
        "speed": {"distance": 0.25},
        "radial_distribution": {"distance": math.nan},
        "mean_squared_displacement": {"distance": 1.0},
        "momentum_drift": {"rollout": 0.5, "truth": 0.001},
    },
    "strata": {
        "closest_approach": [
            {"from": 0.0, "to": 8.0, "count": 3, "mae": 0.5, "median_ae": 0.25, "nll": 1.0},
            {"from": 8.0, "to": None, "count": 0, "mae": math.nan, "median_ae": math.nan, "nll": math.nan},
        ],
        "crossing": [{"crossing": True, "count": 2, "mae": 2.0, "median_ae": 1.0, "nll": 0.0}],
    },
}


def cells(text):
    """Cells of the table's lines, header first, without the rule."""
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert set(lines[1]) <= set("|-: ")
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:1] + lines[2:]]


def test_a_line_for_every_predictor():
    found = cells(markdown_tables.predictors({"model": RESULT, "constant_position": RESULT}))
    assert [row[0] for row in found] == ["predictor", "model", "constant_position"]
    assert found[1][1:] == ["2.838 ± 0.000", "1.00 ± 0.01", "1.00", "1.41", "1.41", "0.0 %", "100.0 %"]


def test_small_errors_are_not_shown_as_zero_and_no_error_bar_stands_where_there_is_none():
    model, exact = {**RESULT, "mae": 0.0645}, {**RESULT, "mae": 2.34567e-5, "mae_standard_error": math.nan}
    assert [
        row[2] for row in cells(markdown_tables.predictors({"model": model, "exact": exact, "other": RESULT}))[1:]
    ] == [
        "0.0645 ± 0.0123",
        "0.000023",
        "1.0000 ± 0.0123",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (12.3456, "12.346"), (0.0016, "0.0016"), (-0.0016, "-0.0016"), (7.2e-7, "7.2e-07"), (None, "n/a")],
)
def test_at_least_two_significant_digits(value, text):
    assert number_format.number(value, 3) == text


def test_comparisons_have_signs():
    row = {
        "first": "a",
        "second": "b",
        "mae_difference": -0.5,
        "mae_interval": [-1.0, 0.0],
        "nll_difference": 2.0,
        "nll_interval": [1.0, 3.0],
    }
    assert cells(markdown_tables.comparisons([row]))[1] == [
        "a - b",
        "-0.500",
        "[-1.000, +0.000]",
        "+2.000",
        "[+1.000, +3.000]",
    ]


def test_strata_and_statistics_that_are_missing_are_dashes():
    assert cells(markdown_tables.strata({"model": RESULT}))[1:] == [
        ["0 to 8", "3", "0.50 / 0.25"],
        ["8 or more", "0", "-"],
        ["crossing", "2", "2.00 / 1.00"],
    ]
    assert cells(markdown_tables.observables({"model": RESULT}))[1] == [
        "model",
        "n/a",
        "0.250",
        "n/a",
        "1.00",
        "-",
        "5.00e-01 (1.00e-03)",
    ]


def test_statistics_of_molecules_have_a_line_for_means_and_one_for_drawn_paths():
    results = {"model": {"molecules": MOLECULES, "molecules_drawn": MOLECULES}, "constant_position": {}}
    assert cells(markdown_tables.molecules(results)) == [
        ["predictor", "mean distance of OQL from the centre", "solvent accessible surface area"],
        ["model", "0.25 ± 0.031 (10.0 %)", "27.5 (16.7 %)"],
        ["model, drawn", "0.25 ± 0.031 (10.0 %)", "27.5 (16.7 %)"],
    ]
    assert markdown_tables.molecules({"model": RESULT}) == ""
