"""Drop-in for ``safetensors.numpy``."""

from . import load, load_file, safe_open, save, save_file

__all__ = ["load", "load_file", "safe_open", "save", "save_file"]
