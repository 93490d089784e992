"""A table of the report, whatever it is rendered in."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    detail: str = ""
    """Uncertainty or another number that follows the text."""
    is_bold: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose first column holds the names of the rows."""

    title: str
    header: list[str]
    rows: list[tuple[str, list[Cell]]]
    note: str
    """Explanation below the table."""
    bold: str = ""
    """Meaning of bold cells."""
