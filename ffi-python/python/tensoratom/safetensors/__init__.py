"""Drop-in for ``safetensors``: the same calls, served from a store.

``safe_open(filename, framework)``, ``load_file``, ``save_file``, ``load``, ``save`` as there; ``tensoratom.safetensors.numpy`` and ``.torch``
are the modules of those names. A file is imported once into a store, by path, size and time of change, and read from
there: tensors are read-only arrays without a copy, verified, and shared by all processes. The store is the one that
``store=`` names, else ``$TENSORATOM_SAFETENSORS_STORE``, else ``~/.cache/tensoratom/safetensors``, which is a
cache: it grows with what is opened, and may be deleted when nobody uses it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _dtypes, _native
from .._store import Store

VARIABLE = "TENSORATOM_SAFETENSORS_STORE"

_CODES = {
    "bf16": "BF16", "f8e4m3": "F8_E4M3", "f8e5m2": "F8_E5M2", "bool": "BOOL",
    **{name: name.upper() for name in ("f64", "f32", "f16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8")},
}  # fmt: skip
_FRAMEWORKS = {"np": "np", "numpy": "np", "pt": "pt", "torch": "pt", "pytorch": "pt"}
_open: dict[str, Store] = {}


try:
    from safetensors import SafetensorError  # so that what catches the reference's error catches this one
except ImportError:

    class SafetensorError(Exception):  # type: ignore[no-redef]
        """What the reference raises for a tensor that is not there."""


def _store(store: Store | str | os.PathLike[str] | None) -> Store:
    if isinstance(store, Store):
        return store
    default = os.environ.get(VARIABLE) or Path.home() / ".cache" / "tensoratom" / "safetensors"
    path = os.path.abspath(store or default)
    if path not in _open or _open[path].closed:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        _open[path] = Store(path)
    return _open[path]


def _imported(store: Store, filename: str | os.PathLike[str]) -> str:
    """The prefix under which a file's tensors lie, imported if they are not there yet."""
    status = os.stat(filename)
    prefix = f"{os.path.realpath(filename)}@{status.st_size}-{status.st_mtime_ns}/"
    marker = "manifests WHERE prefix = '{}'".format(prefix.replace("'", "''"))
    if not store.query(f"SELECT 1 FROM {marker} LIMIT 1"):
        store.import_file(filename, prefix)
    return prefix


def _header(filename: str | os.PathLike[str]) -> dict[str, Any]:
    with open(filename, "rb") as file:
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return header


class safe_open:  # noqa: N801: the reference's name
    """A file's tensors, each read when asked for. As ``safetensors.safe_open``; on the CPU."""

    def __init__(
        self,
        filename: str | os.PathLike[str],
        framework: str,
        device: Any = "cpu",
        *,
        store: Store | str | os.PathLike[str] | None = None,
    ) -> None:
        if framework not in _FRAMEWORKS:
            raise SafetensorError(f"framework {framework} is not supported; np and pt are")
        if str(device) != "cpu":
            raise SafetensorError(f"device {device} is not supported; move the tensors yourself")
        self._framework = _FRAMEWORKS[framework]
        self._store = _store(store)
        self._prefix = _imported(self._store, filename)
        self._snapshot = self._store.snapshot()
        self._filename = filename
        self._names: list[str] | None = None

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _in_file(self) -> dict[str, Any]:
        return _header(self._filename)

    def metadata(self) -> dict[str, str] | None:
        """The file's ``__metadata__``, None if it has none."""
        return self._in_file().get("__metadata__")

    def keys(self) -> list[str]:
        """Names in order."""
        if self._names is None:
            self._names = [str(key)[len(self._prefix) :] for key in self._snapshot.keys(self._prefix)]
        return list(self._names)

    def offset_keys(self) -> list[str]:
        """Names by their place in the file."""
        entries = {name: entry for name, entry in self._in_file().items() if name != "__metadata__"}
        return sorted(entries, key=lambda name: entries[name]["data_offsets"])

    def _atom(self, name: str) -> Any:
        try:
            return self._snapshot.get(self._prefix + name)
        except KeyError:
            raise SafetensorError(f"File does not contain tensor {name}") from None

    def get_tensor(self, name: str) -> Any:
        """A tensor. Read-only; without a copy."""
        if self._framework == "pt":
            return self._atom(name).torch()
        try:
            return self._snapshot[self._prefix + name]
        except KeyError:
            raise SafetensorError(f"File does not contain tensor {name}") from None

    def get_slice(self, name: str) -> _Slice:
        """A tensor to take parts of with ``[...]``."""
        return _Slice(self._atom(name), self._framework)


class _Slice:
    """A tensor of which parts are read. Rows of the first dimension are all that is touched."""

    def __init__(self, atom: Any, framework: str) -> None:
        self._atom = atom
        self._framework = framework

    def get_shape(self) -> list[int]:
        """Dimensions."""
        return list(self._atom.shape)

    def get_dtype(self) -> str:
        """Type, by the format's name."""
        return _CODES[self._atom.dtype]

    def __getitem__(self, index: Any) -> Any:
        atom = self._atom
        first, *rest = index if isinstance(index, tuple) else (index,)
        if not atom.shape or not isinstance(first, slice):
            array = atom.numpy()[index]
        else:
            start, stop, step = first.indices(atom.shape[0])
            if step > 0:
                array = atom.rows(start, max(start, stop))[(slice(None, None, step), *rest)]
            else:
                array = atom.numpy()[index]
        return _dtypes.to_torch(array, atom.dtype) if self._framework == "pt" else array


def load_file(
    filename: str | os.PathLike[str],
    device: Any = "cpu",
    *,
    framework: str = "np",
    store: Store | str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """All tensors of a file by name, read-only, without a copy."""
    with safe_open(filename, framework, device, store=store) as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def save_file(
    tensors: dict[str, Any], filename: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> None:
    """Writes arrays or torch tensors into a safetensors file, byte for byte as the reference does."""
    _native.write_safetensors(_items(tensors), os.fspath(filename), metadata)


def _parts(data: bytes) -> dict[str, tuple[NDArray[Any], str]]:
    """The arrays in the bytes of a file, with their stored types. They share the memory of ``data``."""
    raw = np.frombuffer(data, np.uint8)
    return {
        name: (_dtypes.reinterpret(raw[start:stop], dtype, shape), dtype)
        for name, dtype, shape, start, stop in _native.safetensors_layout(data)
    }


def load(data: bytes) -> dict[str, NDArray[Any]]:
    """All tensors in the bytes of a file, read-only, without a copy and without a store."""
    return {name: array for name, (array, _) in _parts(data).items()}


def save(tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file of arrays or torch tensors, as the reference makes them."""
    return _native.serialize_safetensors(_items(tensors), metadata)


def _items(tensors: dict[str, Any]) -> list[tuple[str, Any]]:
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, tensor] but received {type(tensors)}")
    return list(tensors.items())


__all__ = ["SafetensorError", "load", "load_file", "safe_open", "save", "save_file"]
