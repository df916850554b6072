"""Element types of arrays: what NumPy, ml_dtypes and torch call them, and how any array-like becomes plain bytes."""

from __future__ import annotations

import datetime
import sys
from typing import Any, Union

import numpy as np

Key = Union[str, int]
"""A key of an atom."""

# Types NumPy lacks: the name ml_dtypes has for them, and the unsigned integer that stands in without it.
_FOREIGN = {
    "bf16": ("bfloat16", np.uint16),
    "f8e4m3": ("float8_e4m3fn", np.uint8),
    "f8e5m2": ("float8_e5m2", np.uint8),
}
_NATIVE = {
    "f64": "<f8",
    "f32": "<f4",
    "f16": "<f2",
    "i64": "<i8",
    "i32": "<i4",
    "i16": "<i2",
    "i8": "|i1",
    "u64": "<u8",
    "u32": "<u4",
    "u16": "<u2",
    "u8": "|u1",
    "bool": "|b1",
    "b1": "|u1",
    "opaque": "|u1",
}
_NAMES = {np.dtype(code): name for name, code in _NATIVE.items() if name not in ("b1", "opaque")}
_ALIASES = {"bfloat16": "bf16", "float8_e4m3fn": "f8e4m3", "float8_e5m2": "f8e5m2"}
_FLOATS = ("f64", "f32", "f16", "bf16", "f8e4m3", "f8e5m2")


def _ml_dtypes() -> Any:
    try:
        import ml_dtypes
    except ImportError:
        return None
    return ml_dtypes


def descriptor(name: str) -> np.dtype[Any]:
    """NumPy's type for a stored type."""
    if name in _FOREIGN:
        true_name, stand_in = _FOREIGN[name]
        return np.dtype(getattr(_ml_dtypes(), true_name, stand_in))
    return np.dtype(_NATIVE[name])


def name_of(dtype: np.dtype[Any]) -> str | None:
    """The stored type for a NumPy type, byte order aside; None where there is none."""
    little = dtype.newbyteorder("<") if dtype.byteorder == ">" else dtype
    return _ALIASES.get(dtype.name) or _NAMES.get(little)


def canonical(name: str | np.dtype[Any] | type) -> str:
    """The short name of a type by any name NumPy, torch or safetensors have for it."""
    if not isinstance(name, str):
        found = name_of(np.dtype(name))
        if found is None:
            raise TypeError(f"no element type for {np.dtype(name)}")
        return found
    lower = name.lower().removeprefix("torch.")
    if lower in _NATIVE or lower in _FOREIGN:
        return lower
    lower = {"f8_e4m3": "f8e4m3", "f8_e5m2": "f8e5m2", "half": "f16", "bit": "b1", "bits": "b1"}.get(lower, lower)
    if lower in _FOREIGN:
        return lower
    if lower in _ALIASES:
        return _ALIASES[lower]
    try:
        found = name_of(np.dtype(lower))
    except TypeError:
        found = None
    if found is None:
        from ._errors import make

        raise make("InvalidArgument", f"unknown dtype '{name}'")
    return found


def is_torch(value: Any) -> bool:
    """Whether a value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_torch(tensor: Any) -> tuple[np.ndarray, str | None]:
    """A tensor's elements, and its type where NumPy has none for it."""
    import torch

    tensor = tensor.detach().cpu().contiguous()
    name = str(tensor.dtype).removeprefix("torch.")
    if name in _ALIASES:
        short = _ALIASES[name]
        stand_in = torch.int16 if short == "bf16" else torch.int8
        return tensor.view(stand_in).numpy().view(_FOREIGN[short][1]), short
    return tensor.numpy(), None


def to_torch(array: np.ndarray, name: str) -> Any:
    """A stored array as a torch tensor of the true type, sharing memory. Writing to it is a mistake torch cannot see."""
    import warnings

    import torch

    if name in _FOREIGN:
        true_name, stand_in = _FOREIGN[name]
        signed = np.int16 if stand_in is np.uint16 else np.int8
        array = array.view(signed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the array being read-only, which the documentation says
        tensor = torch.from_numpy(array)
    return tensor.view(getattr(torch, true_name)) if name in _FOREIGN else tensor


def _plain(value: Any) -> tuple[np.ndarray, str | None]:
    if isinstance(value, np.ndarray):
        if isinstance(value, np.ma.MaskedArray):
            from ._errors import make

            raise make("Unsupported", "a masked array cannot be stored: there is no place for the mask; fill it first")
        return value, None
    if is_torch(value):
        return _from_torch(value)
    has_array = hasattr(value, "__array__") or hasattr(value, "__array_interface__")
    if not has_array and hasattr(value, "__dlpack__"):
        from . import _native

        return _native.from_dlpack(value)
    if isinstance(value, (bytes, bytearray, memoryview)) and getattr(value, "ndim", 1) == 1:
        view = memoryview(value)
        return np.frombuffer(view, dtype=np.uint8) if view.format == "B" else np.asarray(view), None
    return np.asarray(value), None


def as_array(value: Any, dtype: str | None = None) -> tuple[np.ndarray, str, tuple[int, ...]]:
    """Any array-like as contiguous little-endian bytes under a NumPy type, its stored type, and its shape in elements."""
    array, name = _plain(value)
    name = name or name_of(array.dtype)
    if name is None:
        from ._errors import make

        raise make("Unsupported", f"arrays of {array.dtype} cannot be stored; convert them first")
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        array = array.astype(array.dtype.newbyteorder("<"))
    # Not np.ascontiguousarray, which makes a scalar one-dimensional.
    array = np.asarray(array, order="C")
    shape = array.shape
    wanted = canonical(dtype) if dtype is not None else name
    if wanted == "b1":
        if name != "bool":
            from ._errors import make

            raise make("Unsupported", f"packed bits are made of bool arrays, not of {name}")
        last = np.atleast_1d(array)
        return np.packbits(last, axis=-1, bitorder="little"), "b1", shape
    if wanted != name:
        stand_in = _FOREIGN.get(wanted, (None, None))[1]
        if stand_in is not None and array.dtype == stand_in:
            return array, wanted, shape
        if wanted in _FLOATS and name in _FLOATS:
            from ._native import convert_into

            source = array if name not in _FOREIGN else array.view(_FOREIGN[name][1])
            array = np.asarray(convert_into(source, name if name in _FOREIGN else None, wanted, False))
        else:
            array = array.astype(descriptor(wanted), casting="same_kind" if wanted in _FLOATS else "safe")
    return array, wanted, shape


def reinterpret(raw: np.ndarray, name: str, shape: list[int]) -> np.ndarray:
    """Bytes as elements of a stored type."""
    return raw.view(descriptor(name)).reshape(shape)


def as_ids(value: Any) -> np.ndarray:
    """Ids as int64. A mask gives the positions that are true."""
    array = np.asarray(list(value) if isinstance(value, (set, frozenset, range)) else value)
    if array.dtype == np.bool_:
        return np.flatnonzero(array).astype(np.int64)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise TypeError(f"ids are a list of integers or a mask, not {array.dtype} of {array.ndim} dimensions")
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ValueError("an id is larger than 2**63 - 1")
    return np.ascontiguousarray(array, dtype=np.int64)


def microseconds(moment: datetime.datetime | float) -> int:
    """A moment as microseconds since the Unix epoch; a naive datetime is local time, as everywhere in Python."""
    if isinstance(moment, datetime.datetime):
        return round(moment.timestamp() * 1e6)
    if isinstance(moment, float):
        return round(moment * 1e6)
    raise TypeError(f"as_of is a commit number, a datetime, or seconds as a float, not {type(moment).__name__}")
