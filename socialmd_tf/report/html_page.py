"""The report of an evaluation as one HTML page that needs nothing else: tables, charts and a player of rollouts."""

import base64
import hashlib
from importlib import resources

from pipelines.atomic_files import write_text
from socialmd_tf.report import charts, html_sections, html_tables
from socialmd_tf.report.html_tables import escaped


def write(path, *, title, introduction, results, comparisons=(), shown=(), unit="1"):
    """Write the page, whole or not at all.

    The page asks nothing of any network; its content security policy lets no script run but its own.

    Args:
        path: The file.
        title: Its title.
        introduction: Data, split and windows in words; blank lines part paragraphs.
        results: Dictionary of name -> what `evaluation.evaluate` returns; the first is the model in question. A
            section is left out where no predictor has what it shows.
        comparisons: What `comparison.compare` returns.
        shown: `ShownWindow`s for the pictures and the player.
        unit: Name of the unit of length; "1" for none.
    """
    sections = [
        section
        for section in (
            ("predictors", "Predictors", html_tables.predictors(results, unit)),
            ("comparisons", "Paired comparisons", html_tables.compared(comparisons, unit)),
            ("steps", "Error from step to step", html_sections.steps(results, unit)),
            ("calibration", "Is the stated uncertainty true?", html_sections.calibration(results)),
            ("strata", "For which particles?", html_sections.strata(results, unit)),
            ("observables", "Do summary statistics hold?", html_sections.observables(results, unit)),
            ("molecules", "Do the molecules' statistics hold?", html_sections.molecules(results, unit)),
            ("paths", "Paths over the predicted density", html_sections.paths(shown, unit)),
            ("player", "Player of rollouts", html_sections.play(shown, unit)),
        )
        if section[2]
    ]
    write_text(path, _page(title, introduction, sections))


def _page(title, introduction, sections):
    scripts = [charts.library(), _resource("player.js")]
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {hashes}"
    contents = "".join(f'<li><a href="#{key}">{heading}</a></li>' for key, heading, _ in sections)
    paragraphs = "".join(f"<p>{escaped(part)}</p>\n" for part in introduction.split("\n\n") if part.strip())
    body = "\n".join(
        f'<section id="{key}">\n<h2>{heading}</h2>\n{content}\n</section>' for key, heading, content in sections
    )
    library, own = (f"<script>{text}</script>" for text in scripts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)}</title>
<link rel="icon" href="data:,">
<style>
{_resource("html_page.css")}</style>
{library}
</head>
<body>
<main>
<h1>{escaped(title)}</h1>
{paragraphs}<nav aria-label="Contents"><ul>{contents}</ul></nav>
{body}
</main>
{own}
</body>
</html>
"""


def _resource(name):
    return resources.files("socialmd_tf.report").joinpath(name).read_text(encoding="utf-8")
