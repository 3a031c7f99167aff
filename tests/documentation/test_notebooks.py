"""The notebooks run from the first cell to the last, with trainings of a few iterations."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ROOT, SHORT_DENSE

pytestmark = pytest.mark.slow

# What takes the place of the cell of parameters.
SHORT = {
    "own_images": f"DATA, WEIGHTS, ITERATIONS, OPTIONS = None, None, None, {SHORT_DENSE!r}",
    "three_papers": "from recseg_d2.data.sources.synthetic import Rosettes\n"
    "Rosettes('few_rosettes', num_images=8, first_seed=0).register()\n"
    "LENGTH_SCALE, DATASET, SEED = 0.001, 'few_rosettes', 5012",
}


@pytest.mark.parametrize("name", SHORT)
def test_the_notebook_runs(name, tmp_path, tool_env, monkeypatch):
    for module in ("nbclient", "ipykernel", "matplotlib"):
        pytest.importorskip(module, reason="notebooks need pip install 'recseg_d2[dev]'")
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", tool_env["PYTHONPATH"])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(ROOT / "docs" / "notebooks" / f"{name}.ipynb", as_version=4)
    (parameters,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    parameters.source = SHORT[name]
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 4


def test_every_notebook_is_run():
    there = {path.stem for path in Path(ROOT / "docs" / "notebooks").glob("*.ipynb")}
    assert there == set(SHORT)
