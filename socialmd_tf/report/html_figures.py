"""A figure of the HTML report, and figures side by side."""

from socialmd_tf.report.html_tables import escaped


def row(pictures, note=""):
    """Figures side by side under a note; empty without figures."""
    if not any(pictures):
        return ""
    paragraph = f'<p class="note">{escaped(note)}</p>' if note else ""
    return f'{paragraph}<div class="row">' + "\n".join(pictures) + "</div>"


def figure(heading, content, kind="chart"):
    """A chart under its heading."""
    return f"<figure><figcaption>{escaped(heading)}</figcaption>{chart(content, heading, kind)}</figure>"


def chart(content, label, kind="chart"):
    """An element for a chart, followed by the data that `player.js` draws into it."""
    safe = content.replace("<", "\\u003c")
    return (
        f'<div class="{kind}" role="figure" aria-label="{escaped(label)}"></div>'
        f'<script type="application/json" class="figure">{safe}</script>'
    )
