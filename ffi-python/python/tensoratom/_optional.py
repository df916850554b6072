"""Packages that are used where they are installed, and what to do where they are not."""

from __future__ import annotations

import importlib
from typing import Any


def need(module: str, what: str) -> Any:
    """A module of another package, for a call that cannot do without. Raises ImportError with the command to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as failure:
        package = module.partition(".")[0]
        raise ImportError(f"{what} needs {package}; install it: pip install {package}", name=package) from failure
