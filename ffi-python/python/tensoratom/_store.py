"""The store as users open it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from . import _native
from ._dtypes import Key
from ._optional import need


class Store(_native.StoreCore):
    """An open store: a mapping of keys to read-only arrays, in the default namespace.

    May be used from any number of threads and opened by any number of processes. Closes at the end of a ``with`` block;
    arrays taken from it stay valid. Pickles by path and opens read-only where it is loaded, for workers.
    """

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (os.fspath(self.path),)

    def __len__(self) -> int:
        return len(self.snapshot())

    def __iter__(self) -> Iterator[Key]:
        return iter(self.snapshot())

    def keys(self, prefix: str = "") -> list[Key]:
        """The keys in order: integers, then names by their bytes."""
        return self.snapshot().keys(prefix)

    def to_pandas(self, prefix: str = "", *, namespace: str | None = None) -> Any:
        """One row per atom: key, dtype, shape, nbytes, tier, version, created, metadata, digest. Needs pandas."""
        pd = need("pandas", "to_pandas()")
        names = ("key", "dtype", "shape", "nbytes", "tier", "version", "created", "metadata", "digest")
        rows = [[getattr(info, name) for name in names] for info in self.list(prefix, namespace=namespace)]
        frame = pd.DataFrame(rows, columns=list(names))
        frame["created"] = pd.to_datetime(frame["created"], unit="s", utc=True)
        return frame

    def plot(self, ax: Any = None, *, depth: int = 1) -> Any:
        """Bytes by prefix and tier as bars. ``depth`` is the number of ``/``-separated parts of a prefix. Needs matplotlib;
        returns its axes."""
        from ._plot import bars

        return bars(self, ax, depth)

    def __repr__(self) -> str:
        name = os.fspath(self.path)
        return f"<closed tensoratom store '{name}'>" if self.closed else f"<tensoratom store '{name}', {self.mode}>"

    def _repr_html_(self) -> str:
        from ._html import store

        return store(self)


def open(
    path: str | os.PathLike[str],
    mode: str = "rw",
    *,
    create: bool = True,
    durability: str = "full",
    read_mode: str = "mapped",
    segment_bytes: int | None = None,
    chunk_bytes: int | None = None,
    cache_bytes: int | None = None,
    threads: int = 0,
    lock_timeout: float | None = None,
    cold_directory: str | os.PathLike[str] | None = None,
    hot_bytes: int | None = None,
) -> Store:
    """Opens a store.

    ``mode`` is "r" to read, "rw" to read and write (made first if there is none, unless ``create=False``), "x" to make a
    new one. ``durability`` is "full" (survives power loss) or "process" (survives the process), ``read_mode`` "mapped"
    (zero copy) or "positioned" (copies; no signal whatever happens to the file). ``segment_bytes`` and ``chunk_bytes``
    matter when a store is made, ``cache_bytes`` is for descriptors, ``threads=0`` means all cores, ``lock_timeout`` is how
    many seconds to wait for other processes. ``cold_directory`` is where a new store keeps its cold tier, perhaps on another
    disk; reads there raise ``ColdUnavailableError`` while that is away. ``hot_bytes`` is how much of what is pinned is read
    into memory when the store is opened, 0 for nothing (1 GiB without it); ``set_decode_cache_bytes`` bounds what is decoded.
    """
    return Store(
        path,
        mode,
        create=create,
        durability=durability,
        read_mode=read_mode,
        segment_bytes=segment_bytes,
        chunk_bytes=chunk_bytes,
        cache_bytes=cache_bytes,
        threads=threads,
        lock_timeout=lock_timeout,
        cold_directory=cold_directory,
        hot_bytes=hot_bytes,
    )


def _reopen(path: str) -> Store:
    return Store(path, "r")
