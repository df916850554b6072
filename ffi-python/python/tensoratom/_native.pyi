"""Types of the native module; written by stubs.py from the module itself."""

from __future__ import annotations

import builtins
import datetime
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from ._atom import Atom
from ._dtypes import Key
from ._search import Neighbors

__version__: str

class AtomCore:
    """A handle on one version's payload. Reads nothing until asked; valid after the key is deleted and the store closed. May
    be used from any thread.
    """
    def __new__(cls, source: AtomCore) -> Self: ...
    def __dlpack__(self, *, stream: Any = None, max_version: tuple[int, int] | None = None, dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> Any:
        """A DLPack capsule of version 1, read-only, in the true type. Consumers that cannot take such a one get a
        BufferError, because they could not know that writing is forbidden.
        """
    def __dlpack_device__(self) -> tuple[int, int]: ...
    @property
    def created(self) -> float:
        """Time of the commit in seconds since the Unix epoch."""
    def dequantize(self) -> NDArray[Any]:
        """The values as a new float32 array, whatever the type and the encoding."""
    @property
    def digest(self) -> str:
        """BLAKE3-256 of the payload, hexadecimal."""
    @property
    def dtype(self) -> str:
        """Name of the element type: f64 f32 f16 bf16 f8e4m3 f8e5m2 i64 i32 i16 i8 u64 u32 u16 u8 bool b1 opaque."""
    @property
    def encoding(self) -> dict[str, Any]:
        """How elements are to be understood beyond their type: a dict with `kind` plain, quantized or blocks."""
    @property
    def info(self) -> AtomInfo:
        """The descriptor."""
    @property
    def key(self) -> Key:
        """Key: a name or an integer."""
    @property
    def metadata(self) -> dict[str, Any] | None:
        """Metadata, or None."""
    @property
    def nbytes(self) -> int:
        """Length of the payload in bytes."""
    def numpy(self) -> NDArray[Any]:
        """A read-only array on the stored bytes. Verifies what no read of this process touched before; copies nothing in
        mapped mode. Types NumPy lacks come as those of `ml_dtypes`, or as unsigned integers of their size without it;
        bits come packed, quantised elements as their codes. Ctrl-C stops the first read of 32 MiB or more.
        """
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop of the first dimension as a read-only array. Only their chunks are read and verified."""
    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, outermost first."""
    @property
    def tier(self) -> str | None:
        """Where the payload lies: hot, warm, cold, or None when the catalog knows no copy."""
    @property
    def version(self) -> int:
        """Commit that made this version: what `if_version` compares."""

class AtomInfo:
    """Descriptor of one version of an atom. Does not change; may be used from any thread."""
    def __repr__(self) -> str: ...
    @property
    def created(self) -> float:
        """Time of the commit in seconds since the Unix epoch."""
    @property
    def digest(self) -> str:
        """BLAKE3-256 of the payload, hexadecimal."""
    @property
    def dtype(self) -> str:
        """Name of the element type: f64 f32 f16 bf16 f8e4m3 f8e5m2 i64 i32 i16 i8 u64 u32 u16 u8 bool b1 opaque."""
    @property
    def encoding(self) -> dict[str, Any]:
        """How elements are to be understood beyond their type: a dict with `kind` plain, quantized or blocks."""
    @property
    def key(self) -> Key:
        """Key: a name or an integer."""
    @property
    def metadata(self) -> dict[str, Any] | None:
        """Metadata, or None."""
    @property
    def nbytes(self) -> int:
        """Length of the payload in bytes."""
    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, outermost first."""
    @property
    def tier(self) -> str | None:
        """Where the payload lies: hot, warm, cold, or None when the catalog knows no copy."""
    @property
    def version(self) -> int:
        """Commit that made this version: what `if_version` compares."""

class Bytes:
    """Keeps verified bytes of a store alive. The `base` of every array on them. Does not change; may be used
    from any thread.
    """
    def __repr__(self) -> str: ...
    @property
    def is_mapped(self) -> bool:
        """True when the bytes lie in a memory map of the store."""
    @property
    def nbytes(self) -> int:
        """Length in bytes."""

class Foreign:
    """A tensor somebody gave away. Dropped, it is given back, once. The `base` of the array on its memory."""

class Matrix:
    """A stored matrix that is searched where it lies. May be used from any thread."""
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...
    @property
    def dim(self) -> int:
        """Elements per row."""
    def search(self, queries: ArrayLike, k: int = 10, *, filter: ArrayLike | None = None, exclude: ArrayLike | None = None, metric: str | None = None, distance_max: float | None = None, threads: int = 0) -> Neighbors:
        """The k nearest rows, as `VectorSet.search` returns them; ids are row numbers."""

class Memory:
    ...

class Snapshot:
    """The store at one commit; does not change, whatever is committed. May be used from any thread."""
    def __contains__(self, key: Key) -> bool: ...
    def __getitem__(self, key: Key) -> NDArray[Any]: ...
    def __iter__(self) -> Iterator[Key]: ...
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...
    def export(self, prefix: str, path: str | os.PathLike[str], *, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Writes the atoms under a prefix, which is taken off, into a safetensors file. One that was imported comes out the
        same, bit for bit. Ctrl-C stops it and leaves no file.
        """
    def get(self, key: Key) -> Atom:
        """A handle on a key's atom. Raises NotFoundError, a KeyError."""
    def keys(self, prefix: str = '') -> builtins.list[Key]:
        """The keys in order: integers, then names by their bytes."""
    def list(self, prefix: str = '', *, limit: int | None = None) -> builtins.list[AtomInfo]:
        """Descriptors of the atoms whose names start with a prefix, in key order."""
    @property
    def version(self) -> int:
        """The newest commit this shows."""

class StoreCore:
    """An open store. May be used from any thread; after `fork` a child opens its own."""
    def __new__(cls, path: str | os.PathLike[str], mode: str = 'rw', *, create: bool = True, durability: str = 'full', read_mode: str = 'mapped', segment_bytes: int | None = None, chunk_bytes: int | None = None, cache_bytes: int | None = None, threads: int = 0, lock_timeout: float | None = None, cold_directory: str | os.PathLike[str] | None = None, hot_bytes: int | None = None) -> Self: ...
    def __contains__(self, key: Key) -> bool: ...
    def __delitem__(self, key: Key) -> None: ...
    def __getitem__(self, key: Key) -> NDArray[Any]: ...
    def __setitem__(self, key: Key, value: ArrayLike) -> None: ...
    def apply(self, plan: dict[str, Any] | None = None, *, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Carries a plan out; without one notes what was read, plans, and carries that out. Returns a dict of counts. Ctrl-C stops
        it; what was moved by then stays.
        """
    def close(self) -> None:
        """Gives the handle up. Arrays and atoms stay valid. Doing it twice does nothing."""
    @property
    def closed(self) -> bool:
        """True after `close`."""
    def delete(self, key: Key, *, namespace: str | None = None) -> bool:
        """Deletes a key and returns whether it existed. Arrays on it stay valid."""
    def export(self, prefix: str, path: str | os.PathLike[str], *, namespace: str | None = None, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Writes the atoms under a prefix, which is taken off, into a safetensors file. One that was imported comes out the
        same, bit for bit. Ctrl-C stops it and leaves no file.
        """
    def gc(self, keep_history: float | None = None, *, dead_share: float = ..., dry_run: bool = False, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Reclaims the space of old copies, and with `keep_history` (seconds) of versions that were replaced or deleted longer
        ago; without it all history stays. Segments with at least this share of dead bytes are rewritten. `dry_run` only says
        what would be freed. Returns a dict of counts and `findings`, segments that damage keeps. Ctrl-C stops it.
        """
    def get(self, key: Key, *, as_of: int | float | datetime.datetime | None = None, namespace: str | None = None) -> Atom:
        """A handle on a key's atom, now or `as_of` a commit number, a datetime, or seconds since the Unix epoch (a float).
        Raises NotFoundError, a KeyError.
        """
    def import_file(self, path: str | os.PathLike[str], prefix: str = '', *, namespace: str | None = None, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Imports a safetensors or .npy file, all of it or nothing, and returns counts. `progress` is True (tqdm, if
        installed) or a callable of bytes done and bytes in all. Ctrl-C stops it.
        """
    def list(self, prefix: str = '', *, namespace: str | None = None, limit: int | None = None) -> builtins.list[AtomInfo]:
        """Descriptors of the atoms whose names start with a prefix, in key order."""
    def matrix(self, key: Key, metric: str = 'cosine', *, namespace: str | None = None, companion: bool = False) -> Matrix:
        """A stored matrix to search in where it lies; ids are row numbers. `companion` builds 8-bit codes in memory, which
        make repeated searches faster.
        """
    @property
    def mode(self) -> str:
        """How it was opened: r, rw or x."""
    def move_to_tier(self, prefix: str, tier: str, *, base: str | None = None, deltas: bool | None = None, namespace: str | None = None, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Moves what starts with a prefix to the tier `cold` or `warm`, whatever the policy says. Returns a dict of counts.
        On the way to cold what was made from something else (a parent, an earlier version, or with `base` the atom of the same
        name under that prefix) is stored as what differs, where that is clearly smaller; `deltas` overrules the policy in
        this. Ctrl-C stops it.
        """
    def namespaces(self) -> builtins.list[str]:
        """Names of all namespaces; the default one is ""."""
    @property
    def path(self) -> Path:
        """The directory."""
    def pin(self, prefix: Key, *, exact: bool = False, namespace: str | None = None) -> bool:
        """Keeps names that start with a prefix warm, and reads them into memory when the store is opened; `exact` means this
        very name, an integer this very key. Returns whether that is new.
        """
    def plan(self) -> dict[str, Any]:
        """What the policy would move now and why, as a dict with a list `moves`. Changes nothing."""
    def put(self, key: Key, array: ArrayLike, *, metadata: dict[str, Any] | None = None, namespace: str | None = None, if_version: int | None = None, dtype: str | None = None, parents: builtins.list[Key] | None = None) -> int:
        """Stores one array durably and returns the commit. `dtype` converts floats, or says how raw integers are meant.
        `if_version` is the version the key must have (0: none), else ConflictError; `parents` are keys it was made from.
        Ctrl-C stops a put of 32 MiB or more, and leaves nothing of it; a smaller one ends first.
        """
    def query(self, sql: str, *, limit: int = ...) -> builtins.list[dict[str, Any]]:
        """Runs one SELECT over the views atoms, versions, payloads, segments, commits, changes, lineages, manifests,
        vector_sets, vector_parts, and returns a list of dicts. More rows than `limit` are an error.
        """
    def snapshot(self, as_of: int | float | datetime.datetime | None = None, *, namespace: str | None = None) -> Snapshot:
        """The store as it is, or as it was: see `get` for `as_of`."""
    def stat(self) -> dict[str, Any]:
        """Counts, and what every byte of the directory is for, as a dict; `accounted` sums to `disk_bytes`. `codecs` lists
        payloads, bytes and ratio of each codec, and the bytes per second that a thread of this process decodes, None until
        it did; `holders` the processes that keep segments from being deleted. `cold_directory` is None, or a dict of path,
        disk_bytes and problem, which is why it cannot be used now.
        """
    @property
    def tier_policy(self) -> dict[str, Any]:
        """The policy of the tiers as a dict: hot_days, warm_days, min_bytes, warm_bytes_max, deltas, codec, rules, pins. Set it
        to change it for all processes; what is left out has its default.
        """
    def transaction(self) -> Transaction:
        """A transaction, for use in a `with` block: committed at its end, given up on an exception."""
    def unpin(self, prefix: Key, *, exact: bool = False, namespace: str | None = None) -> bool:
        """Takes a pin back. Returns whether there was one."""
    @property
    def uuid(self) -> str:
        """Random number that names this store, 32 hexadecimal digits."""
    def vectors(self, name: str, dim: int | None = None, dtype: str = 'f32', metric: str = 'cosine', *, namespace: str | None = None) -> VectorSet:
        """A vector set: opened if it exists, made if `dim` is given and there is none."""
    def verify(self, prefix: str | None = None, *, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
        """Reads and verifies everything, or the atoms under a prefix. Returns a dict; `damaged` is empty when all is sound, and
        `unavailable` says why cold payloads could not be looked at. Ctrl-C stops it.
        """
    @property
    def version(self) -> int:
        """The newest commit, 0 for none."""
    def writer(self, key: Key, dtype: str, shape: Sequence[int], *, metadata: dict[str, Any] | None = None, namespace: str | None = None, if_version: int | None = None) -> Writer:
        """A writer for an array too large for memory, for use in a `with` block. The first dimension of `shape` may be -1."""

class Transaction:
    """A batch of changes, committed all or nothing. Calls from several threads wait for each other."""
    def __contains__(self, key: Key) -> bool: ...
    def __delitem__(self, key: Key) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: Any) -> bool: ...
    def __getitem__(self, key: Key) -> NDArray[Any]: ...
    def __setitem__(self, key: Key, value: ArrayLike) -> None: ...
    def abort(self) -> None:
        """Gives everything up. Doing it twice does nothing."""
    def commit(self) -> int:
        """Commits and returns the commit's number. Durable and visible to every process when it returns. Ctrl-C stops the
        wait for other processes and the syncs of many segments, and gives everything up; one sync, and what other threads
        commit along with it, ends first.
        """
    def delete(self, key: Key) -> bool:
        """Deletes a key and returns whether it existed."""
    def put(self, key: Key, array: ArrayLike, *, metadata: dict[str, Any] | None = None, if_version: int | None = None, dtype: str | None = None, parents: builtins.list[Key] | None = None) -> None:
        """Stores an array; see `Store.put`."""
    def rename(self, source: Key, target: Key) -> None:
        """Gives the current version another key."""
    def set_metadata(self, key: Key, metadata: dict[str, Any] | None) -> None:
        """Replaces the metadata of a key; None removes it."""
    def upsert(self, name: str, ids: ArrayLike, array: ArrayLike) -> None:
        """Adds vectors to an existing vector set, or replaces those of the same ids."""

class VectorSet:
    """A named set of vectors of one dimension under integer ids. May be used from any thread."""
    def __contains__(self, id: int) -> bool: ...
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...
    def add(self, ids: ArrayLike, array: ArrayLike) -> None:
        """Adds vectors durably, one row per id; a new id each, else AlreadyExistsError. One call makes one part: add many.
        Ctrl-C stops it between its steps, some seconds each for gigabytes, and nothing is added.
        """
    def compact(self) -> int:
        """Puts small parts together and drops deleted rows. Returns how many parts were replaced. Ctrl-C stops it."""
    def delete(self, ids: ArrayLike) -> int:
        """Deletes vectors and returns how many there were."""
    @property
    def dim(self) -> int:
        """Elements per vector."""
    @property
    def dtype(self) -> str:
        """Name of the element type."""
    def get(self, ids: ArrayLike) -> builtins.list[NDArray[Any] | None]:
        """The vectors of some ids as a list of read-only arrays, None where there is none."""
    def info(self) -> dict[str, Any]:
        """Counts and sums as a dict."""
    @property
    def metric(self) -> str:
        """Name of the metric searches use unless told otherwise."""
    @property
    def name(self) -> str:
        """Name of the set."""
    def search(self, queries: ArrayLike, k: int = 10, *, filter: ArrayLike | None = None, exclude: ArrayLike | None = None, metric: str | None = None, distance_max: float | None = None, threads: int = 0) -> Neighbors:
        """The k nearest vectors, exactly: `(ids, distances)`, each of shape (k,) for one query and (n, k) for a matrix of n,
        nearest first, ties by id. Where there are fewer, as wide as the longest answer, filled up with -1 and infinity.
        `filter` are ids, or a mask whose index is the id; `exclude` likewise. Ctrl-C stops it.
        """
    def upsert(self, ids: ArrayLike, array: ArrayLike) -> None:
        """Adds vectors durably, or replaces those of the same ids. Ctrl-C stops it as it stops `add`."""

class Writer:
    """Writes one array block by block, in bounded memory. Stored when the `with` block ends, given up on an exception.
    Calls from several threads wait for each other.
    """
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: Any) -> bool: ...
    def abort(self) -> None:
        """Gives the array up. Doing it twice does nothing."""
    def close(self) -> int:
        """Ends the array, commits, and returns the commit's number."""
    @property
    def nbytes(self) -> int:
        """Bytes written so far."""
    def write(self, block: ArrayLike) -> None:
        """Appends a block: whole rows or any run of elements, in C order. Floats are converted to the writer's type. Ctrl-C
        stops a block of 32 MiB or more, and then the array is given up.
        """

def cdist(a: ArrayLike, b: ArrayLike, metric: str = 'euclidean') -> NDArray[Any]:
    """Distances of each row of `a` to each row of `b`, as a float64 matrix. Both vectors of one type, or `a` float32 and `b`
    float16, bf16 or int8.
    """

def convert_into(array: ArrayLike, source: str | None, to: str, saturate: bool) -> NDArray[Any]:
    """Converts between float types, rounding half to even: into `target`, an array of the same number of elements."""

def cosine(a: ArrayLike, b: ArrayLike) -> float:
    """Cosine distance of two vectors, 1 - cosine similarity, in [0, 2], as in SciPy."""

def decode_cache() -> dict[str, int]:
    """What the cache of decoded cold payloads holds and did, for all stores of this process, as a dict of budget_bytes, bytes,
    entries, hits and misses.
    """

def dequantize_blocks(codes: ArrayLike, scale: builtins.list[float], zero_point: builtins.list[int], block: int) -> NDArray[Any]:
    """The float32 values of codes of any integer type."""

def dot(a: ArrayLike, b: ArrayLike) -> float:
    """Inner product of two vectors: the sum of products. (As a metric, `dot` is minus that.)"""

def dtype_of(array: ArrayLike) -> str | None:
    """Name of the element type of an array, or None."""

def euclidean(a: ArrayLike, b: ArrayLike) -> float:
    """Euclidean distance of two vectors."""

def from_dlpack(value: ArrayLike) -> tuple[NDArray[Any], str]:
    """Any object with `__dlpack__` as a read-only array on its memory, and the name of its element type. Copies nothing.

    Raises `BufferError` for what does not lie in this process' memory, or has no element type here.
    """

def hamming(a: ArrayLike, b: ArrayLike) -> float:
    """Number of elements that differ. SciPy divides it by the length."""

def instruction_set() -> str:
    """Name of the instruction set the kernels use."""

def jaccard(a: ArrayLike, b: ArrayLike) -> float:
    """Jaccard distance over the non-zero elements, as SciPy's for booleans."""

def quantize_blocks(array: ArrayLike, affine: bool, block: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Codes, scales and zero points of an array, in that order; `block` 0 is one scale for all."""

def repair(path: str | os.PathLike[str], *, rebuild_catalog: bool = False, without_cold: bool = False, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
    """Repairs a store that nobody has open; `rebuild_catalog` makes its catalog anew from the segments, `without_cold` although
    the cold directory is away. Returns a dict of what was done; `commits_missing` lists the first and last of each gap, and
    `findings` are sentences about what could not be read.
    """

def safetensors_layout(data: bytes) -> builtins.list[tuple[str, str, builtins.list[int], int, int]]:
    """Name, type, shape, start and end of each tensor in the bytes of a safetensors file, by their place. Everything the
    header says was checked.
    """

def serialize_safetensors(tensors: builtins.list[tuple[str, ArrayLike]], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file of named arrays, as the reference makes them."""

def set_cold_directory(path: str | os.PathLike[str], directory: str | os.PathLike[str], *, progress: bool | Callable[[int, int], Any] | None = None) -> dict[str, Any]:
    """Gives a store that nobody has open a cold directory, or moves the one it has: copied, synced, read back, switched over, then
    deleted. A relative `directory` starts in the store. Raises BusyError while anybody has it open. Returns a dict of
    segments_copied, bytes_copied and left_behind, the old directory where it could not be emptied. Ctrl-C stops it, and the
    store goes on with the directory it had.
    """

def set_decode_cache_bytes(budget: int) -> None:
    """Sets how many bytes of decoded cold payloads this process keeps, all stores together; 0 keeps none. Takes effect at once.
    Without it an eighth of the memory, at most 1 GiB. Arrays that are held are not counted.
    """

def sqeuclidean(a: ArrayLike, b: ArrayLike) -> float:
    """Squared Euclidean distance of two vectors."""

def topk_indices(values: ArrayLike, k: int) -> NDArray[Any]:
    """Indices of the k smallest values of each row, in order, ties by index, NaN last: what `cdist` returns, narrowed."""

def write_safetensors(tensors: builtins.list[tuple[str, ArrayLike]], path: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
    """Writes named arrays into a safetensors file, byte for byte as the reference writes them."""
