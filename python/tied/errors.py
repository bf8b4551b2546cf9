"""The exceptions of this package. Each is an Error, and also the exception that Python has for such a fault, if any."""

from __future__ import annotations

import enum
from typing import ClassVar, Optional


class Status(enum.IntEnum):
    """The statuses of tied.h, without their prefix TIED_."""

    INVALID_ARGUMENT = 1
    OUT_OF_RANGE = 2
    BUFFER_TOO_SMALL = 3
    NOT_FOUND = 4
    PERMISSION_DENIED = 5
    IO_ERROR = 6
    CORRUPT = 7
    UNSUPPORTED = 8
    OUT_OF_MEMORY = 9
    NOT_FINITE = 10
    BUSY = 11
    INTERNAL = 12
    CANCELLED = 13


class Error(Exception):
    """A call of the library failed. Its outputs are unchanged, unless the documentation of the call says otherwise.

    status: the status of the C call; None for a ConvertError.
    """

    status: ClassVar[Optional[Status]] = None


class InvalidArgumentError(Error, ValueError):
    """A wrong name, type, rank, shape or size."""

    status = Status.INVALID_ARGUMENT


class OutOfRangeError(Error, IndexError):
    """A token id below 0, at or above the vocabulary, or dropped from the table."""

    status = Status.OUT_OF_RANGE


class BufferTooSmallError(Error, ValueError):
    """The result does not fit into an output array."""

    status = Status.BUFFER_TOO_SMALL


class FileMissingError(Error, FileNotFoundError):
    """No such file."""

    status = Status.NOT_FOUND


class NameMissingError(Error, LookupError):
    """The model has no entry point, input or output of that name."""

    status = Status.NOT_FOUND


class NotPermittedError(Error, PermissionError):
    """The file may not be read."""

    status = Status.PERMISSION_DENIED


class FileError(Error, OSError):
    """The operating system failed to open, read or map the file."""

    status = Status.IO_ERROR


class CorruptError(Error, ValueError):
    """Not a .tied file, or one that is truncated or damaged."""

    status = Status.CORRUPT


class UnsupportedError(Error):
    """A newer version of the format, or something that the model does not have."""

    status = Status.UNSUPPORTED


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed, or the system could not start threads."""

    status = Status.OUT_OF_MEMORY


class NotFiniteError(Error, ValueError):
    """NaN or infinity where a number is needed."""

    status = Status.NOT_FINITE


class BusyError(Error, RuntimeError):
    """The session is running another call."""

    status = Status.BUSY


class InternalError(Error, RuntimeError):
    """A fault of the library or of one that it uses."""

    status = Status.INTERNAL


class CancelledError(Error):
    """Session.cancel() ended the call. Its outputs are undefined."""

    status = Status.CANCELLED


class ConvertError(Error, ValueError):
    """A model cannot be converted or a file not be written. The message names the file or node, and the reason."""


_CLASSES = {
    cls.status: cls
    for cls in (
        InvalidArgumentError, OutOfRangeError, BufferTooSmallError, FileMissingError, NotPermittedError, FileError,
        CorruptError, UnsupportedError, OutOfMemoryError, NotFiniteError, BusyError, InternalError, CancelledError)
}


def _of_status(status: int, message: str) -> Error:
    """The exception for a status of the C ABI."""
    return _CLASSES[Status(status)](message)


def _name_not_found(message: str) -> Error:
    return NameMissingError(message)
