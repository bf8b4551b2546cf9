"""The cells of the matrix: a family, an exporter, and a change to its files."""

import dataclasses
import functools
import pathlib
import re
import shutil
import typing

import changes
import families

DECODER = {"decoder": "model.onnx"}
THREE = {"encoder": "encoder_model.onnx", "decoder": "decoder_model.onnx", "past": "decoder_with_past_model.onnx"}
MERGED = {"encoder": "encoder_model.onnx", "decoder": "decoder_model_merged.onnx"}
PAIR = {"pair": "model.onnx"}
# Exports that all quantisers change. Others are only converted to float16.
QUANTISED = [("optimum", "Llama"), ("optimum", "GPT-2"), ("optimum", "M2M100, NLLB"), ("torch pair", "legacy"),
             ("torch pair", "legacy If"), ("torch pair", "dynamo")]


@dataclasses.dataclass(frozen=True)
class Cell:
    exporter: str
    family: str
    change: str  # "" for none
    files: typing.Any  # {role: file name}
    tolerance: float

    @property
    def rounded(self):
        return self.change.startswith("static")

    @property
    def name(self):
        return " / ".join(filter(None, [self.family, self.exporter, self.change]))


def exporter_of(name, family):
    """Returns the function that fills a folder. Imports torch, which is slow, only if something is exported."""
    import exporters

    if name.startswith("optimum"):
        return functools.partial(exporters.optimum, family, dtype="fp16" if "fp16" in name else "fp32",
                                 deduplicate="not deduplicated" not in name)
    if name.startswith("genai "):
        return functools.partial(exporters.genai, family, options=name.removeprefix("genai "))
    if name == "jax2onnx":
        return exporters.jax_pair
    if name == "torch pair":
        return functools.partial(exporters.torch_pair, family)
    if name == "torch legacy, other names":
        return functools.partial(exporters.torch_decoder, family, False, ids_name="tokens", logits_name="output1")
    return functools.partial(exporters.torch_decoder, family, dynamo=name == "torch dynamo")


def exports():
    """(exporter, family, files, tolerance)"""
    from_torch = ["Llama", "Qwen 3", "GPT-2", "Gemma 2"]
    for exporter, tolerance in (("optimum", 1e-4), ("optimum fp16", 0.02)):
        for family in families.DECODERS:
            yield exporter, family, DECODER, tolerance
        for family in families.TRANSLATORS:
            yield exporter, family, THREE, tolerance
            yield exporter + " merged", family, MERGED, tolerance
    for family in ("Llama", "GPT-2"):
        yield "optimum not deduplicated", family, DECODER, 1e-4
    for family in ("T5", "M2M100, NLLB"):
        yield "optimum not deduplicated", family, THREE, 1e-4
        yield "optimum not deduplicated merged", family, MERGED, 1e-4
    for options, (precision, _) in families.GENAI.items():
        for family in families.GENAI_FAMILIES:
            yield f"genai {options}", family, DECODER, {"fp32": 1e-4, "fp16": 0.02}.get(precision, 0.05)
    for exporter in ("torch legacy", "torch dynamo", "torch legacy, other names"):
        for family in from_torch:
            yield exporter, family, DECODER, 1e-4
    for family in ("legacy", "legacy If", "dynamo", "dynamo cond"):
        yield "torch pair", family, PAIR, 1e-4
    yield "jax2onnx", "Embed.attend", PAIR, 1e-4


def cells():
    for exporter, family, files, tolerance in exports():
        yield Cell(exporter, family, "", files, tolerance)
        quantised = (exporter.removesuffix(" merged"), family) in QUANTISED
        if quantised:
            for change, (_, loss) in changes.QUANTISERS.items():
                yield Cell(exporter, family, change, files, loss)
        if quantised or exporter in ("optimum", "torch dynamo") and files is DECODER:
            for change, (_, loss) in changes.SIMPLIFIERS.items():
                yield Cell(exporter, family, change, files, loss)


def folder_name(words):
    return re.sub(r"[^\w-]+", "_", words)


class NotMade(Exception):
    """The exporter or the quantiser failed, before tied ran."""


def cached(folder, make):
    """Returns `folder`, filled by make(folder) if it does not exist. Remembers a failure."""
    failed = folder.with_suffix(".failed")
    if failed.exists():
        raise NotMade(failed.read_text())
    if folder.exists():
        return folder
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        make(unfinished)
    except BaseException as error:
        shutil.rmtree(unfinished)
        if not isinstance(error, Exception):
            raise
        failed.write_text(f"{type(error).__name__}: {error}"[:2000])
        raise NotMade(failed.read_text()) from error
    unfinished.rename(folder)
    return folder


def made(models, cell):
    """Returns the folder with the cell's files."""
    exporter = cell.exporter.removesuffix(" merged")
    whole = cached(models / folder_name(exporter) / folder_name(cell.family),
                   lambda folder: exporter_of(exporter, cell.family)(folder))
    if not cell.change:
        return whole
    function, _ = {**changes.QUANTISERS, **changes.SIMPLIFIERS}[cell.change]

    def change(folder):
        for name in cell.files.values():
            function(whole / name, folder / name)

    suffix = "_merged" if cell.files == MERGED else ""
    return cached(models / folder_name(exporter) / folder_name(f"{cell.family}{suffix}__{cell.change}"), change)
