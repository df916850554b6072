"""Drop-in for ``safetensors.torch``. Tensors share memory with the store and must not be written to; ``clone`` them."""

from __future__ import annotations

import os
from typing import Any

from . import load_file as _load_file
from . import safe_open, save_file


def load_file(filename: str | os.PathLike[str], device: Any = "cpu", **options: Any) -> dict[str, Any]:
    """All tensors of a file by name."""
    return _load_file(filename, device, framework="pt", **options)


__all__ = ["load_file", "safe_open", "save_file"]
