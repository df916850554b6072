"""Drop-in for ``safetensors.numpy``."""

from __future__ import annotations

import os
from typing import Any

from . import load, load_file, safe_open
from . import save as _save
from . import save_file as _save_file


def save_file(
    tensor_dict: dict[str, Any], filename: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> None:
    """Writes arrays into a file, byte for byte as the reference does."""
    _save_file(tensor_dict, filename, metadata)


def save(tensor_dict: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file of arrays, as the reference makes them."""
    return _save(tensor_dict, metadata)


__all__ = ["load", "load_file", "safe_open", "save", "save_file"]
