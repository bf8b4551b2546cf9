"""Tied pairs as written by an app's scripts: exported in several layouts, quantised by ONNX Runtime's
quantize_dynamic() and saved by ONNX Runtime after its optimisations, in either order."""

import itertools
import logging
import pathlib
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(4)

ROWS, COLS, LENGTH = 301, 64, 5


def weight():
    return np.random.default_rng(3).normal(0, 0.08, (ROWS, COLS)).astype(np.float32)


def _constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def _transpose(source, target, perm):
    return helper.make_node("Transpose", [source], [target], perm=perm)


def _embed(table, ids, axis, permuted):
    """Gather(table, ids, axis) to "em"; permuted: the columns come first."""
    if not permuted:
        return [helper.make_node("Gather", [table, ids], ["em"], axis=axis)]
    return [helper.make_node("Gather", [table, ids], ["em_t"], axis=axis), _transpose("em_t", "em", [1, 2, 0])]


def layout_transpose():
    """One table [rows, cols], transposed for the product."""
    embed = _embed("W", "ids2", 0, False)
    head = [_transpose("W", "Wt", [1, 0]), helper.make_node("MatMul", ["pre_logits", "Wt"], ["lm"])]
    return weight(), embed, head


def layout_left():
    """One table [rows, cols] on the left of the product, hidden states and logits transposed."""
    embed = _embed("W", "ids2", 0, False)
    head = [
        _transpose("pre_logits", "xt", [0, 2, 1]),
        helper.make_node("MatMul", ["W", "xt"], ["yt"]),
        _transpose("yt", "lm", [0, 2, 1]),
    ]
    return weight(), embed, head


def layout_stored_transposed():
    """One table [cols, rows], transposed for the embedding."""
    embed = [_transpose("W", "Wt", [1, 0])] + _embed("Wt", "ids2", 0, False)
    return weight().T.copy(), embed, [helper.make_node("MatMul", ["pre_logits", "W"], ["lm"])]


def layout_gather_axis_1():
    """One table [cols, rows], gathered by columns."""
    embed = _embed("W", "ids2", 1, True)
    return weight().T.copy(), embed, [helper.make_node("MatMul", ["pre_logits", "W"], ["lm"])]


LAYOUTS = [layout_transpose, layout_left, layout_stored_transposed, layout_gather_axis_1]


def _empty(name, dims):
    return helper.make_node("Constant", [], [name], value=helper.make_tensor(name, TensorProto.FLOAT, dims, []))


def _info(name, dims, type=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, type, dims)


def export(layout, behind_if):
    table, embed, head = layout()
    embed = [helper.make_node("Reshape", ["input_ids", "rs_ids"], ["ids2"])] + embed
    inputs = [_info("input_ids", ["batch", "seq"], TensorProto.INT64), _info("pre_logits", ["batch", 1, COLS])]
    outputs = [_info("embed_matrix", ["batch", "seq", COLS]), _info("logits", ["batch", 1, ROWS])]
    if behind_if:
        then = helper.make_graph(
            [_empty("no_embed", [0, 0, COLS])] + head,
            "lm_head",
            [],
            [_info("no_embed", [0, 0, COLS]), _info("lm", ["batch", 1, ROWS])],
        )
        other = helper.make_graph(
            embed + [_empty("no_logits", [0, 1, ROWS])],
            "embed",
            [],
            [_info("em", ["e0", "e1", COLS]), _info("no_logits", [0, 1, ROWS])],
        )
        nodes = [
            helper.make_node(
                "If", ["use_lm_head"], ["embed_matrix", "logits"], name="if", then_branch=then, else_branch=other
            )
        ]
        inputs = [_info("use_lm_head", [1], TensorProto.BOOL)] + inputs
    else:
        nodes = embed + head
        for node in nodes:
            for i, name in enumerate(node.output):
                node.output[i] = {"em": "embed_matrix", "lm": "logits"}.get(name, name)
    graph = helper.make_graph(
        nodes, "pair", inputs, outputs, [_constant("W", table), _constant("rs_ids", np.int64([-1, LENGTH]))]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


LEVELS = {
    "raw": None,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def optimise(model, level, folder):
    if LEVELS[level] is None:
        return model
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnx.save(model, folder / "before.onnx")
    onnxruntime.InferenceSession(folder / "before.onnx", options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx")


# Weight type, per channel, reduced range; None: not quantised.
QUANTISERS = [None] + list(itertools.product(("QUInt8", "QInt8"), (False, True), (False, True)))


def quantise(model, how, folder):
    if how is None:
        return model
    weight_type, per_channel, reduce_range = how
    onnx.save(model, folder / "before.onnx")
    quantize_dynamic(
        folder / "before.onnx",
        folder / "quantised.onnx",
        weight_type=QuantType[weight_type],
        per_channel=per_channel,
        reduce_range=reduce_range,
        extra_options={"EnableSubgraph": True, "MatMulConstBOnly": False},
    )
    return onnx.load(folder / "quantised.onnx")


def make(layout, behind_if, how, level, optimise_first):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = export(layout, behind_if)
        if optimise_first:
            return quantise(optimise(model, level, folder), how, folder)
        return optimise(quantise(model, how, folder), level, folder)


def cells():
    for layout, behind_if, how, level, first in itertools.product(
        LAYOUTS, (True, False), QUANTISERS, LEVELS, (False, True)
    ):
        if first and (how is None or level == "raw"):
            continue
        yield layout, behind_if, how, level, first


def name(layout, behind_if, how, level, first):
    quantiser = "float" if how is None else how[0] + (", per channel" if how[1] else "") + (", reduced" if how[2] else "")
    return f"{layout.__name__[7:]}, {'If' if behind_if else 'no If'}, {quantiser}, {level}{' before' if first else ''}"
