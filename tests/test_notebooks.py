"""The notebooks of docs/notebooks run from beginning to end, and stay small."""

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
MISSING = [name for name in ("nbclient", "ipykernel", "ase", "xarray") if importlib.util.find_spec(name) is None]
needs_jupyter = pytest.mark.skipif(bool(MISSING), reason=f"needs the extras docs and dev: {', '.join(MISSING)} missing")
LARGEST = 150_000  # bytes, pictures included


@pytest.mark.docs
@needs_jupyter
@pytest.mark.filterwarnings("default")  # of the machinery of Jupyter
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebooks_run(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    program = _program()
    notebook = program.clean(program.execute(path, tmp_path))
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebooks_are_small_and_hold_nothing_of_a_machine(path):
    text = path.read_text()
    assert len(text) < LARGEST
    assert '"stderr"' not in text and "text/html" not in text and os.path.expanduser("~") + "/" not in text


def _program():
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "docs" / "site" / "run_notebooks.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program
