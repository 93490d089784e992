from socialmd_tf.report.markdown_page import markdown, render
from socialmd_tf.report.table import Cell, Table
from tests.socialmd_tf.report.report_examples import findings, full_result


def test_a_table_is_aligned_text():
    table = Table("title", ["name", "NLL"], [("a", [Cell("1.0", "± 0.1")]), ("longer", [Cell("2")])], "note")
    assert render(table).splitlines() == [
        "| name   | NLL       |",
        "| ---    | ---:      |",
        "| a      | 1.0 ± 0.1 |",
        "| longer | 2         |",
    ]


def test_a_name_ends_neither_its_cell_nor_its_line():
    table = Table("title", ["a|b", "x"], [("c|d\ne", [Cell("1")])], "note")
    header, _, row = render(table).splitlines()
    assert header.startswith("| a\\|b ") and row.startswith("| c\\|d e |")


def test_the_report_has_a_section_per_table_with_its_note():
    text = markdown(findings(left_out={"exact_integrator": "no forces", "strata": "no pairs", "other": "no pairs"}))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["## Predictors", "## Paired differences", "## Close encounters", "## Summary statistics"]
    assert text.count("\n\n| ") == 4
    first = text.splitlines()[0]
    for words in ("saved_models/ours/1", "test split of nbody", "80 windows", "30 frames after 5"):
        assert words in first
    assert first.endswith("Left out: exact_integrator (no forces); strata, other (no pairs).")


def test_the_numbers_of_the_report_are_those_of_the_findings():
    text = markdown(findings(results={"ours": full_result(fde=0.4321)}))
    row = next(line for line in text.splitlines() if line.startswith("| ours "))
    assert [cell.strip() for cell in row.split("|")][7] == "0.432"
