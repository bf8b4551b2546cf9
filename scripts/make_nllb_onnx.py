#!/usr/bin/env python3
"""Makes an ONNX file in the shape of NLLB-200's tied embedding and lm_head, with seeded random weights.

An If on the Boolean input `use_lm_head` chooses between logits of `pre_logits` and embeddings of `input_ids`; both
branches use the initializer `model.shared.weight` of the parent graph. Needs numpy and onnx, and for inline weights
memory for about three times the size of the table.
"""

import argparse
import os

import numpy as np
import onnx
from onnx import TensorProto, helper

WEIGHT = "model.shared.weight"


def int64s(name, values):
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def empty(name, output):
    value = helper.make_tensor(f"{output}_value", TensorProto.FLOAT, [0], [])
    return helper.make_node("Constant", [], [output], name=name, value=value)


def head_nodes(variant, rows, cols):
    node = helper.make_node
    if variant == "matmul_transpose":
        return [
            node("Transpose", [WEIGHT], ["weight_t"], name="Transpose_1366", perm=[1, 0]),
            node("MatMul", ["pre_logits", "weight_t"], ["head_logits"], name="/lm_head/MatMul"),
        ], []
    if variant == "uint8":  # as onnxruntime's quantize_dynamic() writes it
        return [
            node("DynamicQuantizeLinear", ["pre_logits"], ["hidden_q", "hidden_scale", "hidden_zero_point"]),
            node("Mul", ["hidden_scale", "scale"], ["scales"]),
            node("MatMulInteger", ["hidden_q", WEIGHT + "_t", "hidden_zero_point", "zero_point"], ["products"],
                 name="/lm_head/MatMul_quant"),
            node("Cast", ["products"], ["float_products"], to=TensorProto.FLOAT),
            node("Mul", ["float_products", "scales"], ["head_logits"]),
        ], []
    if variant == "swapped":
        return [
            node("Transpose", ["pre_logits"], ["hidden_t"], perm=[0, 2, 1]),
            node("MatMul", [WEIGHT, "hidden_t"], ["logits_t"], name="/lm_head/MatMul"),
            node("Transpose", ["logits_t"], ["head_logits"], perm=[0, 2, 1]),
        ], []
    return [
        node("Reshape", ["pre_logits", "flat"], ["hidden_2d"]),
        node("Gemm", ["hidden_2d", WEIGHT], ["logits_2d"], name="/lm_head/Gemm", transB=1),
        node("Reshape", ["logits_2d", "unflat"], ["head_logits"]),
    ], [int64s("flat", [-1, cols]), int64s("unflat", [-1, 1, rows])]


def embed_nodes(variant):
    quantised = variant == "uint8"
    nodes = [
        helper.make_node("Reshape", ["input_ids", "ids_shape"], ["ids"], name="/model/decoder/Reshape"),
        helper.make_node("Gather", [WEIGHT, "ids"], ["rows" if quantised else "embedded"],
                         name="/model/decoder/embed_tokens/Gather"),
    ]
    if quantised:
        nodes.append(helper.make_node("DequantizeLinear", ["rows", "scale", "zero_point"], ["embedded"]))
    return nodes, [int64s("ids_shape", [0, -1])]


def floats(name, dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def make_graph(variant, rows, cols, weights):
    head, head_constants = head_nodes(variant, rows, cols)
    embed, embed_constants = embed_nodes(variant)

    def any3(name):
        return [f"{name}_{i}" for i in range(3)]

    then_branch = helper.make_graph(
        [empty("Constant_2", "no_embed")] + head,
        "nllb_lm_head", [], [floats("no_embed", any3("e")), floats("head_logits", any3("h"))])
    else_branch = helper.make_graph(
        [empty("Constant_1", "no_logits")] + embed,
        "nllb_embed", [], [floats("embedded", any3("m")), floats("no_logits", any3("n"))])
    choose = helper.make_node("If", ["use_lm_head"], ["embed_matrix", "logits"], name="optimum::if",
                              then_branch=then_branch, else_branch=else_branch)
    return helper.make_graph(
        [choose],
        "nllb_embed",
        [
            helper.make_tensor_value_info("use_lm_head", TensorProto.BOOL, [1]),
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"]),
            floats("pre_logits", ["batch", 1, cols]),
        ],
        [floats("embed_matrix", ["batch", "seq", cols]), floats("logits", ["batch", 1, rows])],
        initializer=weights + head_constants + embed_constants)


def blocks_of_rows(rows, cols, seed):
    random = np.random.default_rng(seed)
    for first in range(0, rows, 4096):
        yield first, random.standard_normal((min(4096, rows - first), cols), np.float32) * np.float32(0.02)


def float_weights(path, rows, cols, seed, external):
    """The table, written to OUTPUT.data first."""
    with open(path, "wb") as file:
        for _, block in blocks_of_rows(rows, cols, seed):
            file.write(block.tobytes())
    weight = TensorProto(name=WEIGHT, data_type=TensorProto.FLOAT, dims=[rows, cols])
    if external:
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=os.path.basename(path))
        return [weight]
    with open(path, "rb") as file:
        weight.raw_data = file.read()
    os.remove(path)
    return [weight]


def uint8_weights(rows, cols, seed):
    """The table and its transposed copy, with one scale and one zero point."""
    scale, zero_point = np.float32(0.2 / 255), np.uint8(128)
    table = np.empty((rows, cols), np.uint8)
    for first, block in blocks_of_rows(rows, cols, seed):
        table[first:first + len(block)] = np.clip(np.rint(block / scale) + zero_point, 0, 255)

    def tensor(name, values):
        return helper.make_tensor(name, TensorProto.UINT8, values.shape, values.tobytes(), raw=True)

    return [tensor(WEIGHT, table), tensor(WEIGHT + "_t", np.ascontiguousarray(table.T)),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]), tensor("zero_point", np.array(zero_point))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--rows", type=int, default=256206)
    parser.add_argument("--cols", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", choices=["matmul_transpose", "swapped", "gemm", "uint8"],
                        default="matmul_transpose")
    parser.add_argument("--external", action="store_true", help="keep the weights in OUTPUT.data")
    args = parser.parse_args()

    if args.variant == "uint8":
        weights = uint8_weights(args.rows, args.cols, args.seed)
    else:
        weights = float_weights(args.output + ".data", args.rows, args.cols, args.seed, args.external)
    graph = make_graph(args.variant, args.rows, args.cols, weights)
    del weights
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    del graph
    onnx.save(model, args.output)


if __name__ == "__main__":
    main()
