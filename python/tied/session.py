"""Running a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from tied import _native
from tied.arrays import Floats, Ids, allowed_bits, hidden_states, output, tensor, token_ids
from tied.model import Model

_DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}  # of tied.h's types of tensors


@dataclass(frozen=True)
class BeamStep:
    """The best continuations of all beams, best first.

    parents: int32 [count]: the beam that each continues.
    ids: int64 [count]: the token id that it continues with.
    scores: float64 [count]: the beam's score plus the log-probability of the id.
    """

    parents: npt.NDArray[np.int32]
    ids: Ids
    scores: npt.NDArray[np.float64]


@dataclass(frozen=True)
class TopK:
    """The k best of each hidden state. For hidden states [..., cols]:

    ids, logits: [..., k], best first; of equal logits the lower id first.
    log_z: [...]: log of the sum of exp(logit) over the allowed ids, if it was asked for.
    bound: [...]: largest possible error of log_z.
    survivors: [...]: rows that were computed from the table; with a screen, a few.
    bytes_read: bytes of rows, scales and screen that the call read for all hidden states.
    """

    ids: Ids
    logits: Floats
    log_z: Optional[npt.NDArray[np.float64]]
    bound: Optional[npt.NDArray[np.float64]]
    survivors: npt.NDArray[np.uint64]
    bytes_read: int


class Session:
    """Runs a model. Owns a thread pool and scratch memory.

    Arrays are used in place if they are C-contiguous NumPy arrays, or arrays on the CPU that offer DLPack, such as
    PyTorch's: float32 for hidden states and logits, int64 for ids. Hidden states may also be float16, which is
    converted. Other dtypes are a TypeError and other layouts a ValueError, which say what to pass instead.

    Calls release the GIL. One thread at a time may use a session: a second call during the first is a BusyError. Ctrl-C
    ends a long call, which then raises KeyboardInterrupt. After os.fork(), the child makes new sessions on its parent's
    models; its parent's sessions raise RuntimeError there.
    """

    def __init__(
        self, model: Model, *, threads: int = 0, deterministic: bool = True, xnnpack_min_tokens: int = 0
    ) -> None:
        """Makes a session, which keeps the model's file open.

        threads: 1 to 256, including the calling one; 0: one for each performance core that the process may run on.
        deterministic: the same bits on every CPU, for any number of threads and tokens. Without it, calls with many
            tokens may use XNNPACK, which sums in a different order.
        xnnpack_min_tokens: without `deterministic`, use XNNPACK from this many tokens on; 0: a number that suits the
            CPU, or never.

        Raises InvalidArgumentError or OutOfMemoryError.
        """
        self._native = _native.Session(model._native, threads, deterministic, xnnpack_min_tokens)
        self.model = model
        info = model.info
        self._outputs = [value.name for value in info.outputs]
        kinds = {op.kind for entry in info.entry_points for op in entry.ops}
        self._embedding_cols = model.embedding.cols if "Embedding" in kinds else 0
        self._head_cols = model.head.cols if "Head" in kinds else 0
        self._vocabulary = model.head.vocabulary if "Head" in kinds else 0

    def close(self) -> None:
        """Destroys the thread pool; a call that runs in another thread ends first."""
        self._native.close()

    @property
    def closed(self) -> bool:
        return self._native.closed

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tied.Session of {self.model!r}, {'closed' if self.closed else f'{self.threads} threads'}>"

    @property
    def threads(self) -> int:
        """Threads that the session uses, including the calling one."""
        return self._native.threads

    def cancel(self) -> None:
        """Ends the call that runs on this session in another thread, if any: it raises CancelledError within a few
        milliseconds and leaves its outputs undefined. The session stays usable."""
        self._native.cancel()

    def embed(self, ids: Any, out: Optional[Floats] = None) -> Floats:
        """Embeddings [..., cols] of token ids [...], int64 or a list: their rows times the embedding's scale.

        out: a float32 array [..., cols] for the result.
        Raises OutOfRangeError for an id below 0, at or above the vocabulary, or dropped; nothing is then written.
        """
        if not self._embedding_cols:
            self.model.embedding
        ids = token_ids(ids)
        out = output(out, (*ids.shape, self._embedding_cols), np.float32, ids)
        self._native.embed(ids, out)
        return out

    def logits(
        self, hidden: Any, out: Optional[Floats] = None, *, rows: Any = None, allowed: Any = None
    ) -> Floats:
        """Logits [..., vocabulary] of hidden states [..., cols]; -infinity for dropped ids.

        rows: int64 [n], token ids in any order: only their logits are computed, [..., n].
        allowed: a Boolean mask [vocabulary], or its bits, np.packbits(mask, bitorder="little"): the logits of other ids
            are -infinity, and their rows are not read.
        out: a float32 array for the result.
        Raises OutOfRangeError for an id of `rows`.
        """
        hidden = self._hidden(hidden)
        if rows is not None and allowed is not None:
            raise ValueError("pass rows or allowed, not both")
        if rows is not None:
            rows = _list_of_ids(rows)
            out = output(out, (*hidden.shape[:-1], len(rows)), np.float32, hidden, rows)
            self._native.logits_of(hidden, rows, out)
            return out
        out = output(out, (*hidden.shape[:-1], self._vocabulary), np.float32, hidden)
        if allowed is not None:
            self._native.logits_allowed(hidden, allowed_bits(allowed, self._vocabulary), out)
        else:
            self._native.logits(hidden, out)
        return out

    def argmax(self, hidden: Any, out: Optional[Ids] = None) -> Ids:
        """Token ids [...] with the largest logit of each hidden state [..., cols]; of equal logits the lowest id.

        out: an int64 array [...] for the result.
        Raises NotFiniteError if `hidden` holds NaN or infinity, or a logit is NaN.
        """
        hidden = self._hidden(hidden)
        if out is None:
            out = np.empty(hidden.shape[:-1], np.int64)
        else:
            out = output(out, hidden.shape[:-1], np.int64, hidden)
        self._native.argmax(hidden, out)
        return out

    def topk(
        self,
        hidden: Any,
        k: int,
        *,
        rows: Any = None,
        allowed: Any = None,
        log_z_tolerance: Optional[float] = None,
        use_screen: bool = True,
    ) -> TopK:
        """The k ids with the largest logits of each hidden state [..., cols]. The result is that of a full pass.

        k: 1 to 1024, at most the number of allowed rows.
        rows: int64 [n], only these token ids, in any order; duplicates count once.
        allowed: only the ids of a Boolean mask [vocabulary], or of its bits, np.packbits(mask, bitorder="little"). With
            `rows`: ids that are in both.
        log_z_tolerance: also compute log_z, with at most this error. 0: in float64, by a pass over the whole table.
        use_screen: use the table's screen where it saves time. The results are the same.

        Raises InvalidArgumentError for k or the tolerance, OutOfRangeError for an id of `rows`, NotFiniteError if
        `hidden` holds NaN or infinity or a logit is NaN.
        """
        hidden = self._hidden(hidden)
        tokens = hidden.shape[:-1]
        if not 1 <= k <= 1024:
            raise ValueError(f"k is {k}; it must be 1 to 1024")
        if rows is not None:
            rows = _list_of_ids(rows)
        if allowed is not None:
            allowed = allowed_bits(allowed, self._vocabulary)
        ids, logits = np.empty((*tokens, k), np.int64), np.empty((*tokens, k), np.float32)
        survivors = np.zeros(tokens, np.uint64)
        log_z = bound = None
        if log_z_tolerance is not None:
            log_z, bound = np.empty(tokens), np.empty(tokens)
        bytes_read = self._native.topk(
            hidden, k, rows, allowed, use_screen, log_z_tolerance or 0.0, ids, logits, log_z, bound, survivors)
        return TopK(ids, logits, log_z, bound, survivors, bytes_read)

    def beam_step(
        self, hidden: Any, scores: Any, count: int, *, allowed: Any = None, log_z_tolerance: float = 0.0
    ) -> BeamStep:
        """One step of a beam search: the `count` largest sums of a beam's score and the log-probability of an id.

        hidden: the hidden state of each beam, [beams, cols]. scores: [beams], sums of log-probabilities; -inf for a
            beam that has none yet.
        count: 1 to 1024, at most the number of allowed ids; with 2 * beams, `beams` of them go on even if each beam
            ends. What ends a hypothesis is left to the caller.
        allowed: as for topk().
        log_z_tolerance: 0: exact. Above 0, each log-probability may be off by that much, and the screen can be used.

        Of equal sums the lower beam first. Raises InvalidArgumentError, and NotFiniteError also for a score that is NaN
        or +inf.
        """
        hidden = self._hidden(hidden)
        scores = np.ascontiguousarray(scores, np.float64)
        if hidden.ndim != 2 or scores.shape != hidden.shape[:1]:
            raise ValueError(f"hidden is {list(hidden.shape)} and scores {list(scores.shape)}; they must be [beams, "
                             f"{self._head_cols}] and [beams]")
        if not 1 <= count <= 1024:
            raise ValueError(f"count is {count}; it must be 1 to 1024")
        if allowed is not None:
            allowed = allowed_bits(allowed, self._vocabulary)
        results = count if len(scores) else 0
        parents, ids, best = np.empty(results, np.int32), np.empty(results, np.int64), np.empty(results)
        if results:
            self._native.beam_step(hidden, scores, allowed, log_z_tolerance, parents, ids, best)
        return BeamStep(parents, ids, best)

    def run(
        self, inputs: Mapping[str, Any], outputs: Optional[Sequence[str]] = None, *, entry_point: Optional[str] = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Runs an entry point with the names, types and shapes of the original ONNX graph, as
        onnxruntime.InferenceSession.run() does.

        inputs: what the graph's inputs are. Inputs that the entry point does not read are ignored.
        outputs: names of the wanted outputs; None: all.
        entry_point: its name; None: the selectors among the inputs choose it.

        Raises NameMissingError, InvalidArgumentError (type, rank, shape, a missing input or selector), OutOfRangeError;
        NotFiniteError as topk(), for an output that is a top-k.
        """
        entry = None if entry_point is None else os.fsencode(entry_point)
        given = [(os.fsencode(name), tensor(value, name)) for name, value in inputs.items()]
        names = self._outputs if outputs is None else list(outputs)
        encoded = [os.fsencode(name) for name in names]
        shapes = self._native.outputs_of(entry, given, [(name, None) for name in encoded])
        arrays: list[npt.NDArray[Any]] = [np.empty(shape, _DTYPES[kind]) for kind, shape in shapes]
        self._native.run(entry, given, list(zip(encoded, arrays)))
        return dict(zip(names, arrays))

    def _hidden(self, hidden: Any) -> Floats:
        if not self._head_cols:
            self.model.head
        return hidden_states(hidden, self._head_cols)


def _list_of_ids(rows: Any) -> Ids:
    ids = token_ids(rows, "rows")
    if ids.ndim != 1:
        raise ValueError(f"rows has the shape {list(ids.shape)}; it must be [n]")
    return ids
