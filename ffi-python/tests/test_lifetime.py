"""Views outlive whatever they came from."""

import gc
import pickle

import numpy as np
import pytest
import tensoratom as ta

from conftest import damage, from_dlpack


# A mapping that goes away under a live view is a segmentation fault in somebody's notebook.
def test_a_view_outlives_its_key_its_store_and_its_atom(path):
    store = ta.open(path)
    store["x"] = np.arange(100_000, dtype="f4")
    atom = store.get("x")
    views = [store["x"], np.asarray(atom), from_dlpack(atom), np.frombuffer(memoryview(atom), "f4"), atom.rows(0, 10)]
    parts = [view[5:9] for view in views]
    del store["x"], atom, views
    store.close()
    del store
    gc.collect()
    with ta.open(path) as store:
        store["x"] = np.zeros(100_000, "f4")
    for part in parts:
        assert part.tolist() == [5, 6, 7, 8]


def test_an_atom_reads_on_after_its_store_is_closed(path):
    store = ta.open(path)
    store["x"] = np.arange(10.0)
    atom = store.get("x")
    store.close()
    store.close()
    assert atom.numpy()[9] == 9
    for use in (lambda: store["x"], lambda: store.put("x", [1.0]), store.transaction, store.stat, lambda: store.version):
        with pytest.raises(ta.ClosedError):
            use()


def test_the_directory_can_be_deleted_under_a_view(path):
    import shutil

    store = ta.open(path)
    store["x"] = np.arange(10.0)
    view = store["x"]
    store.close()
    shutil.rmtree(path)
    assert view.sum() == 45


def test_damage_is_named_and_everything_else_is_served(path):
    with ta.open(path) as store:
        store["bad"], store["good"] = np.arange(1000.0), np.ones(1000)
        damage(store, "bad", 12)
        with pytest.raises(ta.CorruptError, match="bad") as caught:
            store["bad"]
        error = caught.value
        assert (error.key, error.kind, error.segment) == ("bad", "Corrupt", 1) and error.advice
        assert store["good"].sum() == 1000
        report = store.verify()
        assert [found["key"] for found in report["damaged"]] == ["bad"] and not report["is_sound"]


def test_positioned_reads_copy_and_give_the_same(path):
    with ta.open(path) as store:
        store["x"] = np.arange(10.0)
    with ta.open(path, "r", read_mode="positioned") as store:
        assert not store["x"].base.is_mapped and store["x"].sum() == 45
        assert not store["x"].flags.writeable


def errors():
    from tensoratom import _errors

    kinds = [name for name in _errors._CLASSES]
    return [_errors.make(kind, "what", "key", 1, 2, "path", "advice", 5 if kind == "Io" else None) for kind in kinds]


# Workers hand their exceptions to the parent by pickling them; one that cannot be hides what happened.
@pytest.mark.parametrize("error", errors(), ids=lambda error: error.kind)
def test_errors_pickle_with_everything_they_know(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and isinstance(again, ta.Error)
    assert (str(again), vars(again)) == (str(error), vars(error)) and str(error) == "what"


def test_errors_are_pythons_own_where_one_means_the_same(path):
    with pytest.raises(FileNotFoundError):
        ta.open(path, "r")
    with pytest.raises(FileNotFoundError):
        ta.open(path, create=False)
    ta.open(path, "x").close()
    with pytest.raises(FileExistsError):
        ta.open(path, "x")
    with ta.open(path, "r") as store, pytest.raises(PermissionError):
        store["x"] = [1.0]
    for wrong in ({"mode": "w"}, {"durability": "none"}, {"segment_bytes": 1}, {"lock_timeout": -1.0}):
        with pytest.raises(ValueError):
            ta.open(path, **wrong)
    with ta.open(path) as store, pytest.raises(OSError) as caught:
        store.import_file(path / "missing.safetensors")
    assert caught.value.errno == 2 and caught.value.path.endswith("missing.safetensors")


def test_every_kind_of_the_engine_has_a_class():
    from pathlib import Path

    from tensoratom import _errors

    text = (Path(__file__).resolve().parents[2] / "engine" / "src" / "error.rs").read_text()
    body = text.split("error_kinds! {")[1].split("\n}\n")[0]
    kinds = {line.split("=")[0].strip() for line in body.splitlines() if line.strip().endswith(",") and "=" in line}
    assert kinds and kinds == set(_errors._CLASSES)
