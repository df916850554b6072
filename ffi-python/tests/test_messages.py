"""What errors say: to whoever writes Python, in words of Python."""

import re

import numpy as np
import pytest
import tensoratom as ta

from conftest import damage

X = np.arange(6, dtype="f4").reshape(2, 3)

# Each of these fails, in its own way.
MISTAKES = {
    "no such key": lambda store, path: store["nothing"],
    "no such past": lambda store, path: store.get("x", as_of=0),
    "no such namespace": lambda store, path: store.get("x", namespace="nobody"),
    "an empty key": lambda store, path: store.put("", X),
    "a long key": lambda store, path: store.put("k" * 2000, X),
    "a changed version": lambda store, path: store.put("x", X, if_version=999),
    "an existing key": lambda store, path: store.put("x", X, if_version=0),
    "a missing parent": lambda store, path: store.put("y", X, parents=["nothing"]),
    "metadata that is a list": lambda store, path: store.put("x", X, metadata=[1]),
    "an unknown dtype": lambda store, path: store.put("x", X, dtype="f12"),
    "objects": lambda store, path: store.put("x", np.array([object()])),
    "floats as integers": lambda store, path: store.writer("w", "i4", (-1, 3)).write(np.ones(3)),
    "rows outside": lambda store, path: store.get("x").rows(1, 9),
    "rows of a scalar": lambda store, path: store.get("scalar").rows(0, 1),
    "a shape with two open ends": lambda store, path: store.writer("w", "f4", (-1, -1)),
    "too few bytes": lambda store, path: store.writer("w", "f4", (2, 2)).close(),
    "damage": lambda store, path: (damage(store, "x"), store["x"]),
    "no SELECT": lambda store, path: store.query("DELETE FROM atoms"),
    "no such table": lambda store, path: store.query("SELECT * FROM nothing"),
    "too many rows": lambda store, path: store.query("SELECT 1 UNION SELECT 2", limit=1),
    "no such file": lambda store, path: store.import_file(path / "nothing.safetensors"),
    "no tensors": lambda store, path: store.import_file(bad(path)),
    "an unknown ending": lambda store, path: store.import_file(bad(path, "bad.bin")),
    "nothing to export": lambda store, path: store.export("nothing/", path / "out.safetensors"),
    "no such set": lambda store, path: store.vectors("nobody"),
    "another dimension": lambda store, path: store.vectors("v", 5),
    "an unknown metric": lambda store, path: store.vectors("w", 3, metric="taxi"),
    "a known id": lambda store, path: store.vectors("v").add([0], X[:1]),
    "an id twice": lambda store, path: store.vectors("v").add([7, 7], X),
    "queries of another dimension": lambda store, path: store.vectors("v").search(X[:, :2]),
    "no matrix": lambda store, path: store.matrix("scalar"),
    "lengths that differ": lambda store, path: ta.dot(X[0], X[0, :2]),
    "types without distances": lambda store, path: ta.dot(np.ones(3, "i8"), np.ones(3, "i8")),
    "NaN to quantise": lambda store, path: ta.quantize([1.0, np.nan]),
    "an unknown tier": lambda store, path: store.move_to_tier("", "lukewarm"),
    "an unknown policy": lambda store, path: setattr(store, "tier_policy", {"warm_day": 3}),
    "an impossible age": lambda store, path: store.gc(float("nan")),
    "no store": lambda store, path: ta.open(path / "nowhere", "r"),
    "other people's files": lambda store, path: ta.open(path),
    "an existing store": lambda store, path: ta.open(store.path, "x"),
    "an unknown mode": lambda store, path: ta.open(path / "new", "w"),
    "tiny segments": lambda store, path: ta.open(path / "new", segment_bytes=1),
    "a reader that writes": lambda store, path: ta.open(store.path, "r").put("x", X),
    "an ended transaction": lambda store, path: ended(store).put("x", X),
    "a closed store": lambda store, path: (store.close(), store["x"]),
}

# Paths, references, generics, wrapped values, names of the engine's own and of its numbers of commits.
RUST = re.compile(
    r"::|->|&|[{}]|\b(Some|None|Ok|Err|Box|Vec|Arc|Option|Options|Result|Store|String|Duration|struct|enum|impl|crate|unwrap|"
    r"usize|u64|u32|i64|lsn|[A-Z][a-z]+[A-Z]\w+)\b"
)
TYPES = re.compile(r"\b(f64|f32|f16|bf16|f8e4m3|f8e5m2|[iu](8|16|32|64)|b1)\b")  # the names that safetensors has for them


def bad(path, name="bad.safetensors"):
    (path / name).write_bytes(b"\xff" * 100)
    return path / name


def ended(store):
    with store.transaction() as tx:
        pass
    return tx


@pytest.fixture
def furnished(store):
    store["x"], store["scalar"] = X, np.array(1.0)
    store.vectors("v", 3).add([0, 1], X)
    return store


# Advice in the words of another language sends people to the documentation of another package.
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))
def test_errors_speak_to_people_who_write_python(furnished, tmp_path, mistake):
    with pytest.raises(Exception) as caught:
        mistake(furnished, tmp_path)
    text = str(caught.value)
    if isinstance(caught.value, ta.Error):
        assert caught.value.kind in ta._errors._CLASSES
        text += " " + (caught.value.advice or "")
    assert len(text) > 10 and not RUST.search(TYPES.sub("", text)), text
