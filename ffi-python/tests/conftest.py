"""What the tests share: a store per test, and the real model, downloaded once."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tensoratom as ta

ROOT = Path(__file__).resolve().parents[2]


def demo():
    """The module of `make demo`, for its download and what it knows of the model."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "demo" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = module
    spec.loader.exec_module(module)
    return module


def from_dlpack(atom):
    """What a consumer of DLPack 1 makes of an atom: NumPy is one since 2.1, this package always."""
    takes_versions = np.lib.NumpyVersion(np.__version__) >= "2.1.0"
    return np.from_dlpack(atom) if takes_versions else ta._native.from_dlpack(atom)[0]


@pytest.fixture(scope="session")
def model():
    """A real model file: all-MiniLM-L6-v2 as safetensors."""
    work = Path(os.environ.get("TENSORATOM_DEMO", ROOT / ".demo"))
    work.mkdir(exist_ok=True)
    return demo().fetch_model(work)[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(path):
    with ta.open(path, segment_bytes=1 << 20, durability="process") as store:
        yield store


@pytest.fixture
def random():
    return np.random.default_rng(7)


def damage(store, key, at=0):
    """Flips one bit of a stored payload behind the store's back."""
    (place,) = store.query(
        f"SELECT p.segment, p.offset FROM payloads p JOIN atoms a ON a.digest = p.digest WHERE a.key = '{key}'"
    )
    with open(store.path / "segments" / f"{place['segment']:08}.seg", "r+b") as file:
        file.seek(place["offset"] + at)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
