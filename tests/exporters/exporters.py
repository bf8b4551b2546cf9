"""Exports tiny models with common exporters, called in the usual way. Each function fills a folder."""

import pathlib
import sys
import tempfile

import torch

import families

def optimum(family, folder, dtype="fp32", deduplicate=True):
    """optimum-cli export onnx: model.onnx of a decoder; encoder, decoder, decoder with past and merged of others.
    deduplicate: with the package accelerate installed, optimum stores tied weights once."""
    from optimum.exporters.onnx import base, onnx_export_from_model

    base.is_accelerate_available = lambda: deduplicate
    model = families.make(family)
    if dtype == "fp16":
        model = model.half()
    task = "text-generation" if family in families.DECODERS else (
        "automatic-speech-recognition" if family == "Whisper" else "text2text-generation")
    onnx_export_from_model(model, folder, task=f"{task}-with-past", do_validation=False)


def genai(family, folder, options):
    """python -m onnxruntime_genai.models.builder -p PRECISION -e cpu --extra_options …"""
    import importlib.util

    import onnxruntime_genai

    package = pathlib.Path(onnxruntime_genai.__file__).parent / "models"
    if str(package) not in sys.path:
        sys.path.insert(0, str(package))
    import builder
    import builders.base

    builders.base.Model.save_processing = lambda *_: None  # the tokenizer, which tiny models do not have
    precision, extra = families.GENAI[options]
    model = families.make(family)
    with tempfile.TemporaryDirectory() as source:
        model.config.architectures = [type(model).__name__]
        model.save_pretrained(source)
        builder.create_model(family, source, str(folder), precision, "cpu", f"{source}/cache", **extra)


class PlainDecoder(torch.nn.Module):
    """No cache, and a mask made here, because the masks of transformers need an exporter that replaces them."""

    def __init__(self, family):
        super().__init__()
        self.model = families.make(family)
        self.model.set_attn_implementation("eager")

    def forward(self, input_ids):
        row = torch.arange(input_ids.shape[1])
        mask = torch.where(row[None, :] > row[:, None], -1e4, 0.0)[None, None].expand(input_ids.shape[0], 1, -1, -1)
        return self.model(input_ids=input_ids, attention_mask=mask, use_cache=False).logits


def torch_decoder(family, folder, dynamo, ids_name="input_ids", logits_name="logits"):
    """torch.onnx.export(model, (input_ids,)), with dynamo=True or the older TorchScript exporter."""
    ids = torch.tensor([[5, 17, 80, 3]])
    options = {"input_names": [ids_name], "output_names": [logits_name], "dynamo": dynamo}
    if dynamo:
        batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence", min=2, max=64)
        options |= {"dynamic_shapes": {"input_ids": {0: batch, 1: sequence}}, "external_data": False}
    else:
        options["dynamic_axes"] = {ids_name: {0: "batch", 1: "sequence"}}
    with torch.no_grad():
        torch.onnx.export(PlainDecoder(family), (ids,), str(folder / "model.onnx"), **options)


class Tied(torch.nn.Module):
    """Only the table."""

    def __init__(self, scale=8.0):
        super().__init__()
        torch.manual_seed(11)
        self.shared = torch.nn.Embedding(families.ROWS, families.COLS)
        self.lm_head = torch.nn.Linear(families.COLS, families.ROWS, bias=False)
        self.lm_head.weight = self.shared.weight
        self.scale = scale


class Pair(Tied):
    """Computes both uses in every call."""

    def forward(self, input_ids, pre_logits):
        return self.shared(input_ids) * self.scale, self.lm_head(pre_logits)


class IfPair(Tied):
    """Computes one use, chosen by an If from torch.jit.script."""

    def forward(self, input_ids, pre_logits, use_lm_head):
        if bool(use_lm_head):
            logits = self.lm_head(pre_logits)
            embeddings = torch.zeros([1, 1, 64])
        else:
            logits = torch.zeros([1, 1, 160])
            embeddings = self.shared(input_ids) * self.scale
        return embeddings, logits


class CondPair(Tied):
    """Computes one use, chosen by torch.cond."""

    def forward(self, input_ids, pre_logits, use_lm_head):
        def head(ids, hidden):
            return hidden.new_zeros(ids.shape[0], ids.shape[1], families.COLS), self.lm_head(hidden)

        def embedding(ids, hidden):
            return self.shared(ids) * self.scale, hidden.new_zeros(hidden.shape[0], hidden.shape[1], families.ROWS)

        return torch.cond(use_lm_head, head, embedding, (input_ids, pre_logits))


PAIRS = {"legacy": (Pair, False), "legacy If": (IfPair, False), "dynamo": (Pair, True), "dynamo cond": (CondPair, True)}


def torch_pair(kind, folder):
    make, dynamo = PAIRS[kind]
    module = make().eval()
    args = (torch.tensor([[5, 17, 80]]), torch.randn(1, 3, families.COLS))
    names = ["input_ids", "pre_logits"]
    if make is not Pair:
        args, names = (*args, torch.tensor(True)), [*names, "use_lm_head"]
    options = {"input_names": names, "output_names": ["embeddings", "logits"], "dynamo": dynamo}
    if dynamo:
        batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
        options["dynamic_shapes"] = [{0: batch, 1: length}, {0: batch, 1: length}, *[None] * (len(names) - 2)]
        options["external_data"] = False
    else:
        options["dynamic_axes"] = {name: {0: "batch", 1: "length"} for name in [*names[:2], "embeddings", "logits"]}
        if make is IfPair:
            module = torch.jit.script(module)
    torch.onnx.export(module, args, str(folder / "model.onnx"), **options)


def jax_pair(folder):
    """flax.nnx.Embed with attend, by jax2onnx."""
    import flax.nnx
    import jax
    import jax2onnx
    import numpy as np

    class Embedding(flax.nnx.Module):
        def __init__(self):
            self.shared = flax.nnx.Embed(families.ROWS, families.COLS, rngs=flax.nnx.Rngs(0))

        def __call__(self, input_ids, pre_logits):
            return self.shared(input_ids), self.shared.attend(pre_logits)

    inputs = [jax.ShapeDtypeStruct((1, 3), np.int32), jax.ShapeDtypeStruct((1, 3, families.COLS), np.float32)]
    jax2onnx.to_onnx(Embedding(), inputs, return_mode="file", output_path=str(folder / "model.onnx"))
