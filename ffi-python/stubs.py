#!/usr/bin/env python3
"""Writes `_native.pyi`, the types of the native module, from the compiled module's own signatures and documentation.

`stubs.py` writes the file, `stubs.py --check` compares it. A function without a type for one of its parameters or its
result is an error: types are listed here, by parameter name and by function, because the module does not know them.
"""

import inspect
import re
import sys
from pathlib import Path

from tensoratom import _native

TARGET = Path(__file__).resolve().parent / "python" / "tensoratom" / "_native.pyi"

PARAMETERS = {
    **dict.fromkeys(["a", "b", "array", "value", "values", "codes", "queries", "ids"], "ArrayLike"),
    **dict.fromkeys(["filter", "exclude"], "ArrayLike | None"),
    **dict.fromkeys(["key", "source", "target"], "Key"),
    **dict.fromkeys(["metadata"], "dict[str, Any] | None"),
    **dict.fromkeys(["namespace"], "str | None"),
    **dict.fromkeys(["prefix", "sql", "name", "dtype", "metric", "mode", "durability", "read_mode", "to"], "str"),
    **dict.fromkeys(["if_version", "dim", "segment_bytes", "chunk_bytes", "cache_bytes", "hot_bytes"], "int | None"),
    **dict.fromkeys(["k", "start", "stop", "threads", "id", "limit", "block", "budget"], "int"),
    **dict.fromkeys(["create", "companion", "affine", "saturate"], "bool"),
    **dict.fromkeys(["lock_timeout", "distance_max", "keep_history"], "float | None"),
    **dict.fromkeys(["exact", "dry_run", "rebuild_catalog", "without_cold"], "bool"),
    "dead_share": "float",
    "tier": "str",
    "plan": "dict[str, Any] | None",
    "progress": "bool | Callable[[int, int], Any] | None",
    **dict.fromkeys(["path", "directory"], "str | os.PathLike[str]"),
    "cold_directory": "str | os.PathLike[str] | None",
    "as_of": "int | float | datetime.datetime | None",
    "parents": "list[Key] | None",
    "shape": "Sequence[int]",
    "scale": "list[float]",
    "zero_point": "list[int]",
    "tensors": "list[tuple[str, ArrayLike]]",
    "data": "bytes",
    "kind": "type[BaseException] | None",
    "traceback": "Any",
    "stream": "Any",
    "max_version": "tuple[int, int] | None",
    "dl_device": "tuple[int, int] | None",
    **dict.fromkeys(["copy", "deltas"], "bool | None"),
    "base": "str | None",
}
EXCEPTIONS = {
    "AtomCore.__new__.source": "AtomCore",
    "Writer.write.block": "ArrayLike",
    "Transaction.__exit__.value": "BaseException | None",
    "Writer.__exit__.value": "BaseException | None",
    "convert_into.source": "str | None",
    "write_safetensors.metadata": "dict[str, str] | None",
    "serialize_safetensors.metadata": "dict[str, str] | None",
    "Transaction.put.dtype": "str | None",
    "StoreCore.put.dtype": "str | None",
    "StoreCore.verify.prefix": "str | None",
    "StoreCore.pin.prefix": "Key",
    "StoreCore.unpin.prefix": "Key",
    "VectorSet.search.metric": "str | None",
    "Matrix.search.metric": "str | None",
    "StoreCore.list.limit": "int | None",
    "Snapshot.list.limit": "int | None",
}
GETTERS = {
    **dict.fromkeys(["nbytes", "version", "dim"], "int"),
    **dict.fromkeys(["dtype", "digest", "mode", "uuid", "name", "metric"], "str"),
    **dict.fromkeys(["is_mapped", "closed"], "bool"),
    "key": "Key",
    "shape": "tuple[int, ...]",
    "metadata": "dict[str, Any] | None",
    "created": "float",
    "tier": "str | None",
    "tier_policy": "dict[str, Any]",
    "encoding": "dict[str, Any]",
    "info": "AtomInfo",
    "path": "Path",
}
RESULTS = {
    **dict.fromkeys(["__getitem__", "numpy", "rows", "dequantize"], "NDArray[Any]"),
    **dict.fromkeys(["cdist", "topk_indices", "dequantize_blocks", "convert_into"], "NDArray[Any]"),
    **dict.fromkeys(["dot", "cosine", "sqeuclidean", "euclidean", "hamming", "jaccard"], "float"),
    **dict.fromkeys(["__setitem__", "__delitem__", "close", "abort", "rename", "set_metadata", "write"], "None"),
    **dict.fromkeys(["add", "upsert", "write_safetensors"], "None"),
    **dict.fromkeys(["__len__", "compact", "commit"], "int"),
    **dict.fromkeys(["__contains__", "__exit__", "pin", "unpin"], "bool"),
    **dict.fromkeys(["import_file", "export", "stat", "verify", "info", "plan", "apply", "move_to_tier", "gc"], "dict[str, Any]"),
    **dict.fromkeys(["repair", "set_cold_directory"], "dict[str, Any]"),
    "decode_cache": "dict[str, int]",
    "set_decode_cache_bytes": "None",
    **dict.fromkeys(["__repr__", "instruction_set"], "str"),
    "__enter__": "Self",
    "__iter__": "Iterator[Key]",
    "keys": "list[Key]",
    "list": "list[AtomInfo]",
    "namespaces": "list[str]",
    "query": "list[dict[str, Any]]",
    "search": "Neighbors",
    "__dlpack__": "Any",
    "__dlpack_device__": "tuple[int, int]",
    "dtype_of": "str | None",
    "from_dlpack": "tuple[NDArray[Any], str]",
    "serialize_safetensors": "bytes",
    "safetensors_layout": "list[tuple[str, str, list[int], int, int]]",
    "quantize_blocks": "tuple[NDArray[Any], NDArray[Any], NDArray[Any]]",
    "StoreCore.get": "Atom",
    "Snapshot.get": "Atom",
    "VectorSet.get": "list[NDArray[Any] | None]",
    "StoreCore.put": "int",
    "Transaction.put": "None",
    "StoreCore.delete": "bool",
    "Transaction.delete": "bool",
    "VectorSet.delete": "int",
    "Writer.close": "int",
    "transaction": "Transaction",
    "writer": "Writer",
    "snapshot": "Snapshot",
    "vectors": "VectorSet",
    "matrix": "Matrix",
}
# Special methods whose parameters the interpreter hides.
SPECIAL = {
    "__getitem__": "(self, key: Key)",
    "__setitem__": "(self, key: Key, value: ArrayLike)",
    "__delitem__": "(self, key: Key)",
    "__contains__": "(self, key: Key)",
    "__len__": "(self)",
    "__iter__": "(self)",
    "__repr__": "(self)",
}
HEADER = '''"""Types of the native module; written by stubs.py from the module itself."""

from __future__ import annotations

import builtins
import datetime
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from ._atom import Atom
from ._dtypes import Key
from ._search import Neighbors

__version__: str
'''


def documentation(thing, indent):
    text = inspect.getdoc(thing)
    if not text:
        return ""
    lines = text.splitlines()
    if len(lines) == 1:
        return f'{indent}"""{lines[0]}"""\n'
    return f'{indent}"""{lines[0]}\n' + "".join(f"{indent}{line}\n" if line else "\n" for line in lines[1:]) + f'{indent}"""\n'


def parameters(where, function):
    parts, star = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        if parameter.name in ("self", "cls") or (parameter.name == "this" and not parts):
            parts.append("self")
            continue
        annotation = EXCEPTIONS.get(f"{where}.{parameter.name}") or PARAMETERS[parameter.name]
        default = "" if parameter.default is parameter.empty else f" = {'...' if parameter.default is ... else repr(parameter.default)}"
        parts.append(f"{parameter.name}: {annotation}{default}")
    return f"({', '.join(parts)})"


def function(owner, name, thing, indent):
    where = f"{owner}.{name}" if owner else name
    shown = SPECIAL.get(name) if owner else None
    if (owner, name) == ("VectorSet", "__contains__"):
        shown = "(self, id: int)"
    result = RESULTS.get(where) or RESULTS[name]
    head = f"{indent}def {name}{shown or parameters(where, thing)} -> {result}:"
    text = "" if name.startswith("__") and name != "__dlpack__" else documentation(thing, indent + "    ")
    return f"{head}\n{text}" if text else f"{head} ...\n"


def members(name, cls):
    text = documentation(cls, "    ")
    signature = getattr(cls, "__text_signature__", None)
    if signature:
        where = f"{name}.__new__"
        shown = parameters(where, cls)
        text += f"    def __new__(cls{', ' if shown != '()' else ''}{shown[1:]} -> Self: ...\n"
    skipped = {"__new__", "__module__", "__doc__", "__qualname__", "__weakref__", "__text_signature__", "__buffer__"}  # the last: from 3.12 on
    for member, thing in sorted(vars(cls).items()):
        if member in skipped:
            continue
        if inspect.isgetsetdescriptor(thing):
            text += f"    @property\n    def {member}(self) -> {GETTERS[member]}:\n{documentation(thing, ' ' * 8)}"
        elif callable(thing):
            text += function(name, member, thing, "    ")
    return text or "    ...\n"


def stub():
    text = HEADER
    public = {name: thing for name, thing in vars(_native).items() if not name.startswith("__")}
    for name, thing in sorted(public.items()):
        if inspect.isclass(thing):
            text += f"\nclass {name}:\n{members(name, thing)}"
    for name, thing in sorted(public.items()):
        if not inspect.isclass(thing):
            text += "\n" + function("", name, thing, "")
    # Classes here have a method `list`, which would hide the type.
    return re.sub(r"\blist\[", "builtins.list[", text)


if __name__ == "__main__":
    if "--check" in sys.argv:
        if stub() != TARGET.read_text(encoding="utf-8"):
            sys.exit(f"{TARGET.name} differs from the module; run ffi-python/stubs.py and commit what it writes")
    else:
        TARGET.write_text(stub(), encoding="utf-8")
        print(f"wrote {TARGET}")
