"""The report of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from tied.errors import ConvertError


@dataclass(frozen=True)
class TableReport:
    """A table as it was written. vocabulary: token ids of the model; above `rows` if only some were kept. lossless:
    every value is kept exactly. reason: why it has this dtype; "" if the caller asked for it."""

    name: str
    dtype: str
    rows: int
    vocabulary: int
    cols: int
    screen: bool
    lossless: bool
    reason: str


@dataclass(frozen=True)
class TiedUse:
    """A use ("embedding" or "head") that reads another table than in the model (tie=). The roundings are expected root
    mean square errors of the weights that it reads now, and of those that it reads in the model."""

    use: str
    reads: str
    original: str
    rounding: float
    rounding_of_original: float
    largest_difference: float
    rms_difference: float


@dataclass(frozen=True)
class EntryPointReport:
    """A path through the graph. selectors: the inputs that choose it, with their values."""

    name: str
    selectors: dict[str, bool]


@dataclass(frozen=True)
class LogitErrors:
    """Errors of the logits of "random" or "recorded" hidden states. same_best: tokens whose best id is the same.
    overlap: share of the k best that are still among the k best."""

    hidden: str
    tokens: int
    largest: float
    same_best: int
    k: int
    overlap: float


@dataclass(frozen=True)
class MeasuredError:
    """The error of rounding the table."""

    largest_weight: float
    rms_weight: float
    logits: tuple[LogitErrors, ...]


@dataclass(frozen=True)
class OutputCheck:
    """One output of one entry point, compared with a reference evaluation. other_ids: for ids, how many differ.
    share_of_bound: largest share of the error bound; None if the table was rounded. fault: "" if there is none."""

    entry_point: str
    output: str
    values: int
    other_ids: Optional[int]
    largest_difference: float
    share_of_bound: Optional[float]
    fault: str


@dataclass(frozen=True)
class RowsCheck:
    """Every row of the file, compared with the model's: the largest shares of the allowed error."""

    lossless: bool
    worst_row: float
    worst_logit: Optional[float]


@dataclass(frozen=True)
class DroppedIdsCheck:
    """Whether the embedding refuses dropped ids, as it must."""

    ids: int
    refused: bool


@dataclass(frozen=True)
class CheckReport:
    """not_checked: why the check ended early; "" if it was complete."""

    outputs: tuple[OutputCheck, ...]
    dropped_ids: Optional[DroppedIdsCheck]
    rows: Optional[RowsCheck]
    not_checked: str
    passed: bool


@dataclass(frozen=True)
class Report:
    """A conversion. seconds: without the check. error: of the first table, if it was rounded."""

    output: str
    written: bool
    tables: tuple[TableReport, ...]
    tied_uses: tuple[TiedUse, ...]
    entry_points: tuple[EntryPointReport, ...]
    bytes: int
    seconds: float
    error: Optional[MeasuredError]
    check: Optional[CheckReport]


class CheckFailedError(ConvertError):
    """The check found a difference or could not run. Nothing is written; an existing file is unchanged."""

    def __init__(self, report: Report) -> None:
        self.report = report
        check = report.check
        faults = [] if check is None else [
            f"{output.output} of '{output.entry_point}': {output.fault}" for output in check.outputs if output.fault]
        if check is not None and check.not_checked:
            faults.append(check.not_checked)
        super().__init__(f"{report.output}: the check failed, nothing is written: {'; '.join(faults) or 'rows differ'}")


def report_of(native: dict[str, Any]) -> Report:
    """The dict of tied._native as dataclasses."""
    error, check = native["error"], native["check"]
    return Report(
        output=native["output"],
        written=native["written"],
        tables=tuple(
            TableReport(dtype=table["type"], **{name: table[name] for name in table if name != "type"})
            for table in native["tables"]),
        tied_uses=tuple(TiedUse(**use) for use in native["tied_uses"]),
        entry_points=tuple(EntryPointReport(**entry) for entry in native["entry_points"]),
        bytes=native["bytes"],
        seconds=native["seconds"],
        error=None if error is None else MeasuredError(
            error["largest_weight"], error["rms_weight"], tuple(LogitErrors(**item) for item in error["logits"])),
        check=None if check is None else _check_of(check))


def _check_of(check: dict[str, Any]) -> CheckReport:
    dropped, rows = check["dropped_ids"], check["rows"]
    return CheckReport(
        outputs=tuple(OutputCheck(**output) for output in check["outputs"]),
        dropped_ids=None if dropped is None else DroppedIdsCheck(**dropped),
        rows=None if rows is None else RowsCheck(**rows),
        not_checked=check["not_checked"],
        passed=check["passed"])
