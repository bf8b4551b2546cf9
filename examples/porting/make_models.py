#!/usr/bin/env python3
"""Makes a small random translation model in the parts in which the app has NLLB-200:

encoder.onnx             embed_matrix, attention_mask → last_hidden_state
cache_initializer.onnx   encoder_hidden_states → the keys and values of the attention to the encoder
decoder.onnx             embed_matrix, encoder_attention_mask, the cache → pre_logits, the cache with one more token
embed_and_lm_head.onnx   an If with the embedding and the lm_head (scripts/make_nllb_onnx.py)

and in speech/ a small random Whisper, whose decoder is one file, with the table in it twice:

encoder.onnx             input_features → last_hidden_state
cache_initializer.onnx   as above
decoder.onnx             input_ids, the cache → logits, the cache with one more token

In speech_int8/ ONNX Runtime's quantize_dynamic has rounded the weights of that decoder, in speech_layers_int8/ all but
those of the embedding and the head.
"""

import argparse
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from quantise import quantise

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))
import make_nllb_onnx  # noqa: E402

ROWS, COLS, HEADS, LAYERS, POSITIONS, END = 500, 64, 4, 2, 64, 2
MELS = 16
PAIR = ["/model/decoder/embed_tokens/Gather", "/proj_out/MatMul"]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
CACHE = ["batch", HEADS, "length", COLS // HEADS]


def value(name, type_, *dims):
    return helper.make_tensor_value_info(name, type_, dims)


class Builder:
    def __init__(self):
        self.nodes, self.constants = [], {}

    def add(self, op, *inputs, output=None, **attributes):
        output = output or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, name, values):
        self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def random(self, name, *dims, scale=1.0):
        random = np.random.default_rng([*name.encode()])
        return self.constant(name, random.normal(0, scale, dims).astype(np.float32))

    def linear(self, x, name):
        return self.add("MatMul", x, self.random(name, COLS, COLS, scale=1.5 / COLS**0.5))

    def heads(self, x, output=None):
        """[batch, length, cols] to [batch, heads, length, cols / heads]"""
        split = self.add("Reshape", x, self.constant("heads", [0, 0, HEADS, COLS // HEADS]))
        return self.add("Transpose", split, perm=[0, 2, 1, 3], output=output)

    def attention(self, x, keys, values, mask, name):
        scores = self.add("MatMul", self.heads(self.linear(x, f"{name}.query")),
                          self.add("Transpose", keys, perm=[0, 1, 3, 2]))
        scores = self.add("Mul", scores, self.constant("root", np.float32((COLS // HEADS)**-0.5)))
        if mask:
            visible = self.add("Cast", self.add("Unsqueeze", mask, self.constant("axes", [1, 2])), to=TensorProto.BOOL)
            scores = self.add("Where", visible, scores, self.constant("hidden", np.float32(-1e9)))
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), values)
        mixed = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.linear(self.add("Reshape", mixed, self.constant("cols", [0, 0, COLS])), f"{name}.out")

    def norm(self, x, name, output=None):
        scale = self.constant(f"{name}.scale", np.ones(COLS, np.float32))
        return self.add("LayerNormalization", x, scale, output=output)

    def save(self, path, inputs, outputs):
        graph = helper.make_graph(self.nodes, "main_graph", inputs, outputs, list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def save_encoder(path):
    build = Builder()
    position = build.add("CumSum", "attention_mask", build.constant("axis", np.int64(1)))
    x = build.add("Add", "embed_matrix", build.add("Gather", build.random("positions", POSITIONS, COLS), position))
    keys, values = (build.heads(build.linear(x, f"encoder.{name}")) for name in ("key", "value"))
    x = build.add("Add", x, build.attention(x, keys, values, "attention_mask", "encoder"))
    build.norm(x, "norm", output="last_hidden_state")
    build.save(path, [value("embed_matrix", FLOAT, "batch", "length", COLS),
                      value("attention_mask", INT64, "batch", "length")],
               [value("last_hidden_state", FLOAT, "batch", "length", COLS)])


def save_cache_initializer(path):
    build, outputs = Builder(), []
    for layer in range(LAYERS):
        for name in ("key", "value"):
            outputs.append(value(f"present.{layer}.encoder.{name}", FLOAT, *CACHE))
            build.heads(build.linear("encoder_hidden_states", f"{layer}.cross.{name}"), output=outputs[-1].name)
    build.save(path, [value("encoder_hidden_states", FLOAT, "batch", "length", COLS)], outputs)


def layers(build, embedded, mask):
    """The decoder between embedding and head: hidden states, and the inputs and outputs of the cache."""
    cache, present = [], []
    length = build.add("Gather", build.add("Shape", "past_key_values.0.decoder.key"), build.constant("two", [2]))
    x = build.add("Add", embedded, build.add("Gather", build.random("positions", POSITIONS, COLS), length))
    for layer in range(LAYERS):
        past = {}
        for side in ("decoder", "encoder"):
            for name in ("key", "value"):
                past[side, name] = f"past_key_values.{layer}.{side}.{name}"
                dims = [dim if dim != "length" else f"{side}_length" for dim in CACHE]
                cache.append(value(past[side, name], FLOAT, *dims))
        normed = build.norm(x, f"{layer}.self.norm")
        both = []
        for name in ("key", "value"):
            present.append(value(f"present.{layer}.decoder.{name}", FLOAT, *CACHE))
            own = build.heads(build.linear(normed, f"{layer}.self.{name}"))
            both.append(build.add("Concat", past["decoder", name], own, axis=2, output=present[-1].name))
        x = build.add("Add", x, build.attention(normed, *both, None, f"{layer}.self"))
        normed = build.norm(x, f"{layer}.cross.norm")
        x = build.add("Add", x, build.attention(normed, past["encoder", "key"], past["encoder", "value"], mask,
                                                f"{layer}.cross"))
        x = build.add("Add", x, build.linear(build.add("Tanh", build.linear(x, f"{layer}.in")), f"{layer}.out"))
    return build.linear(x, "mix"), cache, present


def save_decoder(path):
    build, mask = Builder(), "encoder_attention_mask"
    x, cache, present = layers(build, "embed_matrix", mask)
    build.norm(x, "norm", output="pre_logits")
    build.save(path, [value("embed_matrix", FLOAT, "batch", 1, COLS), value(mask, INT64, "batch", "encoder_length"),
                      *cache], [value("pre_logits", FLOAT, "batch", 1, COLS), *present])


def table():
    values = np.random.default_rng(7).normal(0, 0.4, (ROWS, COLS)).astype(np.float32)
    values[END] *= 2  # a larger logit, so that sentences end
    return values


def save_embed_and_lm_head(path):
    weight = numpy_helper.from_array(table(), make_nllb_onnx.WEIGHT)
    graph = make_nllb_onnx.make_graph("matmul_transpose", ROWS, COLS, [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def save_speech_encoder(path):
    build = Builder()
    window = build.random("conv", COLS, MELS, 3, scale=0.2)
    x = build.add("Conv", "input_features", window, strides=[2], pads=[1, 1])
    x = build.add("Transpose", build.add("Tanh", x), perm=[0, 2, 1])
    keys, values = (build.heads(build.linear(x, f"encoder.{name}")) for name in ("key", "value"))
    x = build.add("Add", x, build.attention(x, keys, values, None, "encoder"))
    build.norm(x, "norm", output="last_hidden_state")
    build.save(path, [value("input_features", FLOAT, "batch", MELS, "frames")],
               [value("last_hidden_state", FLOAT, "batch", "length", COLS)])


def save_speech_decoder(path):
    """Embedding and head as exporters write them: rows of the table, and a product with a transposed copy."""
    build = Builder()
    weight = build.constant("model.decoder.embed_tokens.weight", table())
    embedded = build.add("Gather", weight, "input_ids", name=PAIR[0])
    x, cache, present = layers(build, embedded, None)
    # As in a trained model, a hidden state points at one row, so that tokens do not depend on the head's rounding.
    towards = np.random.default_rng(8).normal(0, 100, (COLS, ROWS)).astype(np.float32)
    towards[:, END] *= 2
    nearest = build.add("Softmax", build.add("MatMul", build.norm(x, "norm"), build.constant("towards", towards)))
    rows = table() + np.random.default_rng(9).normal(0, 0.05, (ROWS, COLS)).astype(np.float32)
    hidden = build.add("MatMul", nearest, build.constant("rows", rows))
    build.add("MatMul", hidden, build.constant("onnx::MatMul_1207", table().T.copy()), output="logits",
              name=PAIR[1])
    build.save(path, [value("input_ids", INT64, "batch", 1), *cache],
               [value("logits", FLOAT, "batch", 1, ROWS), *present])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    for name, quantised in (("speech", False), ("speech_int8", True), ("speech_layers_int8", True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        save_speech_encoder(folder / name / "encoder.onnx")
        save_cache_initializer(folder / name / "cache_initializer.onnx")
        decoder = folder / name / "decoder.onnx"
        save_speech_decoder(decoder)
        if quantised:
            quantise(decoder, decoder, PAIR if name == "speech_layers_int8" else [])
    save_encoder(folder / "encoder.onnx")
    save_cache_initializer(folder / "cache_initializer.onnx")
    save_decoder(folder / "decoder.onnx")
    save_embed_and_lm_head(folder / "embed_and_lm_head.onnx")


if __name__ == "__main__":
    main()
