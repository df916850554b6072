"""Drop-in for ``safetensors.numpy``."""

from . import load_file, safe_open, save_file

__all__ = ["load_file", "safe_open", "save_file"]
