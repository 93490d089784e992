"""The report as one HTML page that loads nothing else: tables, charts and a player of rollouts."""

import base64
import hashlib
from importlib import resources

from socialmd_tf.report import charts, ensemble_sections, html_header, html_sections, html_tables, html_windows
from socialmd_tf.report.html_tables import escaped
from socialmd_tf.report.packed import packed
from socialmd_tf.report.tables import tables

_SCRIPTS = ("unpack.js", "charts.js", "view.js", "player.js", "page.js")


def html(findings):
    """The whole page.

    The page makes no network request; its content security policy allows no scripts but its own.

    Args:
        findings: `Findings`; a section without content is left out.

    Returns:
        Text of `report.html`.
    """
    results, unit, examples = findings.results, findings.length_unit, findings.examples
    time = None if findings.time_between_steps is None else (findings.time_between_steps, findings.time_unit)
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
        ("forces", "Learned forces", html_sections.forces(findings)),
        ("steps", "Error per step", html_sections.steps(results, unit, time)),
        ("calibration", "Calibration", html_sections.calibration(results, time)),
        table("strata", html_sections.strata(results, unit)),
        table("statistics", html_sections.statistics(results, unit, time)),
        table("molecules", html_sections.molecules(results, unit, time)),
        *(() if findings.random else drawn),
        ("examples", "Example windows", html_windows.examples(examples, unit)),
    ]
    first = [
        ("summary", "Summary", _summary(findings, found["predictors"])),
        ("player", "Player of rollouts", html_windows.play(examples, unit, time)),
    ]
    title = f"{', '.join(findings.models)} on the {findings.split} split of {findings.data}"
    top = html_header.header(title, findings)
    return _page(title, top, *([each for each in parts if each[2]] for parts in (first, sections)))


def _summary(findings, predictors):
    """What the first screen has beside the player."""
    table, curves = html_header.summary(predictors), html_header.training(findings.about_models)
    return html_header.facts(findings) + table + curves


def _page(title, top, first, sections):
    own = "(() => {\n" + "\n".join(['"use strict";', *map(_resource, _SCRIPTS)]) + "})();"
    library = charts.library()
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (own, library)
    )
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {hashes}"
    contents = "".join(f'<li><a href="#{key}">{heading}</a></li>' for key, heading, _ in sections)
    screen, body = ("\n".join(map(_section, parts)) for parts in (first, sections))
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
</head>
<body>
<main>
{top}
<noscript><p class="note">The charts and the player need JavaScript; the tables do not.</p></noscript>
<p class="note" id="too-old" hidden>The charts and the player need a browser of 2023 or later; the tables do not.</p>
<div class="first">
{screen}
</div>
<nav aria-label="Contents"><ul>{contents}</ul></nav>
{body}
</main>
<script>{own}</script>
<script type="text/plain" id="library">{packed(library)}</script>
</body>
</html>
"""


def _section(section):
    key, heading, content = section
    return f'<section id="{key}">\n<h2>{heading}</h2>\n{content}\n</section>'


def _resource(name):
    return resources.files("socialmd_tf.report").joinpath(name).read_text(encoding="utf-8")
