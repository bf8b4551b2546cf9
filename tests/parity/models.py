"""ONNX models of a tied embedding and lm_head, in the forms that exporters write."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS, COLS = 211, 36


def graphs(graph):
    """A graph and those inside it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def _empty(name, output):
    """A Constant node for an output that the branch does not compute."""
    value = helper.make_tensor(name + "_value", TensorProto.FLOAT, [0, 1, 1], [])
    return helper.make_node("Constant", [], [output], name=name, value=value)


def _branch(name, nodes, outputs):
    infos = [helper.make_tensor_value_info(o, TensorProto.FLOAT, [f"{o}_{i}" for i in range(3)]) for o in outputs]
    return helper.make_graph(nodes, name, [], infos)


def _ints(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def head_matmul_transpose(table):
    return [
        helper.make_node("Transpose", [table], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["pre_logits", "wt"], ["head_logits"]),
    ], []


def head_swapped(table):
    return [
        helper.make_node("Transpose", ["pre_logits"], ["xt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", [table, "xt"], ["yt"]),
        helper.make_node("Transpose", ["yt"], ["head_logits"], perm=[0, 2, 1]),
    ], []


def head_gemm(table):
    return [
        helper.make_node("Reshape", ["pre_logits", "flat"], ["x2"]),
        helper.make_node("Gemm", ["x2", table], ["y2"], transB=1),
        helper.make_node("Reshape", ["y2", "unflat"], ["head_logits"]),
    ], [_ints("flat", [-1, COLS]), _ints("unflat", [-1, 1, ROWS])]


def head_fused(table):
    node = helper.make_node("FusedMatMul", ["pre_logits", table], ["head_logits"], domain="com.microsoft", transB=1)
    return [node], []


def head_bias(table):
    bias = numpy_helper.from_array(np.linspace(-1, 1, ROWS, dtype=np.float32), "bias")
    nodes, constants = head_matmul_transpose(table)
    nodes[-1].output[0] = "plain"
    return nodes + [helper.make_node("Add", ["plain", "bias"], ["head_logits"])], constants + [bias]


def embed_plain(table):
    return [helper.make_node("Gather", [table, "input_ids"], ["embedded"], axis=0)], []


def embed_reshaped(table):
    return [
        helper.make_node("Shape", ["input_ids"], ["ids_shape"]),
        helper.make_node("Gather", ["ids_shape", "last"], ["length"], axis=0),
        helper.make_node("Unsqueeze", ["length", "axis"], ["length1"]),
        helper.make_node("Concat", ["minus_one", "length1"], ["shape"], axis=0),
        helper.make_node("Reshape", ["input_ids", "shape"], ["ids"]),
        helper.make_node("Gather", [table, "ids"], ["embedded"]),
    ], [_ints("last", 1), _ints("axis", [0]), _ints("minus_one", [-1])]


def embed_scaled(table):
    scale = numpy_helper.from_array(np.float32(6.0), "scale")
    return [
        helper.make_node("Gather", [table, "input_ids"], ["raw"]),
        helper.make_node("Mul", ["raw", "scale"], ["embedded"]),
    ], [scale]


HEADS = [head_matmul_transpose, head_swapped, head_gemm, head_fused, head_bias]
EMBEDS = [embed_plain, embed_reshaped, embed_scaled]


def select_argmax(logits):
    return [helper.make_node("ArgMax", [logits], ["ids"], axis=-1, keepdims=1)], ["ids"]


def select_topk(logits):
    return [helper.make_node("TopK", [logits, "k"], ["values", "ids"])], ["values", "ids"]


def select_log_softmax(logits):
    return [helper.make_node("LogSoftmax", [logits], ["values"])], ["values"]


def select_log_softmax_topk(logits):
    softmax, _ = select_log_softmax(logits)
    softmax[0].output[0] = "probabilities"
    selected, outputs = select_topk("probabilities")
    return softmax + selected, outputs


SELECTIONS = [select_argmax, select_topk, select_log_softmax, select_log_softmax_topk]


def _weight(seed=0):
    return np.random.default_rng(seed).normal(0, 0.5, (ROWS, COLS)).astype(np.float32)


def _model(graph):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    return model


def make_selection(select):
    """A model from hidden states to selected logits or ids."""
    weight = _weight()
    nodes, constants = head_bias("shared.weight")
    selected, outputs = select("head_logits")
    types = {"ids": TensorProto.INT64, "values": TensorProto.FLOAT}
    if "values" in outputs and "ids" in outputs:
        constants.append(_ints("k", [10]))
    graph = helper.make_graph(
        nodes + selected,
        "selection",
        [helper.make_tensor_value_info("pre_logits", TensorProto.FLOAT, ["batch", 1, COLS])],
        [helper.make_tensor_value_info(o, types[o], [f"{o}_{i}" for i in range(3)]) for o in outputs],
        initializer=[numpy_helper.from_array(weight, "shared.weight")] + constants,
    )
    return _model(graph), weight


def make(head, embed):
    """The If model: use_lm_head chooses between logits of pre_logits and embed_matrix of input_ids."""
    weight = _weight()
    head_nodes, head_constants = head("shared.weight")
    embed_nodes, embed_constants = embed("shared.weight")
    then = _branch("lm_head", [_empty("e0", "no_embed")] + head_nodes, ["no_embed", "head_logits"])
    other = _branch("embed", [_empty("e1", "no_logits")] + embed_nodes, ["embedded", "no_logits"])
    node = helper.make_node("If", ["use_lm_head"], ["embed_matrix", "logits"], then_branch=then, else_branch=other)
    graph = helper.make_graph(
        [node],
        "tied_pair",
        [
            helper.make_tensor_value_info("use_lm_head", TensorProto.BOOL, [1]),
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"]),
            helper.make_tensor_value_info("pre_logits", TensorProto.FLOAT, ["batch", 1, COLS]),
        ],
        [
            helper.make_tensor_value_info("embed_matrix", TensorProto.FLOAT, ["b0", "b1", "b2"]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["c0", "c1", "c2"]),
        ],
        initializer=[numpy_helper.from_array(weight, "shared.weight")] + head_constants + embed_constants,
    )
    return _model(graph), weight
