"""The exceptions: one class per kind of the engine, under `Error`, and under Python's own where one means the same."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Base of all errors of this package.

    ``kind`` is the engine's name for it, ``key``, ``segment``, ``offset`` and ``path`` say where, ``advice`` what can be
    done next. Each is None where it does not apply.
    """

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "Internal",
        key: str | None = None,
        segment: int | None = None,
        offset: int | None = None,
        path: str | None = None,
        advice: str | None = None,
        os_code: int | None = None,
    ) -> None:
        if isinstance(self, OSError) and os_code is not None:
            OSError.__init__(self, os_code, message, path)
        else:
            Exception.__init__(self, message)
        self.message = message
        self.kind = kind
        self.key = key
        self.segment = segment
        self.offset = offset
        self.path = path
        self.advice = advice
        self.os_code = os_code

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        where = (self.key, self.segment, self.offset, self.path, self.advice, self.os_code)
        return make, (self.kind, self.message, *where)


class NotFoundError(Error, KeyError):
    """No atom, namespace or vector set of that name at that moment."""


class AlreadyExistsError(Error, FileExistsError):
    """Something of that name is there already."""


class ConflictError(Error):
    """Another commit changed what this one relied on; read again and decide."""


class InvalidArgumentError(Error, ValueError):
    """An argument, key, shape or metadata outside what the call accepts."""


class UnsupportedError(Error, TypeError):
    """Not possible for this element type or in this state."""


class ForgottenError(Error, LookupError):
    """The moment asked for lies in history that was given up to reclaim its space."""


class NotAStoreError(Error, FileNotFoundError):
    """There is no store at that path."""


class NewerFormatError(Error):
    """The store was written by a newer version."""


class NetworkFileSystemError(Error, OSError):
    """The store lies on a network file system, where locks and maps cannot be trusted."""


class ReadOnlyError(Error, PermissionError):
    """The store, the handle or the medium is read-only."""


class PermissionDeniedError(Error, PermissionError):
    """The operating system refused access."""


class BusyError(Error, TimeoutError):
    """Another process holds what is needed, longer than the lock timeout."""


class CorruptError(Error):
    """Stored bytes of one atom do not match their checksum. Other atoms are still served."""


class CatalogCorruptError(CorruptError):
    """The catalog is damaged; ``tensoratom repair`` restores it."""


class BadFileError(Error, ValueError):
    """A file offered for import contradicts itself. Nothing was written."""


class IoError(Error, OSError):
    """The device or the operating system failed."""


class DiskFullError(IoError):
    """No space or quota left. Nothing was committed."""


class OutOfMemoryError(Error, MemoryError):
    """Memory could not be had."""


class PoisonedError(Error):
    """A write failed earlier; close and open the store again."""


class ClosedError(Error, ValueError):
    """The store, transaction or writer was closed."""


class ForkedError(Error, RuntimeError):
    """The object was made before ``fork``; open the store again in the child."""


class CancelledError(Error):
    """The operation was cancelled."""


class InternalError(Error, RuntimeError):
    """The library broke a promise to itself. Please report it."""


_CLASSES: dict[str, type[Error]] = {
    "InvalidKey": InvalidArgumentError,
    "InvalidShape": InvalidArgumentError,
    "InvalidMetadata": InvalidArgumentError,
    **{
        cls.__name__.removesuffix("Error"): cls
        for cls in list(globals().values())
        if isinstance(cls, type) and issubclass(cls, Error) and cls is not Error
    },
}


def make(
    kind: str,
    message: str,
    key: str | None = None,
    segment: int | None = None,
    offset: int | None = None,
    path: str | None = None,
    advice: str | None = None,
    os_code: int | None = None,
) -> Error:
    """The exception of a kind of the engine."""
    where: dict[str, Any] = {"key": key, "segment": segment, "offset": offset, "path": path, "advice": advice}
    return _CLASSES.get(kind, Error)(message, kind=kind, os_code=os_code, **where)
