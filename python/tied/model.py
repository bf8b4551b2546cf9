"""A .tied file, and what is in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable, Optional, Union

from tied import _native

# Element types of tied.h.
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 16: "bfloat16", 22: "int4"}


@dataclass(frozen=True)
class Plane:
    """Where a part of a table is in the file. Offset and length count bytes; the hash is XXH3-64."""

    offset: int
    length: int
    hash: int


@dataclass(frozen=True)
class Table:
    """A table [rows, cols], with one row per token id.

    vocabulary: token ids are below it; it is above `rows` if ids were dropped.
    planes: those that the table has, of "values", "scales", "zero_points", "ids", and of its screen "screen_upper",
        "screen_lower", "screen_scales", "screen_upper_norms", "screen_norms", "screen_column_values" and
        "screen_column_scales".
    """

    name: str
    dtype: str
    rows: int
    cols: int
    vocabulary: int
    planes: dict[str, Plane]

    @property
    def has_screen(self) -> bool:
        return "screen_lower" in self.planes


@dataclass(frozen=True)
class Value:
    """An input or output of the original graph. A dimension of any size is its name, or ""."""

    name: str
    dtype: str
    shape: tuple[Union[int, str], ...]


@dataclass(frozen=True)
class Op:
    """An operation of an entry point.

    kind: "Embedding", "Head" or "Constant". table, input: None for a Constant.
    scale: factor on embeddings, or on the hidden states of a head.
    result: of a head: "Logits", or "TopkValues" or "TopkIds" of the k best.
    log_softmax: logits or values are log-probabilities.
    soft_cap: c, if each logit x becomes c * tanh(x / c); 0: none.
    origin: the nodes of the original model that it replaces.
    """

    kind: str
    table: Optional[str]
    input: Optional[str]
    output: str
    scale: float
    has_bias: bool
    result: str
    k: int
    log_softmax: bool
    soft_cap: float
    origin: tuple[str, ...]


@dataclass(frozen=True)
class EntryPoint:
    """A path through the original graph. selectors: the Boolean inputs that choose it, with their values."""

    name: str
    selectors: dict[str, bool]
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class ModelInfo:
    """What is in a file. source and graph name the original model; "" if that was not recorded."""

    format_version: int
    file_bytes: int
    producer: str
    source: str
    graph: str
    tables: tuple[Table, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    entry_points: tuple[EntryPoint, ...]


@dataclass(frozen=True)
class EmbeddingInfo:
    """What Session.embed() computes: rows of `table` times `scale`."""

    table: int
    cols: int
    rows: int
    vocabulary: int
    scale: float


@dataclass(frozen=True)
class HeadInfo:
    """What Session.logits(), argmax() and topk() compute: products of `scale` times hidden states with the rows of
    `table`, plus a bias if there is one. soft_cap: c, if each logit x becomes c * tanh(x / c); 0: none."""

    table: int
    cols: int
    rows: int
    vocabulary: int
    has_bias: bool
    scale: float
    soft_cap: float


class Model:
    """A .tied file, mapped read-only and shared: processes that open the same file share its memory.

    Any number of threads may use a model at once. It closes at the end of a `with` block, by close(), or when nothing
    refers to it; its sessions stay usable, and the file is unmapped when the last of them is closed.
    """

    def __init__(
        self,
        source: Union[str, "os.PathLike[str]", int, bytes, bytearray, memoryview],
        *,
        offset: int = 0,
        length: int = 0,
        verify: bool = False,
        copy: bool = False,
    ) -> None:
        """Opens a file and checks its header.

        source: a path; or an open file descriptor, which may be closed afterwards; or the bytes of a file, which the
            model keeps and which must not change.
        offset, length: with a file descriptor, the part of the file that holds the model. The offset is a multiple of
            4; length 0 means up to the end.
        verify: also do what verify() does, which reads the whole file.
        copy: read the file into private memory, all of it anonymous. Without it, the file must not be changed or
            truncated while the model lives (a truncated file ends the process with SIGBUS); replacing it by a rename
            is safe.

        Raises FileMissingError, NotPermittedError, FileError, CorruptError, UnsupportedError or OutOfMemoryError.
        """
        if not isinstance(source, int) and (offset != 0 or length != 0):
            raise ValueError("offset and length need a file descriptor")
        self._source: Union[str, int] = "bytes in memory"
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._native = _native.Model.open_memory(source, verify)
        elif isinstance(source, int) and not isinstance(source, bool):
            self._source = source
            self._native = _native.Model.open_fd(source, offset, length, verify, copy)
        elif isinstance(source, (str, os.PathLike)):
            self._source = os.fspath(source)
            self._native = _native.Model.open(_path(source), verify, copy)
        else:
            raise TypeError(f"source is {type(source).__name__}; it must be a path, a file descriptor or bytes")

    def close(self) -> None:
        """Closes the model. Its sessions stay usable."""
        self._native.close()

    @property
    def closed(self) -> bool:
        return self._native.closed

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.closed:
            return f"<tied.Model {self._source!r}, closed>"
        tables = ", ".join(
            f"{table.dtype} [{table.rows}, {table.cols}]{' with a screen' if table.has_screen else ''}"
            for table in self.info.tables)
        return f"<tied.Model {self._source!r}: {tables}>"

    @property
    def info(self) -> ModelInfo:
        """What is in the file."""
        info = self._native.info()
        tables = tuple(_table(table) for table in info["tables"])
        inputs = tuple(_value(value) for value in info["inputs"])
        outputs = tuple(_value(value) for value in info["outputs"])
        entry_points = tuple(_entry_point(entry, tables, inputs, outputs) for entry in info["entry_points"])
        return ModelInfo(
            info["format_version"], info["file_bytes"], info["producer"], info["source"], info["graph"], tables, inputs,
            outputs, entry_points)

    @property
    def embedding(self) -> EmbeddingInfo:
        """The embedding. Raises UnsupportedError if the model has none."""
        return EmbeddingInfo(**self._native.embedding())

    @property
    def head(self) -> HeadInfo:
        """The lm_head. Raises UnsupportedError if the model has none."""
        return HeadInfo(**self._native.head())

    def verify(self) -> None:
        """Reads the whole file and checks every hash. Raises CorruptError, which names the first wrong plane or row."""
        self._native.verify()

    def prefetch(
        self, progress: Optional[Callable[[int, int], None]] = None, *, everything: bool = False
    ) -> None:
        """Reads what a top-k reads for each token into the system's page cache, so that the first token does not wait
        for storage. The process does not grow: pages are not mapped.

        progress: called with the bytes done and their total, before the first piece and after each one of 4 MiB; an
            exception ends it. Ctrl-C ends it, too.
        everything: read the whole file, for calls that read more than a top-k without log_z.

        Raises FileError for a page that cannot be read, OutOfMemoryError.
        """
        self._native.prefetch(progress, everything)

    def trim(self) -> None:
        """Gives the table's pages back to the system, until their next use. Safe while sessions run."""
        self._native.trim()

    def resident_bytes(self) -> int:
        """Bytes of the file's pages that are in memory now and mapped into this process."""
        return self._native.resident_bytes()


def _path(path: Any) -> bytes:
    """The bytes of a path as the system knows it, also if they are not UTF-8."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("a path holds a null byte")
    return encoded


def _table(table: dict[str, Any]) -> Table:
    planes = {name: Plane(**plane) for name, plane in table["planes"].items()}
    return Table(
        table["name"], _TYPES[table["type"]], table["rows"], table["cols"], table["vocabulary"], planes)


def _value(value: dict[str, Any]) -> Value:
    return Value(value["name"], _TYPES[value["type"]], value["shape"])


def _entry_point(
    entry: dict[str, Any], tables: tuple[Table, ...], inputs: tuple[Value, ...], outputs: tuple[Value, ...]
) -> EntryPoint:
    def made(op: dict[str, Any]) -> Op:
        constant = op["kind"] == "Constant"
        names = {
            "table": None if constant else tables[op["table"]].name,
            "input": None if constant else inputs[op["input"]].name,
            "output": outputs[op["output"]].name,
            "origin": tuple(op["origin"].split("\n")) if op["origin"] else (),
        }
        return Op(**{**op, **names})

    selectors = {inputs[index].name: value for index, value in entry["selectors"]}
    return EntryPoint(entry["name"], selectors, tuple(made(op) for op in entry["ops"]))
