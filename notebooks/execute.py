"""Run notebooks from their beginning and store what they show: ``python notebooks/execute.py [NOTEBOOK ...]``."""

import base64
import io
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent


def execute(path: Path) -> nbformat.NotebookNode:
    """A notebook with new outputs and without what changes from run to run; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, record_timing=False, resources={"metadata": {"path": str(HERE)}}).execute()
    notebook.metadata = {name: notebook.metadata[name] for name in ("kernelspec", "language_info")}
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = _tidy(cell.outputs)
    return notebook


def _tidy(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Without progress bars that ended, with lines printed one after the other in one piece, and with small plots."""
    found: list[nbformat.NotebookNode] = []
    for one in outputs:
        if plot := one.get("data", {}).get("image/png"):
            one.data["image/png"] = _smaller(plot)
        if found and one.output_type == found[-1].output_type == "stream" and one.name == found[-1].name:
            found[-1].text += one.text
        elif one.get("data", {}).get("text/html") != "":
            found.append(one)
    return found


def _smaller(png: str) -> str:
    """A plot, in base64, with as many colours as a plot needs."""
    small = io.BytesIO()
    plot = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    plot.quantize(256, Image.Quantize.MAXCOVERAGE).save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode("ascii")


def main(names: list[str]) -> None:
    for path in [Path(name) for name in names] or sorted(HERE.glob("*.ipynb")):
        started = time.monotonic()
        nbformat.write(execute(path), path)
        print(f"{path.name}: {time.monotonic() - started:.0f} s, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
