"""A program as a user would write it, for type checkers: `make python-types`. The tests run it, so that it says what is so."""

# pyright: strict
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensoratom as ta
from tensoratom.safetensors import load_file, safe_open, save_file


Array = npt.NDArray[np.float32]


def blocks(count: int) -> Iterator[Array]:
    for _ in range(count):
        yield np.ones((2, 4), dtype=np.float32)


def work(folder: Path) -> float:
    with ta.open(folder / "store", mode="rw", durability="process") as store:
        store["weight"] = np.arange(8, dtype=np.float32).reshape(2, 4)
        array: Array = store["weight"]
        version: int = store.put("weight", array * 2, metadata={"layer": 3}, if_version=store.get("weight").version)
        atom: ta.Atom = store.get("weight", as_of=version)
        rows: Array = atom.rows(0, 1)
        info: ta.AtomInfo = atom.info
        key: ta.Key = info.key
        with store.transaction() as tx:
            tx.put("a", array, parents=[key])
            tx.delete("a")
        with store.writer("long", dtype="bf16", shape=(-1, 4)) as writer:
            for block in blocks(3):
                writer.write(block)
        names: list[ta.Key] = store.keys("l")
        counted: list[dict[str, object]] = [dict(row) for row in store.query("SELECT count(*) AS n FROM atoms")]
        vectors: ta.VectorSet = store.vectors("v", dim=4, dtype="f16", metric="cosine")
        vectors.add([1, 2], array)
        ids, distances = vectors.search(array[0], k=2, filter=np.array([False, True, True]))
        found: ta.Neighbors = store.matrix("weight").search(array[0], k=1)
        save_file({"x": array}, folder / "x.safetensors")
        with safe_open(folder / "x.safetensors", "np", store=store) as file:
            shape: list[int] = file.get_slice("x").get_shape()
        tensors: dict[str, Array] = load_file(folder / "x.safetensors", store=store)
        where: str | None = None
        try:
            store["nothing"]
        except ta.NotFoundError as error:
            where = error.key
        report: dict[str, object] = store.verify()
        moved: dict[str, object] = ta.set_cold_directory(folder / "closed", folder / "cold") if where is None else {}
        assert report["is_sound"] and not moved and where and shape == [2, 4] and names == ["long"] and counted and ids[0] == found.ids[0] + 1
        return ta.dot(array[0], tensors["x"][0]) + float(distances[0]) + float(rows.sum())
