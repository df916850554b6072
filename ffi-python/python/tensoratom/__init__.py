"""Embedded storage for tensors: zero-copy arrays, durable commits, exact vector search.

>>> import tensoratom as ta
>>> store = ta.open("mystore")
>>> store["encoder.weight"] = array       # durable when it returns, visible to every process
>>> store["encoder.weight"]               # a read-only array on the file: no copy

Every object may be used from any number of threads at once. After ``fork`` the objects of the parent answer with
``ForkedError`` in the child, which opens the store anew; pickled stores do so by themselves.

Ctrl-C stops what takes long, and leaves nothing half done: imports, exports, searches, collections, moves, first reads and
puts of 32 MiB or more, transactions and writers that wait for others or sync many files. What ends first: smaller reads and
puts, the sync of one file, a commit that shares its syncs with those of other threads, and mathematics on arrays.
"""

from ._atom import Atom
from ._dtypes import Key
from ._errors import (
    AlreadyExistsError,
    BadFileError,
    BusyError,
    CancelledError,
    CatalogCorruptError,
    ClosedError,
    ColdUnavailableError,
    ConflictError,
    CorruptError,
    DiskFullError,
    Error,
    ForgottenError,
    ForkedError,
    InternalError,
    InvalidArgumentError,
    IoError,
    NetworkFileSystemError,
    NewerFormatError,
    NotAStoreError,
    NotFoundError,
    OutOfMemoryError,
    PermissionDeniedError,
    PoisonedError,
    ReadOnlyError,
    UnsupportedError,
)
from ._math import Quantized, cdist, convert, dequantize, quantize, topk
from ._native import (
    AtomInfo,
    Matrix,
    Snapshot,
    Transaction,
    VectorSet,
    Writer,
    __version__,
    cosine,
    decode_cache,
    dot,
    euclidean,
    hamming,
    jaccard,
    repair,
    set_cold_directory,
    set_decode_cache_bytes,
    sqeuclidean,
)
from ._search import Neighbors
from ._store import Store, open

__all__ = [
    "AlreadyExistsError",
    "Atom",
    "AtomInfo",
    "BadFileError",
    "BusyError",
    "CancelledError",
    "CatalogCorruptError",
    "ClosedError",
    "ColdUnavailableError",
    "ConflictError",
    "CorruptError",
    "DiskFullError",
    "Error",
    "ForgottenError",
    "ForkedError",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "Key",
    "Matrix",
    "Neighbors",
    "NetworkFileSystemError",
    "NewerFormatError",
    "NotAStoreError",
    "NotFoundError",
    "OutOfMemoryError",
    "PermissionDeniedError",
    "PoisonedError",
    "Quantized",
    "ReadOnlyError",
    "Snapshot",
    "Store",
    "Transaction",
    "UnsupportedError",
    "VectorSet",
    "Writer",
    "__version__",
    "cdist",
    "convert",
    "cosine",
    "decode_cache",
    "dequantize",
    "dot",
    "euclidean",
    "hamming",
    "jaccard",
    "open",
    "quantize",
    "repair",
    "set_cold_directory",
    "set_decode_cache_bytes",
    "sqeuclidean",
    "topk",
]
