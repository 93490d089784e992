import math

from socialmd_tf.report import tables
from tests.socialmd_tf.report.report_examples import COMPARISONS, MOLECULES, bold, findings, full_result, result, texts

MINUS = "\N{MINUS SIGN}"


def test_predictors_have_errors_and_coverage():
    table = tables.predictors({"a": full_result(), "b": full_result(mae=0.5, nll=-0.5, nll_per_move=None)}, "nm")
    assert table.header[:4] == ["predictor", "NLL (nats)", "NLL per mean move (nats)", "MAE (nm)"]
    first = ("a", "-1.250 ± 0.031", "0.750", "0.125 ± 0.004", "0.0625", "0.250", "0.500", "51.0 %", "87.0 %")
    assert texts(table)[0] == first
    assert texts(table)[1][:4] == ("b", "-0.500 ± 0.031", "n/a", "0.500 ± 0.004")
    assert [cell for cell in bold(table) if cell[1] in (0, 1, 2)] == [("a", 0), ("a", 1), ("a", 2)]


def test_small_errors_are_not_shown_as_zero_and_missing_ones_not_at_all():
    results = {
        "model": full_result(mae=0.0645, mae_standard_error=0.01234),
        "exact": full_result(mae=2.34567e-5, mae_standard_error=math.nan),
        "other": full_result(mae=1.0, mae_standard_error=1e-7),
    }
    assert [row[3] for row in texts(tables.predictors(results, "1"))] == [
        "0.0645 ± 0.0123",
        "2.35e-05",
        "1.0000 ± 1.00e-07",
    ]


def test_standard_errors_are_explained_where_there_are_some():
    alone = full_result(nll_standard_error=math.nan, mae_standard_error=math.nan)
    assert "standard error" in tables.predictors({"a": full_result()}, "nm").note
    assert "±" not in tables.predictors({"a": alone}, "nm").note


def test_a_dimensionless_unit_is_not_written():
    assert "MAE" in tables.predictors({"a": full_result()}, "1").header


def test_differences_have_signs_and_are_bold_if_the_interval_excludes_zero():
    table = tables.comparisons(COMPARISONS, "nm")
    assert texts(table) == [(f"ours {MINUS} theirs", "-0.0250 [-0.0350, -0.0150]", "+0.500 [-0.250, +1.250]")]
    assert bold(table) == [(f"ours {MINUS} theirs", 0)]
    assert "7 simulations" in table.note
    assert tables.comparisons([], "nm") is None


def test_one_simulation_has_no_interval():
    nan = [math.nan] * 2
    table = tables.comparisons(
        [{**COMPARISONS[0], "mae_interval": nan, "nll_interval": nan, "num_simulations": 1}], "1"
    )
    assert texts(table) == [(f"ours {MINUS} theirs", "-0.0250", "+0.500")]
    assert bold(table) == [] and "interval" not in table.note


def test_strata_have_a_row_each_unless_they_are_empty():
    few = full_result()
    few["strata"]["closest_approach"][1].update(count=0, mae=math.nan, median_ae=math.nan)
    table = tables.strata({"a": few, "b": result()}, "nm")  # b has no strata
    assert table.header == ["closest approach", "particles", "a"]
    assert texts(table) == [
        ("0 to 2", "12", "0.500 / 0.400"),
        ("crossing", "12", "0.500 / 0.400"),
        ("not crossing", "12", "0.500 / 0.400"),
    ]
    assert tables.strata({"a": result()}, "nm") is None


def test_statistics_stand_beside_the_truth():
    table = tables.statistics({"a": full_result()}, "nm")
    assert table.header[1:3] == ["moves (nm)", "pair distances (nm)"]
    assert texts(table) == [
        ("a", "0.0125", "0.0250", "0.375", "0.750", "0.750"),
        ("truth", "", "", "", "0.250", "0.250"),
    ]


def test_statistics_that_do_not_apply_have_no_column():
    lonely = full_result()
    for name in ("radial_distribution", "energy_drift"):
        del lonely["observables"][name]
    table = tables.statistics({"a": lonely}, "nm")
    assert table.header == ["predictor", "moves (nm)", "mean squared displacement", "momentum drift"]
    assert {len(cells) for _, cells in table.rows} == {3}


def test_strata_and_truth_that_say_nothing_have_no_row():
    still = full_result()
    still["strata"]["crossing"][0].update(count=0)
    for name in ("energy_drift", "momentum_drift"):
        del still["observables"][name]
    assert [name for name, *_ in texts(tables.strata({"a": still}, "nm"))] == ["0 to 2", "2 or more"]
    assert [name for name, *_ in texts(tables.statistics({"a": still}, "nm"))] == ["a"]


def test_molecules_have_a_row_for_means_and_one_for_drawn_paths():
    worse = {name: {**each, "error": 2 * each["error"]} for name, each in MOLECULES.items()}
    table = tables.molecules({"a": {"molecules": MOLECULES, "molecules_drawn": worse}, "b": {}}, "nm")
    titles = ["mean distance of OQL from the centre (nm)", "solvent accessible surface area (nm²)"]
    assert table.header == ["predictor", *titles]
    assert texts(table) == [
        ("a", "0.250 ± 0.031 (10.0 %)", "27.5 (16.7 %)"),
        ("a, drawn", "0.500 ± 0.031 (10.0 %)", "55.0 (16.7 %)"),
    ]
    assert bold(table) == [("a", 0), ("a", 1)]


def test_drawn_paths_follow_the_means():
    results = {"a": {"molecules": {"speed": 1}, "molecules_drawn": {"speed": 2}}, "b": {"molecules": {"speed": 3}}}
    assert list(tables.molecules_by_predictor(results)) == ["a", "a, drawn", "b"]
    assert tables.molecules_by_predictor({"a": {"mae": 1.0}}) == {}


def test_tables_without_content_are_left_out():
    assert list(tables.tables(findings())) == ["predictors", "comparisons", "strata", "statistics"]
    few = findings(results={"a": result()}, comparisons=[])
    assert list(tables.tables(few)) == ["predictors"]


def test_true_forces_are_said_to_be_no_baseline():
    results = {"a": full_result(), "exact_integrator": full_result()}
    assert "exact_integrator moves the particles by the true forces" in tables.predictors(results, "nm").note
    assert "exact_integrator" not in tables.predictors({"a": full_result()}, "nm").note
