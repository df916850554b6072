"""Drop-in for ``safetensors.torch``. Tensors share memory with the store and must not be written to; ``clone`` them.

What works on modules (``load_model``, ``save_model``) is the reference's own, where it is installed.
"""

from __future__ import annotations

import os
from typing import Any

from .._optional import need
from . import _dtypes, _parts, safe_open, save, save_file
from . import load_file as _load_file


def load_file(filename: str | os.PathLike[str], device: Any = "cpu", **options: Any) -> dict[str, Any]:
    """All tensors of a file by name."""
    return _load_file(filename, device, framework="pt", **options)


def load(data: bytes) -> dict[str, Any]:
    """All tensors in the bytes of a file, sharing their memory."""
    return {name: _dtypes.to_torch(array, dtype) for name, (array, dtype) in _parts(data).items()}


def __getattr__(name: str) -> Any:
    if name not in ("load_model", "save_model"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(need("safetensors.torch", f"{name}()"), name)


__all__ = ["load", "load_file", "safe_open", "save", "save_file"]
