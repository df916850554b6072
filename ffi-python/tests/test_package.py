"""The package itself: stubs, examples, what is exported."""

import doctest
import inspect
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import tensoratom as ta

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


# A stub that says something else than the module is worse than none: editors believe it.
def test_the_stubs_are_those_of_the_module():
    done = subprocess.run([sys.executable, ROOT / "stubs.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there_and_documented():
    for name in ta.__all__:
        if name != "Key":
            assert getattr(ta, name).__doc__ if name != "__version__" else ta.__version__, name
    assert (Path(ta.__file__).parent / "py.typed").exists()
    defaults = lambda call: {name: parameter.default for name, parameter in inspect.signature(call).parameters.items()}
    assert defaults(ta.open) == defaults(ta.Store)


# The sample that type checkers read (`make python-types`) must be a program that works.
def test_the_typed_sample_runs(tmp_path):
    from typed import work

    assert work(tmp_path) > 0


# The first lines a newcomer copies must print what the page says they print.
def test_the_readme_session_prints_what_it_shows(tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink(model, "model.safetensors")
    readme = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    session = readme.split("```pycon\n")[1].split("```")[0]
    test = doctest.DocTestParser().get_doctest(session, {}, "README", "README.md", 0)
    said = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.attempted > 10 and result.failed == 0, "".join(said)
    assert (tmp_path / "same.safetensors").read_bytes() == model.read_bytes()


# Cells as plain Python: a notebook that needs more than the package would fail for its first reader.
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_examples_run_and_their_checks_hold(notebook, tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENSORATOM_MODEL", str(model))
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    names = {"__name__": "notebook"}
    for cell in cells:
        exec(compile(cell, notebook.name, "exec"), names)
    assert names["checked"] is True


def test_an_example_runs_in_a_real_kernel(tmp_path, model):
    from nbclient import NotebookClient

    os.environ["TENSORATOM_MODEL"] = str(model)
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    pictures = [o for c in notebook.cells for o in c.get("outputs", []) if "text/html" in o.get("data", {})]
    assert any("tensoratom store" in o["data"]["text/html"] for o in pictures)
