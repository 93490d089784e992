"""A `Table` of the report as HTML."""

import html


def escaped(value):
    """Text as HTML."""
    return html.escape(str(value))


def render(table):
    """A `Table` with its note; a wide table scrolls by itself."""
    head = "".join(f'<th scope="col">{_unbroken(name)}</th>' for name in table.header)
    body = "".join(_row(name, cells) for name, cells in table.rows)
    note = table.note + (f" Bold: {table.bold}." if table.bold else "")
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="table: {escaped(table.title)}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
        f'<p class="note">{_unbroken(note)}</p>'
    )


def _row(name, cells):
    values = "".join(f"<td{_class(cell)}>{_minus(cell.text)}{_detail(cell.detail)}</td>" for cell in cells)
    broken = escaped(name).replace("_", "_<wbr>")  # where a narrow screen breaks it
    return f'<tr><th scope="row" title="{escaped(name)}">{broken}</th>{values}</tr>\n'


def _unbroken(text):
    """Text whose percent signs stay with their numbers."""
    return escaped(text).replace(" %", "\N{NO-BREAK SPACE}%")


def _class(cell):
    return ' class="best"' if cell.is_bold else ""


def _detail(text):
    return f" <small>{_minus(text)}</small>" if text else ""


def _minus(text):
    """Numbers with a real minus sign."""
    return escaped(text).replace("-", "\N{MINUS SIGN}")
