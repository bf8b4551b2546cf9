"""The tied embedding and lm_head of a translation or language model, on the CPU, from one copy of the table.

    report = tied.convert("model.onnx", "model.tied", screen=True)
    with tied.Model("model.tied") as model, tied.Session(model) as session:
        embeddings = session.embed([2, 17])        # float32 [2, cols]
        best = session.topk(hidden, 10)            # of float32 hidden states [..., cols]
"""

from __future__ import annotations

from dataclasses import dataclass

from tied import _native
from tied.convert import convert, split
from tied.errors import (
    BufferTooSmallError, BusyError, CancelledError, ConvertError, CorruptError, Error, FileError, FileMissingError,
    InternalError, InvalidArgumentError, NameMissingError, NotFiniteError, NotPermittedError, OutOfMemoryError,
    OutOfRangeError, Status, UnsupportedError)
from tied.model import EmbeddingInfo, EntryPoint, HeadInfo, Model, ModelInfo, Op, Plane, Table, Value
from tied.report import CheckFailedError, Report
from tied.session import BeamStep, Session, TopK

__all__ = [
    "BeamStep", "BufferTooSmallError", "BusyError", "CancelledError", "CheckFailedError", "ConvertError", "CorruptError",
    "EmbeddingInfo", "EntryPoint", "Error", "FileError", "FileMissingError", "HeadInfo", "InternalError",
    "InvalidArgumentError", "Kernel", "Model", "ModelInfo", "NameMissingError", "NotFiniteError", "NotPermittedError",
    "Op", "OutOfMemoryError", "OutOfRangeError", "Plane", "Report", "Session", "Status", "Table", "TopK",
    "UnsupportedError", "Value", "convert", "kernels", "split"]

_version = _native.version()
__version__ = f"{_version // 1000000}.{_version // 1000 % 1000}.{_version % 1000}"


@dataclass(frozen=True)
class Kernel:
    """Kernels for an instruction set. available: this CPU can run them. selected: sessions use them."""

    isa: str
    available: bool
    selected: bool


def kernels() -> list[Kernel]:
    """The kernels in this library, slowest first."""
    return [Kernel(*kernel) for kernel in _native.kernels()]
