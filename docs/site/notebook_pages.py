"""Notebooks as pages of the site: their cells and outputs as Markdown, with a link to the notebook itself."""

import nbformat
from nbconvert import MarkdownExporter


def page(path):
    """The files that show a notebook.

    Args:
        path: The notebook, `NAME.ipynb`.

    Returns:
        Name -> content: `NAME.md`, and its pictures.
    """
    notebook = nbformat.read(path, as_version=4)
    exporter = MarkdownExporter()
    text, resources = exporter.from_notebook_node(notebook, {"unique_key": path.stem, "output_files_dir": path.stem})
    heading, _, rest = text.lstrip().partition("\n")
    note = f"\n[Download this notebook]({path.name})\n"
    return {f"{path.stem}.md": f"{heading}\n{note}{rest}", **resources["outputs"]}
