"""ONNX models of a tied pair whose table is quantised or narrow, as tools write them."""

import logging
import pathlib
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

import models

logging.disable(logging.WARNING)  # quantize_dynamic() recommends steps that these models do not need

ROWS, COLS = models.ROWS, 96


def weight():
    return np.random.default_rng(0).normal(0, 0.5, (ROWS, COLS)).astype(np.float32)


def _model(nodes, constants, opset=17):
    """input_ids to embed_matrix and pre_logits to logits, side by side."""
    graph = helper.make_graph(
        nodes,
        "tied_pair",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"]),
            helper.make_tensor_value_info("pre_logits", TensorProto.FLOAT, ["batch", "seq", COLS]),
        ],
        [
            helper.make_tensor_value_info("embed_matrix", TensorProto.FLOAT, ["batch", "seq", COLS]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "seq", ROWS]),
        ],
        initializer=constants,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def dynamic(weight_type, **options):
    """quantize_dynamic() of a model with a transposed copy: two tables of integers."""
    w = weight()
    nodes = [
        helper.make_node("Gather", ["w", "input_ids"], ["embed_matrix"]),
        helper.make_node("MatMul", ["pre_logits", "wt"], ["logits"]),
    ]
    model = _model(nodes, [numpy_helper.from_array(w, "w"), numpy_helper.from_array(w.T.copy(), "wt")])
    with tempfile.TemporaryDirectory() as folder:
        before, after = pathlib.Path(folder) / "before.onnx", pathlib.Path(folder) / "after.onnx"
        onnx.save(model, before)
        quantize_dynamic(before, after, weight_type=weight_type, **options)
        return onnx.load(after)


def dynamic_uint8():
    return dynamic(QuantType.QUInt8)


def dynamic_uint8_reduced():
    """The product's table has a reduced range, the embedding's has not: two tables."""
    return dynamic(QuantType.QUInt8, reduce_range=True)


def dynamic_int8():
    """The embedding becomes uint8 all the same: two tables."""
    return dynamic(QuantType.QInt8)


def dynamic_int8_tied():
    """The embedding takes the product's integers."""
    model = dynamic_int8()
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in ("scale", "zero_point", "quantized"):
        values = numpy_helper.to_array(tensors[f"wt_{name}"])
        tensors[f"w_{name}"].CopyFrom(numpy_helper.from_array(values.T.copy(), f"w_{name}"))
    return model


def dynamic_per_channel():
    """The transposed copy has one scale per column, the embedding has one scale: two tables."""
    return dynamic(QuantType.QInt8, per_channel=True, reduce_range=True)


def _rows_int8(w):
    """Seven bits: ONNX Runtime's sums of eight saturate on CPUs without VNNI."""
    scales = (np.abs(w).max(axis=1) / 63).astype(np.float32)
    return np.rint(w / scales[:, None]).astype(np.int8), scales


def qdq():
    """int8 rows behind DequantizeLinear, activations through QuantizeLinear and back."""
    q, scales = _rows_int8(weight())
    constants = [
        numpy_helper.from_array(q, "q"),
        numpy_helper.from_array(scales, "scales"),
        numpy_helper.from_array(np.zeros(ROWS, np.int8), "zeros"),
        numpy_helper.from_array(np.float32(4 / 127), "step"),
        numpy_helper.from_array(np.int8(0), "zero"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scales", "zeros"], ["w"], axis=0),
        helper.make_node("Gather", ["w", "input_ids"], ["embed_matrix"]),
        helper.make_node("QuantizeLinear", ["pre_logits", "step", "zero"], ["hidden_q"]),
        helper.make_node("DequantizeLinear", ["hidden_q", "step", "zero"], ["hidden"]),
        helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["hidden", "wt"], ["logits"]),
    ]
    return _model(nodes, constants)


def blocks(bits, block, symmetric=True, scale_type=np.float32):
    """MatMulNBits and GatherBlockQuantized on the same integers. Every other scale is negative: ONNX Runtime's
    quantiser makes such scales."""
    w = weight()
    count = -(-COLS // block)
    padded = np.zeros((ROWS, count * block), np.float32)
    padded[:, :COLS] = w
    padded = padded.reshape(ROWS, count, block)
    middle = 2 ** (bits - 1)
    scales = (np.abs(padded).max(axis=2) / (middle - 1)).astype(scale_type)
    scales[1::2] *= -1
    zeros = np.full((ROWS, count), middle, np.uint8)
    if not symmetric:
        zeros += np.random.default_rng(1).integers(0, 3, zeros.shape, np.uint8)
    q = np.clip(np.rint(padded / scales[:, :, None].astype(np.float32)) + zeros[:, :, None], 0, 2 * middle - 1)
    q = q.astype(np.uint8)
    pack = (lambda x: x) if bits == 8 else (lambda x: x[..., 0::2] | x[..., 1::2] << 4)
    if bits == 4:
        zeros = np.pad(zeros, ((0, 0), (0, count % 2)))
    constants = [
        numpy_helper.from_array(pack(q), "q"),
        numpy_helper.from_array(pack(q.reshape(ROWS, -1)[:, :COLS]), "rows"),
        numpy_helper.from_array(scales.reshape(-1), "scales"),
        numpy_helper.from_array(scales, "row_scales"),
    ]
    head, embed = ["pre_logits", "q", "scales"], ["rows", "input_ids", "row_scales"]
    if not symmetric:
        constants.append(numpy_helper.from_array(pack(zeros).reshape(-1), "zeros"))
        constants.append(numpy_helper.from_array(pack(zeros), "row_zeros"))
        head.append("zeros")
        embed.append("row_zeros")
    domain = {"domain": "com.microsoft", "block_size": block, "bits": bits}
    nodes = [
        helper.make_node("GatherBlockQuantized", embed, ["embed_matrix"], gather_axis=0, quantize_axis=1, **domain),
        helper.make_node("MatMulNBits", head, ["logits"], K=COLS, N=ROWS, **domain),
    ]
    return _model(nodes, constants)


def blocks_4_of_32():
    return blocks(4, 32)


def blocks_4_of_64():
    return blocks(4, 64)


def blocks_4_of_16():
    return blocks(4, 16)


def blocks_4_with_zero_points():
    return blocks(4, 32, symmetric=False)


def blocks_4_of_64_with_zero_points():
    return blocks(4, 64, symmetric=False)


def blocks_8_with_zero_points():
    return blocks(8, 32, symmetric=False)


def blocks_8_of_64():
    return blocks(8, 64)


def blocks_8_of_16():
    return blocks(8, 16)


def blocks_8_of_128():
    return blocks(8, 128)


def blocks_8_of_32():
    return blocks(8, 32)


def _qdq_in_blocks(onnx_type, block, zeros):
    """DequantizeLinear in blocks along the columns; 96 columns in blocks of 32 are three, an odd number of nibbles."""
    w = weight().reshape(ROWS, COLS // block, block)
    low, high = {TensorProto.INT4: (-8, 7), TensorProto.UINT4: (0, 15), TensorProto.INT8: (-128, 127)}[onnx_type]
    scales = (np.abs(w).max(axis=2) / ((high - low) // 2 - 2)).astype(np.float32)
    zero = np.random.default_rng(1).integers(0, 3, scales.shape) + (low + high + 1) // 2
    zero = zero if zeros else np.zeros_like(zero)
    q = np.clip(np.rint(w / scales[:, :, None]) + zero[:, :, None], low, high).astype(int)
    constants = [
        helper.make_tensor("q", onnx_type, [ROWS, COLS], q.reshape(-1)),
        numpy_helper.from_array(scales, "scales"),
    ]
    if zeros:
        constants.append(helper.make_tensor("zeros", onnx_type, zero.shape, zero.reshape(-1)))
    inputs = ["q", "scales"] + (["zeros"] if zeros else [])
    nodes = [
        helper.make_node("DequantizeLinear", inputs, ["w"], axis=1, block_size=block),
        helper.make_node("Gather", ["w", "input_ids"], ["embed_matrix"]),
        helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["pre_logits", "wt"], ["logits"]),
    ]
    return _model(nodes, constants, opset=21)


def qdq_int4_in_blocks():
    return _qdq_in_blocks(TensorProto.INT4, 32, zeros=True)


def qdq_int4_symmetric():
    return _qdq_in_blocks(TensorProto.INT4, 32, zeros=False)


def qdq_uint4_in_blocks():
    return _qdq_in_blocks(TensorProto.UINT4, 32, zeros=True)


def qdq_int8_in_blocks():
    return _qdq_in_blocks(TensorProto.INT8, 32, zeros=True)


def qdq_blocks_of_rows():
    """Blocks along the vocabulary."""
    return _changed(_qdq_in_blocks(TensorProto.INT8, 32, zeros=False), "DequantizeLinear", axis=0)


def _changed(model, op_type, **attributes):
    """The model with other attributes on its nodes of one type."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == op_type and attribute.name in attributes:
                attribute.i = attributes[attribute.name]
    return model


def blocks_of_two_bits():
    return _changed(blocks_4_of_32(), "MatMulNBits", bits=2)


def blocks_of_another_size():
    return _changed(blocks_4_of_32(), "GatherBlockQuantized", block_size=64)


def blocks_of_another_table():
    return _changed(blocks_4_of_32(), "MatMulNBits", N=ROWS + 1)


def blocks_in_an_order():
    model = blocks_4_of_32()
    model.graph.initializer.append(numpy_helper.from_array(np.arange(COLS, dtype=np.int32), "order"))
    head = next(node for node in model.graph.node if node.op_type == "MatMulNBits")
    head.input.extend(["", "order"])
    return model


def qdq_by_columns():
    model = _changed(qdq(), "DequantizeLinear", axis=1)
    for tensor in model.graph.initializer:
        if tensor.name in ("scales", "zeros"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:COLS].copy(), tensor.name))
    return model


def _narrow(onnx_type):
    """The table and the product in a narrow type, float32 outside."""
    raw = helper.make_tensor("w", onnx_type, [ROWS, COLS], weight().reshape(-1))
    nodes = [
        helper.make_node("Gather", ["w", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["embed_matrix"], to=TensorProto.FLOAT),
    ]
    if onnx_type == TensorProto.FLOAT16:
        nodes += [
            helper.make_node("Cast", ["pre_logits"], ["narrow"], to=onnx_type),
            helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
            helper.make_node("MatMul", ["narrow", "wt"], ["narrow_logits"]),
            helper.make_node("Cast", ["narrow_logits"], ["logits"], to=TensorProto.FLOAT),
        ]
    else:
        nodes += [
            helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["wide"], ["wt"], perm=[1, 0]),
            helper.make_node("MatMul", ["pre_logits", "wt"], ["logits"]),
        ]
    return _model(nodes, [raw])


def float16():
    return _narrow(TensorProto.FLOAT16)


def bfloat16():
    return _narrow(TensorProto.BFLOAT16)
