from socialmd_tf.report import ensemble_tables
from tests.socialmd_tf.report.ensemble_examples import ensembles
from tests.socialmd_tf.report.report_examples import bold, texts


def test_scores_are_ratios_to_the_re_runs_with_their_geometric_mean():
    table = ensemble_tables.scores(ensembles(), "nm")
    assert table.header == ["statistic", "ours", "constant_position"]
    assert texts(table) == [
        ("Mean distance of OQL from the centre", "1.06 ± 0.03", "5.00 ± 0.03"),
        ("Pair distances of OQL and ONC", "1.06 ± 0.03", "n/a"),
        ("Surface", "1.06 ± 0.03", "-"),
        ("Geometric mean", "1.06 (3 statistics)", "n/a (2 statistics)"),
    ]
    assert bold(table) == [(row[0], 0) for row in texts(table)[:3]]
    assert "64 drawn paths of 275 frames" in table.note and "16 re-runs begin there" in table.note
    assert "Left out: same_composition (there is none)." in table.note
    assert "1 is as good as running the simulation again" in table.note


def test_without_re_runs_scores_have_units():
    table = ensemble_tables.scores(ensembles(num_reruns=0), "nm")
    assert [row[0] for row in table.rows] == [
        "Mean distance of OQL from the centre (nm)",
        "Pair distances of OQL and ONC",
        "Surface (nm²)",
    ]
    assert texts(table)[0][1] == "0.125 ± 0.013" or texts(table)[0][1] == "0.125 ± 0.012"
    assert "running the simulation again" not in table.note and "no re-runs" in table.note


def test_calibration_is_that_of_models():
    table = ensemble_tables.calibration(ensembles(), ["ours", "silent"])
    assert table.header[1:] == ["ours, spread / skill", "ours, coverage 50 %", "ours, coverage 90 %"]
    assert texts(table)[0] == ("Mean distance of OQL from the centre", "0.88", "41.0 %", "86.0 %")
    assert len(texts(table)) == 4 and texts(table)[-1] == ("Mean", "0.75", "41.0 %", "87.0 %")
    assert ensemble_tables.calibration(ensembles(), ["silent"]) is None
