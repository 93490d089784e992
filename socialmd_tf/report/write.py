"""Write the findings of an evaluation into a directory."""

import os
from pathlib import Path

from pipelines.atomic_files import write_atomically, write_json, write_text
from pipelines.counts import counted
from pipelines.errors import UserError


def write(findings, output):
    """Write `metrics.json`, `report.md`, `report.html`, `paths.png` and, with ensembles, `fans.png`.

    Each file is written whole or not at all.

    Args:
        findings: `Findings`.
        output: The directory; created if missing.

    Raises:
        UserError: `output` cannot be a directory.
    """
    from socialmd_tf.report import ensemble_sections, html_page, markdown_page

    check_directory(output)
    output = Path(output)
    write_json(output / "metrics.json", findings.metrics())
    write_text(output / "report.md", markdown_page.markdown(findings))
    write_text(output / "report.html", html_page.html(findings))
    write_atomically(output / "paths.png", lambda file: _draw_paths(file, findings))
    if findings.ensembles is not None and findings.ensembles.fans:
        write_atomically(output / "fans.png", lambda file: ensemble_sections.picture(file, findings))


def check_directory(directory, name="output"):
    """Refuse an output directory that cannot be written, before hours of work; creates nothing.

    Args:
        directory: The directory.
        name: The flag that names it, for messages.

    Raises:
        UserError: A file stands where a directory is needed, or there is no permission to write.
    """
    for place in (Path(directory), *Path(directory).absolute().parents):
        if place.exists():
            if not place.is_dir():
                raise UserError(f"`{name}` must be a directory or inside one. Received: {directory}; {place} is a file")
            if not os.access(place, os.W_OK | os.X_OK):
                raise UserError(f"`{name}` must be writable. Received: {directory}; no permission to write to {place}")
            return


def _draw_paths(file, findings):
    """The picture of the window with the median error."""
    from socialmd_tf.report import plots

    window = next((each for each in findings.examples if each.label == "median"), findings.examples[0])
    plots.paths(
        file,
        window.warm_up,
        *window.predictions[findings.first_model],
        truth=window.truth,
        samples=window.samples.get(findings.first_model, ()),
        unit=findings.length_unit,
        box=window.box,
        title=f"{findings.data}: {counted(len(window.truth), 'frame')} predicted from {len(window.warm_up)}, "
        f"window with the median error (MAE {window.mae:.3g})",
    )
