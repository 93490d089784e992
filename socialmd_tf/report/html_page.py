"""The report as one HTML page that loads nothing else: tables, charts and a player of rollouts."""

import base64
import hashlib
from importlib import resources

from socialmd_tf.report import charts, ensemble_sections, html_sections, html_tables
from socialmd_tf.report.html_tables import escaped
from socialmd_tf.report.tables import tables


def html(findings):
    """The whole page.

    The page makes no network request; its content security policy allows no scripts but its own.

    Args:
        findings: `Findings`; a section without content is left out.

    Returns:
        Text of `report.html`.
    """
    results, unit, examples = findings.results, findings.length_unit, findings.examples
    found = tables(findings)

    def table(key, figures=""):
        return (key, found[key].title, html_tables.render(found[key]) + figures) if key in found else (key, "", "")

    drawn = [
        table("ensembles", ensemble_sections.fans(findings)),
        table("ensemble_calibration", ensemble_sections.ranks(findings)),
    ]
    sections = [
        *(drawn if findings.random else ()),
        table("predictors"),
        table("comparisons"),
        ("steps", "Error per step", html_sections.steps(results, unit)),
        ("calibration", "Calibration", html_sections.calibration(results)),
        table("strata", html_sections.strata(results, unit)),
        table("statistics", html_sections.statistics(results, unit)),
        table("molecules", html_sections.molecules(results, unit)),
        *(() if findings.random else drawn),
        ("examples", "Example windows", html_sections.examples(examples, unit)),
        ("player", "Player of rollouts", html_sections.play(examples, unit)),
    ]
    title = f"{', '.join(findings.models)} on the {findings.split} split of {findings.data}"
    return _page(title, findings.description(), [section for section in sections if section[2]])


def _page(title, description, sections):
    scripts = [charts.library(), _resource("player.js")]
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {hashes}"
    contents = "".join(f'<li><a href="#{key}">{heading}</a></li>' for key, heading, _ in sections)
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
<p>{escaped(description)}</p>
<nav aria-label="Contents"><ul>{contents}</ul></nav>
{body}
</main>
{own}
</body>
</html>
"""


def _resource(name):
    return resources.files("socialmd_tf.report").joinpath(name).read_text(encoding="utf-8")
