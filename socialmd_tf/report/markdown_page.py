"""The report as Markdown that also reads as plain text."""

from socialmd_tf.report.tables import tables


def markdown(findings):
    """The whole report.

    Args:
        findings: `Findings`.

    Returns:
        Text of `report.md`.
    """
    sections = [f"## {table.title}\n\n{render(table)}\n\n{table.note}\n" for table in tables(findings).values()]
    return "\n".join([f"{findings.description()}\n", *sections])


def render(table):
    """A `Table` in Markdown."""
    rows = [tuple(map(_escaped, table.header)), ("---",) + ("---:",) * (len(table.header) - 1)]
    rows += [(_escaped(name), *(f"{cell.text} {cell.detail}".strip() for cell in cells)) for name, cells in table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )


def _escaped(name):
    """A name that ends neither its cell nor its line."""
    return " ".join(name.split()).replace("|", "\\|")
