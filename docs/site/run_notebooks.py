"""Run the notebooks of docs/notebooks and keep what they show.

    python docs/site/run_notebooks.py

Outputs that tell more of a machine than of the example are left out: messages on stderr, HTML, temporary directories.
"""

import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
_SECONDS_PER_CELL = 1800


def main():
    """Run all notebooks, one after the other."""
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as directory:
            notebook = clean(execute(path, Path(directory)))
        nbformat.write(notebook, path)
        print(f"ran {path.relative_to(ROOT)}")


def execute(path, directory):
    """Run a notebook in an empty directory, to which the shipped model is linked.

    Args:
        path: The notebook.
        directory: Where its kernel starts.

    Returns:
        The notebook with its outputs.

    Raises:
        CellExecutionError: A cell fails.
    """
    (directory / "saved_models").mkdir()
    (directory / "saved_models" / "nbody").symlink_to(ROOT / "saved_models" / "nbody")
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(directory)}}
    return NotebookClient(notebook, timeout=_SECONDS_PER_CELL, resources=place).execute()


def clean(notebook):
    """The notebook without outputs that depend on the machine."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            shown = [output for output in cell.outputs if output.get("name") != "stderr"]
            cell.outputs = [_clean_output(output) for output in shown]
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    return notebook


def _clean_output(output):
    if output.output_type == "stream":
        output.text = re.sub(rf"{re.escape(tempfile.gettempdir())}/\w+/", "", output.text)
    else:
        output.data.pop("text/html", None)
        if "image/png" in output.data:
            output.data.pop("text/plain", None)
    return output


if __name__ == "__main__":
    main()
