"""Converting a model to a .tied file, as tied-convert does."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional, Union

import numpy as np

from tied import _native
from tied.arrays import hidden_states, token_ids
from tied.errors import FileMissingError
from tied.report import CheckFailedError, Report, report_of

Path = Union[str, "os.PathLike[str]"]
Progress = Union[bool, Callable[[str, int, int], None], None]


def convert(
    model: Any,
    output: Path,
    *,
    dtype: str = "auto",
    screen: bool = False,
    calibrate: Any = None,
    keep_ids: Any = None,
    drop_ids: Any = None,
    tie: Union[bool, str, None] = None,
    allow_untied: bool = False,
    recorded: Any = None,
    check: bool = False,
    table: str = "",
    scale: Union[float, str, None] = None,
    logit_scale: float = 1.0,
    soft_cap: float = 0.0,
    bias: str = "",
    progress: Progress = None,
) -> Report:
    """Converts a model with a tied embedding and lm_head. The file appears whole or not at all.

    model: the path of an ONNX file, with its external data beside it; of a safetensors file, the index of several or
        the folder of either, with its config.json; or an onnx.ModelProto; or a model of transformers.
    output: the .tied file; an existing one is replaced.
    dtype: "auto" keeps the model's number format, but stores float32 as float16 or bfloat16 if that keeps every value
        exactly. "float32", "float16", "bfloat16", "int8", "int8-blocks" and "int4" may round; the report has the
        measured error.
    screen: add a screen: a top-k then reads about a seventh of a float32 table, or half to
        three quarters of an int8 one.
    calibrate: hidden states of the model, as for `recorded`, for which the screen is made to be tight.
    keep_ids, drop_ids: write only the rows of these token ids, or of all others: the path of a list, or the ids.
    tie: if embedding and lm_head read the same matrix, rounded in two ways, keep one: "finer" (or True), "embedding" or
        "head".
    allow_untied: keep both tables if embedding and lm_head differ, instead of refusing the model.
    recorded: hidden states of the model, to measure the error of a rounded table with, and to choose the scales of
        int4 and int8-blocks: float32 [tokens, cols], or the path of a file of them.
    check: compare the file with a reference evaluation of the model before it appears.
    table, scale, logit_scale, soft_cap, bias: for safetensors of an unknown family: the tensor that is both the
        embedding and the lm_head, the factor on embeddings (a number, or "sqrt": the square root of the width), the
        factor on logits, their soft cap, and the tensor that is added to them.
    progress: called with a step ("comparing", "reading", "writing"), the bytes done and their total; an exception ends
        the conversion. True: a bar, if tqdm is installed.

    Raises FileMissingError for the model, ConvertError, and CheckFailedError, whose report says what differs. Ctrl-C
    ends a conversion, but not its check.
    """
    with contextlib.ExitStack() as stack:
        tables = _tables(
            stack, dtype, screen, calibrate, keep_ids, drop_ids, tie, allow_untied, recorded, check
        )
        choice = {
            "table": os.fsencode(table),
            "scale": b"" if scale is None else os.fsencode(str(scale)),
            "bias": os.fsencode(bias),
            "logit_scale": logit_scale,
            "soft_cap": soft_cap,
        }
        path = _model_path(stack, model)
        return _finished(_native.convert(path, _encoded(output), tables, choice, _progress(stack, progress)))


def split(
    exports: Union[Path, Sequence[Path]],
    folder: Path,
    *,
    ids: str = "",
    logits: str = "",
    hidden: str = "hidden",
    dtype: str = "auto",
    screen: bool = False,
    calibrate: Any = None,
    keep_ids: Any = None,
    drop_ids: Any = None,
    tie: Union[bool, str, None] = None,
    allow_untied: bool = False,
    recorded: Any = None,
    check: bool = False,
    progress: Progress = None,
) -> Report:
    """Splits whole exports, such as an encoder and a decoder, into the tied pair and ONNX files without the table.

    exports: the ONNX files of one model, or their folder.
    folder: for model.tied, and for each export without the table under its file name.
    ids: the input of token ids; "": input_ids, or the input that looks up the table.
    logits: the output of logits; "": logits, or the product with the table.
    hidden: name of the output of hidden states, which replaces the logits.
    Other arguments and errors are those of convert().
    """
    paths = [exports] if isinstance(exports, (str, os.PathLike)) else list(exports)
    names = {"ids": os.fsencode(ids), "logits": os.fsencode(logits), "hidden": os.fsencode(hidden)}
    with contextlib.ExitStack() as stack:
        tables = _tables(
            stack, dtype, screen, calibrate, keep_ids, drop_ids, tie, allow_untied, recorded, check
        )
        encoded = [_existing(path) for path in paths]
        return _finished(_native.split(encoded, _encoded(folder), names, tables, _progress(stack, progress)))


def _finished(native: dict[str, Any]) -> Report:
    report = report_of(native)
    if not report.written:
        raise CheckFailedError(report)
    return report


def _tables(
    stack: contextlib.ExitStack, dtype: str, screen: bool, calibrate: Any, keep_ids: Any, drop_ids: Any,
    tie: Union[bool, str, None], allow_untied: bool, recorded: Any, check: bool,
) -> dict[str, Any]:
    if keep_ids is not None and drop_ids is not None:
        raise ValueError("pass keep_ids or drop_ids, not both")
    if calibrate is not None and not screen:
        raise ValueError("calibrate needs screen=True")
    return {
        "dtype": os.fsencode(dtype),
        "tie": os.fsencode({None: "none", False: "none", True: "finer"}.get(tie, tie)),  # type: ignore[arg-type]
        "screen": bool(screen),
        "calibrate": _hidden_file(stack, calibrate),
        "recorded": _hidden_file(stack, recorded),
        "keep_ids": _id_file(stack, keep_ids),
        "drop_ids": _id_file(stack, drop_ids),
        "allow_untied": bool(allow_untied),
        "check": bool(check),
    }


def _encoded(path: Path) -> bytes:
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("a path holds a null byte")
    return encoded


def _existing(path: Path) -> bytes:
    encoded = _encoded(path)
    if not os.path.exists(encoded):
        raise FileMissingError(f"{os.fspath(path)}: no such file")
    return encoded


def _temporary(stack: contextlib.ExitStack, name: str) -> str:
    return os.path.join(stack.enter_context(tempfile.TemporaryDirectory(prefix="tied-")), name)


def _model_path(stack: contextlib.ExitStack, model: Any) -> bytes:
    if isinstance(model, (str, os.PathLike)):
        return _existing(model)
    if hasattr(model, "SerializeToString"):  # an onnx.ModelProto
        path = _temporary(stack, "model.onnx")
        with open(path, "wb") as file:
            file.write(model.SerializeToString())
        return os.fsencode(path)
    if hasattr(model, "save_pretrained"):  # of transformers
        path = _temporary(stack, "model")
        model.save_pretrained(path, safe_serialization=True)
        return os.fsencode(path)
    raise TypeError(
        f"model is {type(model).__name__}; it must be a path, an onnx.ModelProto or a model of transformers")


def _hidden_file(stack: contextlib.ExitStack, hidden: Any) -> bytes:
    if hidden is None:
        return b""
    if isinstance(hidden, (str, os.PathLike)):
        return _existing(hidden)
    path = _temporary(stack, "hidden.f32")
    hidden_states(hidden, np.shape(hidden)[-1]).astype("<f4").tofile(path)
    return os.fsencode(path)


def _id_file(stack: contextlib.ExitStack, ids: Any) -> bytes:
    if ids is None:
        return b""
    if isinstance(ids, (str, os.PathLike)):
        return _existing(ids)
    path = _temporary(stack, "ids")
    with open(path, "w") as file:
        file.writelines(f"{id}\n" for id in token_ids(ids).ravel())
    return os.fsencode(path)


def _progress(stack: contextlib.ExitStack, progress: Progress) -> Optional[Callable[[str, int, int], None]]:
    if progress is not True:
        return progress or None
    try:
        from tqdm import tqdm  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        return None
    return stack.enter_context(_bars(tqdm))


@contextlib.contextmanager
def _bars(tqdm: Any) -> Iterator[Callable[[str, int, int], None]]:
    """Progress as a bar for each step."""
    bars: dict[str, Any] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in bars:
            bars[step] = tqdm(desc=step, total=total, unit="B", unit_scale=True, leave=False)
        bars[step].total = total
        bars[step].update(done - bars[step].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()
