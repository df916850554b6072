"""Packages that users may or may not have: what works without them, and what is said where it does not."""

import subprocess
import sys

import pytest

PRELUDE = """
import sys
sys.modules[{package!r}] = None
import numpy as np, tensoratom as ta
store = ta.open({path!r}, durability="process")
store["m/x"] = np.arange(12, dtype="f4").reshape(4, 3)
atom = store.get("m/x")
def said(call):
    try:
        call()
    except ImportError as error:
        return error.name, str(error)
"""

# What each package is for, tried without it.
WITHOUT = {
    "pandas": """
found = store.matrix("m/x").search(np.ones(3, "f4"), 2)
for call in (store.to_pandas, found.to_pandas):
    assert said(call) == ("pandas", "to_pandas() needs pandas; install it: pip install pandas")
assert store.list()[0].key == "m/x" and len(found.ids) == 2
""",
    "matplotlib": """
assert said(store.plot) == ("matplotlib", "plot() needs matplotlib; install it: pip install matplotlib")
assert "<svg" in atom._repr_html_()
""",
    "torch": """
import tensoratom.safetensors as st, tensoratom.safetensors.torch as stt
stt.save_file({"x": np.ones(3)}, "x.safetensors")
refusal = ("torch", "torch() needs torch; install it: pip install torch")
assert said(atom.torch) == refusal
assert said(lambda: stt.load_file("x.safetensors", store=store)) == refusal
assert said(lambda: stt.load(st.save({"x": np.ones(3)}))) == refusal
assert st.load_file("x.safetensors", store=store)["x"].sum() == 3
""",
    "tqdm": """
import tensoratom.safetensors as st
st.save_file({"x": np.ones(3)}, "y.safetensors")
assert store.import_file("y.safetensors", "y/", progress=True)["atoms"] == 1
calls = []
store.verify(progress=lambda done, total: calls.append((done, total)))
assert calls
""",
    "IPython": """
assert "m/x" in store._repr_html_() and "f32" in atom._repr_html_()
assert "(" in store.matrix("m/x").search(np.ones(3, "f4"), 2)._repr_html_()
""",
    "safetensors": """
import tensoratom.safetensors as st
st.save_file({"x": np.ones(3)}, "z.safetensors", {"format": "np"})
with st.safe_open("z.safetensors", "np", store=store) as file:
    assert file.keys() == ["x"] and file.metadata() == {"format": "np"} and file.get_slice("x")[1:].sum() == 2
    try:
        file.get_tensor("nothing")
    except st.SafetensorError as error:
        assert "does not contain tensor nothing" in str(error)
    else:
        raise AssertionError("a tensor that is not there")
assert st.load(st.save({"x": np.ones(3)}))["x"].sum() == 3
""",
    "ml_dtypes": """
store.put("b", np.array([1.0, 2.5], "f4"), dtype="bf16")
assert store["b"].dtype == np.uint16 and store["b"].tolist() == [16256, 16416]
assert store.get("b").dtype == "bf16" and "raw as uint16 without ml_dtypes" in repr(store.get("b"))
assert ta.convert(store["b"], "f32", source="bf16").tolist() == [1.0, 2.5]
""",
}


# A package that somebody does not have shows as a traceback from deep inside, or worse, as integers that were floats.
@pytest.mark.parametrize("package", WITHOUT)
def test_without_a_package_all_else_works_and_what_needs_it_names_it(package, tmp_path):
    code = PRELUDE.format(package=package, path=str(tmp_path / "store")) + WITHOUT[package] + "print('done')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "done\n", done.stderr


# The package itself must come with NumPy alone: what it imports unasked, everybody would have to install.
def test_importing_the_package_loads_nothing_optional():
    code = f"import sys, tensoratom, tensoratom.safetensors.numpy as _; print(sorted({set(WITHOUT)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['safetensors']")  # only for the class of its errors, where it is installed
