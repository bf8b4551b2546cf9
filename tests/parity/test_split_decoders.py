"""Decoders in the forms that exporters of language models write, whole and split."""

import numpy as np
import onnx
import pytest
import tied
from onnx import TensorProto, helper, numpy_helper

import tiny_translator as tiny
from runners import run_session, session

ROWS, COLS, BLOCK, PADDED = 97, 80, 32, 96
FLOAT, HALF, INT32 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32
IDS = np.array([[5, 17, 80, 3], [41, 2, 0, 95]])


def table():
    return np.random.default_rng(3).normal(0, 0.5, (ROWS, COLS)).astype(np.float32)


class Decoder(tiny.Builder):
    """Weights of one floating-point type."""

    def __init__(self, type_):
        super().__init__("/model")
        self.type, self.dtype = type_, helper.tensor_dtype_to_np_dtype(type_)

    def floats(self, name, values):
        return self.constant(numpy_helper.from_array(np.array(values, self.dtype), name))

    def linear(self, x, name):
        weight = np.random.default_rng([*map(ord, name)]).normal(0, 0.3, (COLS, COLS))
        return self.add("MatMul", x, self.floats(name, weight))

    def norm(self, x, name, keep_type=True):
        """RMSNorm as PyTorch exports it: computed in float32, whatever the type of x."""
        wide = self.add("Cast", x, to=FLOAT)
        two = self.constant(numpy_helper.from_array(np.float32(2), "two"))
        mean = self.add("ReduceMean", self.add("Pow", wide, two), self.ints("last", [-1]), keepdims=1)
        epsilon = self.constant(numpy_helper.from_array(np.float32(1e-6), "epsilon"))
        root = self.add("Sqrt", self.add("Add", mean, epsilon))
        narrow = self.add("Cast", self.add("Div", wide, root), to=self.type if keep_type else FLOAT)
        return self.add("Mul", self.floats(name, np.linspace(0.5, 1.5, COLS)), narrow)

    def layers(self, x):
        x = self.add("Add", x, self.linear(self.norm(x, "input_norm"), "attention"))
        return self.norm(self.add("Add", x, self.linear(self.norm(x, "post_norm"), "mlp")), "norm")


def quantise(values, zero_points):
    """Returns uint4 [ROWS, COLS], scales and zero points [ROWS, blocks], and the dequantised numbers."""
    blocks = values.reshape(ROWS, -1, BLOCK) if values.shape[1] % BLOCK == 0 else None
    scales = (np.abs(blocks).max(axis=2) / 7).astype(np.float32)
    zeros = np.random.default_rng(1).integers(7, 10, scales.shape) if zero_points else np.full(scales.shape, 8)
    integers = np.clip(np.round(blocks / scales[..., None]) + zeros[..., None], 0, 15).astype(np.uint8)
    return integers.reshape(values.shape), scales, zeros.astype(np.uint8)


def pack(integers):
    flat = integers.reshape(-1)
    flat = np.concatenate([flat, np.zeros(flat.size % 2, np.uint8)])
    return (flat[0::2] | flat[1::2] << 4).tobytes()


def uint4(name, integers):
    return helper.make_tensor(name, TensorProto.UINT4, integers.shape, pack(integers), raw=True)


def padded_table():
    return np.concatenate([table(), np.zeros((ROWS, PADDED - COLS), np.float32)], axis=1)


# ---- embeddings: the rows of the ids; heads: the logits


def embed_plain(build, ids):
    return build.add("Gather", build.floats("W", table()), ids)


def embed_scaled(build, ids):
    """Gemma: the rows times a number, which a Cast may hide."""
    return build.add("Mul", embed_plain(build, ids), build.floats("normalizer", COLS**0.5))


def embed_scaled_beside_rows(build, ids):
    rows = embed_plain(build, ids)
    return build.add("Add", build.add("Mul", rows, build.floats("normalizer", COLS**0.5)), build.add("Neg", rows))


def embed_transposed(build, ids):
    """onnxruntime-genai's model builder: one matrix [cols, rows]."""
    return build.add("Gather", build.add("Transpose", build.floats("Wt", table().T), perm=[1, 0]), ids)


def embed_cast_ids(build, ids):
    return build.add("Gather", build.floats("W", table()), build.add("Cast", ids, to=TensorProto.INT64))


def head_copy(build, hidden):
    return build.add("MatMul", hidden, build.floats("onnx::MatMul_1", table().T))


def head_shared(build, hidden):
    return build.add("MatMul", hidden, build.floats("Wt", table().T))


def head_left(build, hidden):
    """Whisper: the table times hidden states."""
    columns = build.add("Transpose", hidden, perm=[0, 2, 1])
    return build.add("Transpose", build.add("MatMul", build.floats("W", table()), columns), perm=[0, 2, 1])


def block_inputs(build, zero_points):
    integers, scales, zeros = quantise(padded_table(), zero_points)
    packed = np.frombuffer(pack(integers), np.uint8).reshape(ROWS, -1, BLOCK // 2)
    names = [build.constant(numpy_helper.from_array(packed, "Q4")), build.floats("scales", scales)]
    packed_zeros = np.array([list(pack(row)) for row in zeros], np.uint8)
    return names, packed_zeros


def embed_padded(zero_points, type_given):
    def embed(build, ids):
        (packed, scales), zeros = block_inputs(build, zero_points)
        shape = build.ints("shape_of_rows", [ROWS, PADDED // 2])
        inputs = [build.add("Reshape", packed, shape), ids, scales]
        if zero_points:
            inputs.append(build.constant(numpy_helper.from_array(zeros, "zeros")))
        attributes = {"bits": 4, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
        rows = build.add("GatherBlockQuantized", *inputs, domain="com.microsoft", **attributes)
        bounds = [build.ints(f"bound_{value}", [value]) for value in (0, COLS, -1)]
        return build.add("Slice", rows, *bounds, *([build.ints("step", [1])] if type_given else []))

    return embed


def head_blocks(zero_points):
    def head(build, hidden):
        (packed, scales), zeros = block_inputs(build, zero_points)
        inputs = [hidden, packed, scales]
        if zero_points:
            inputs.append(build.constant(numpy_helper.from_array(zeros.reshape(-1), "flat_zeros")))
        return build.add("MatMulNBits", *inputs, domain="com.microsoft", K=COLS, N=ROWS, bits=4, block_size=BLOCK)

    return head


def embed_blocks(build, ids):
    integers, scales, zeros = quantise(padded_table(), zero_points=True)
    inputs = [build.constant(uint4("Q", integers[:, :COLS])), ids, build.floats("scales", scales),
              build.constant(uint4("zeros", zeros))]
    return build.add("GatherBlockQuantized", *inputs, domain="com.microsoft", block_size=BLOCK, gather_axis=0,
                     quantize_axis=1)


def head_blocks_down(build, hidden):
    """Olive and ONNX Runtime's QDQ encoding of four-bit weights: [cols, rows] in blocks of columns."""
    integers, scales, zeros = quantise(padded_table(), zero_points=True)
    inputs = [build.constant(uint4("Qt", integers[:, :COLS].T)), build.floats("scales_down", scales.T),
              build.constant(uint4("zeros_down", zeros.T))]
    return build.add("MatMul", hidden, build.add("DequantizeLinear", *inputs, axis=0, block_size=BLOCK))


def dequantised(build, domain, integers, scales, zeros, **attributes):
    inputs = [build.constant(integers), build.floats("scales", scales), build.constant(zeros)]
    return build.add("DequantizeLinear", *inputs, domain=domain, **attributes)


def one_block_a_row(build):
    values = np.random.default_rng(5).integers(-127, 128, (ROWS, COLS)).astype(np.int8)
    scales = np.linspace(0.002, 0.004, ROWS).reshape(ROWS, 1)
    zeros = np.random.default_rng(6).integers(-3, 4, (ROWS, 1)).astype(np.int8)
    return dequantised(build, "", numpy_helper.from_array(values, "Q"), scales, numpy_helper.from_array(zeros, "zeros"),
                       axis=1, block_size=COLS)


def four_bits_by_row(build):
    integers, _, _ = quantise(padded_table(), zero_points=False)
    scales = np.linspace(0.05, 0.1, ROWS)
    zeros = np.random.default_rng(6).integers(6, 10, ROWS).astype(np.uint8)
    return dequantised(build, "", uint4("Q", integers[:, :COLS]), scales, uint4("zeros", zeros), axis=0)


def contrib(build):
    values = np.random.default_rng(5).integers(0, 256, (ROWS, COLS)).astype(np.uint8)
    return dequantised(build, "com.microsoft", numpy_helper.from_array(values, "Q"), 0.004,
                       numpy_helper.from_array(np.uint8(119), "zeros"))


def embed_dequantised(table_of):
    return lambda build, ids: build.add("Gather", table_of(build), ids)


def head_dequantised(table_of):
    return lambda build, hidden: build.add("MatMul", hidden, build.add("Transpose", table_of(build), perm=[1, 0]))


CASES = [
    ("RMSNorm", FLOAT, embed_plain, head_copy, {}),
    ("RMSNorm, float16", HALF, embed_plain, head_copy, {}),
    ("scaled rows", FLOAT, embed_scaled, head_copy, {}),
    ("scaled rows, float16", HALF, embed_scaled, head_copy, {}),
    ("rows beside scaled rows", FLOAT, embed_scaled_beside_rows, head_copy, {}),
    ("one transposed matrix", FLOAT, embed_transposed, head_shared, {}),
    ("one transposed matrix, float16", HALF, embed_transposed, head_shared, {}),
    ("table on the left", FLOAT, embed_plain, head_left, {"ids": "tokens", "logits": "output1"}),
    ("int32 ids", FLOAT, embed_plain, head_copy, {"type": INT32}),
    ("Cast of int32 ids", FLOAT, embed_cast_ids, head_copy, {"type": INT32, "ids": "decoder_input_ids"}),
    ("padded blocks", FLOAT, embed_padded(False, False), head_blocks(False), {}),
    ("padded blocks, zero points", FLOAT, embed_padded(True, True), head_blocks(True), {}),
    ("blocks down the matrix", FLOAT, embed_blocks, head_blocks_down, {}),
    ("one block a row", FLOAT, embed_dequantised(one_block_a_row), head_dequantised(one_block_a_row), {}),
    ("four bits by row: blocks", FLOAT, embed_dequantised(four_bits_by_row), head_dequantised(four_bits_by_row), {}),
    ("contrib Q/DQ: one block", FLOAT, embed_dequantised(contrib), head_dequantised(contrib), {}),
]


def make(type_, embed, head, ids="input_ids", logits="logits", type_of_ids=TensorProto.INT64, branches=False):
    """branches: the same in both branches of an If, as merged decoders have it."""
    build = Decoder(type_)
    output = head(build, build.layers(embed(build, ids)))
    build.add("Identity", output, output=logits)
    inputs = [helper.make_tensor_value_info(ids, type_of_ids, ["batch", "length"])]
    outputs = [helper.make_tensor_value_info(logits, type_, ["batch", "length", ROWS])]
    nodes = build.nodes
    if branches:
        inner = [helper.make_graph(build.nodes, name, [], outputs) for name in ("then", "else")]
        nodes = [helper.make_node("If", ["use_cache_branch"], [logits], then_branch=inner[0], else_branch=inner[1])]
        inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
        for i, graph in enumerate(inner):  # values of the two branches have different names
            for node in graph.node:
                node.input[:] = [f"{name}_{i}" if name.startswith("/model") else name for name in node.input]
                node.output[:] = [f"{name}_{i}" for name in node.output]
            graph.output[0].name = f"{logits}_{i}"
    graph = helper.make_graph(nodes, "main_graph", inputs, outputs, list(build.constants.values()))
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def run(path, given):
    opened = session(path, optimise=False)
    return dict(zip([value.name for value in opened.get_outputs()], run_session(opened, None, given)))


@pytest.mark.parametrize("branches", (False, True), ids=("plain", "merged"))
@pytest.mark.parametrize("name, type_, embed, head, options", CASES, ids=[case[0] for case in CASES])
def test_decoder(name, type_, embed, head, options, branches, tmp_path):
    """The same tokens from the whole decoder and from the split one."""
    ids, logits = options.get("ids", "input_ids"), options.get("logits", "logits")
    type_of_ids = options.get("type", TensorProto.INT64)
    model = make(type_, embed, head, ids=ids, logits=logits, type_of_ids=type_of_ids, branches=branches)
    onnx.save(model, tmp_path / "model.onnx")
    parts = tmp_path / "split"
    tied.split(tmp_path / "model.onnx", parts, check=True)
    onnx.checker.check_model(parts / "model.onnx")
    # float16 rounds each of some hundred sums; with 4-bit heads, only tied quantises hidden states to 16 bits.
    tolerance = 2e-2 if type_ == HALF else 1e-4 if "block" in name else 2e-5
    with tied.Model(parts / "model.tied") as opened, tied.Session(opened) as table:
        for branch in (False, True):
            given = {ids: IDS, "use_cache_branch": np.array([branch])}
            expected = run(tmp_path / "model.onnx", given)[logits].astype(np.float32)
            hidden = run(parts / "model.onnx", {**given, "inputs_embeds": table.embed(IDS)})["hidden"]
            actual = table.logits(hidden.astype(np.float32)).reshape(expected.shape)
            assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()
            assert (actual.argmax(-1) == expected.argmax(-1)).all()
