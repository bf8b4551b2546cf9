"""Keeps a few exports here without their weights, so that ctest can convert them without torch.

usage: test_samples.py MODELS       writes samples/ anew, from the folder that scripts/test-exporters fills

A sample is the graph as the exporter wrote it, compressed; large weights are random numbers, made again from a seed.
"""

import dataclasses
import gzip
import pathlib
import sys

import numpy as np
import onnx
import pytest

import cells
import changes
import matrix
from families import COLS, ROWS

SAMPLES = pathlib.Path(__file__).parent / "samples"
LARGE = 1024  # bytes
# Kept exports.
KEPT = ["Llama / optimum", "SmolLM3 / optimum", "Gemma 2 / optimum", "Gemma 3 / optimum fp16", "Granite / optimum",
        "GPT-2 / optimum", "T5 / optimum", "M2M100, NLLB / optimum merged", "Llama / genai fp32",
        "Llama / genai int4 rtn", "Phi-3 / genai fp16", "Qwen 3 / torch dynamo", "dynamo cond / torch pair",
        "legacy If / torch pair", "Embed.attend / jax2onnx"]
# Converted exports: these, and the results of quantisers, which do not need torch.
CONVERTED = ["Gemma 2 / optimum", "Granite / optimum",
             "Llama / optimum", "SmolLM3 / optimum", "Gemma 3 / optimum fp16", "GPT-2 / optimum", "T5 / optimum",
             "M2M100, NLLB / optimum merged", "Llama / genai fp32", "Phi-3 / genai fp16", "Llama / genai int4 rtn",
             "Qwen 3 / torch dynamo", "Embed.attend / jax2onnx",
             "legacy If / torch pair", "legacy If / torch pair / dynamic QUInt8",
             "legacy If / torch pair / dynamic, the app's, ORT all",
             "legacy If / torch pair / 4 bits, block 64", "GPT-2 / optimum / 4 bits, block 32",
             "Llama / optimum / dynamic QUInt8", "M2M100, NLLB / optimum merged / dynamic QUInt8, per_channel"]


def chosen(names):
    by_name = {cell.name: cell for cell in cells.cells()}
    return [by_name[name] for name in names]


def graphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def tensors(model):
    for graph in graphs(model.graph):
        yield from graph.initializer
        for node in graph.node:
            yield from (attribute.t for attribute in node.attribute if attribute.type == onnx.AttributeProto.TENSOR)


def make(models):
    SAMPLES.mkdir(exist_ok=True)
    for cell in chosen(KEPT):
        folder = cells.made(models, cell)
        for role, name in cell.files.items():
            model = onnx.load(folder / name)
            for graph in graphs(model.graph):
                del graph.value_info[:]
                for node in graph.node:
                    node.doc_string = ""
                    del node.metadata_props[:]
            for tensor in tensors(model):
                data = onnx.numpy_helper.to_array(tensor)
                if data.nbytes > LARGE and data.dtype.kind != "i":
                    for field in ("raw_data", "float_data", "int32_data"):
                        tensor.ClearField(field)
            compressed = gzip.compress(model.SerializeToString(), mtime=0)
            (SAMPLES / f"{cells.folder_name(cell.name)}.{role}.onnx.gz").write_bytes(compressed)


def empty(tensor):
    return not any(len(getattr(tensor, field)) for field in ("raw_data", "float_data", "int32_data", "int64_data"))


def fill(tensor):
    """Weights of one shape are the same numbers in each file of a model, and so is a transposed copy of the table."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    shape = tuple(tensor.dims)
    transposed = shape == (COLS, ROWS)
    random = np.random.default_rng(int(np.prod(shape)))
    if kind == np.uint8:
        values = random.integers(0, 256, shape)
    else:
        values = random.normal(0, 0.04 if ROWS in shape else 0.2, shape[::-1] if transposed else shape)
        values = values.astype(np.float16)  # of some exports the head is float32, with float16's values
    tensor.raw_data = np.ascontiguousarray(values.T if transposed else values).astype(kind).tobytes()


def read(cell, folder):
    """Makes the files of a cell: a sample, changed by its quantiser."""
    whole = dataclasses.replace(cell, change="")
    for role, name in cell.files.items():
        path = SAMPLES / f"{cells.folder_name(whole.name)}.{role}.onnx.gz"
        model = onnx.ModelProto.FromString(gzip.decompress(path.read_bytes()))
        for tensor in tensors(model):
            if np.prod(tensor.dims) and empty(tensor):
                fill(tensor)
        onnx.save(model, folder / name)
        if cell.change:
            (folder / name).rename(folder / "whole.onnx")
            changes.QUANTISERS[cell.change][0](folder / "whole.onnx", folder / name)


@pytest.mark.parametrize("cell", chosen(CONVERTED), ids=lambda cell: cell.name)
def test_sample(cell, tmp_path, monkeypatch):
    """Converts an export and compares, as matrix.py does."""
    monkeypatch.chdir(tmp_path)  # some quantisers leave files where they run
    read(cell, tmp_path)
    result = matrix.run_in(cell, tmp_path)
    assert result.word == "right", result.why


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
