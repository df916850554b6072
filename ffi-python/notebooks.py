#!/usr/bin/env python3
"""Runs the notebooks of `examples/` in a real kernel and keeps what they show, for people who only read them.

`notebooks.py` with the Python the package is installed in; progress bars and the working directory are left out.
"""

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent


def main():
    os.environ.setdefault("TENSORATOM_MODEL", str(ROOT.parent / ".demo" / "model.safetensors"))
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
            text = nbformat.writes(notebook).replace(folder + "/", "")
        notebook = nbformat.reads(text, as_version=4)
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        nbformat.write(notebook, path)
        print(f"ran {path.name}")


if __name__ == "__main__":
    main()
