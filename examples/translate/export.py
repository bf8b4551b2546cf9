"""The Marian model as ONNX files: pair() is the embedding and the head behind an If, as apps have it; encoder() and
decoder() are whole exports, with the table in both."""

import numpy as np
from marian import DECODER_LAYERS, ENCODER_LAYERS, HEADS
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name, kind, *dims):
    return helper.make_tensor_value_info(name, kind, dims)


class Builder:
    """Adds nodes, and the tensors that they read."""

    def __init__(self, model):
        self.model, self.nodes, self.tensors = model, [], {}

    def constant(self, name, values):
        self.tensors[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def add(self, kind, *inputs, output=None, **attributes):
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"node_{len(self.nodes)}", **attributes))
        return output

    def number(self, value):
        return self.constant(f"number_{float(value)!r}", np.float32(value))

    def table(self):
        """The dequantised table: its integers stay in the file."""
        return self.add("DequantizeLinear", self.constant("table", self.model.table),
                        self.constant("table_scale", np.float32(self.model.table_scale)))

    def embed(self, ids, output=None):
        scale = self.number(np.sqrt(self.model.width))
        return self.add("Mul", self.add("Gather", self.table(), ids), scale, output=output)

    def head(self, hidden, output):
        products = self.add("MatMul", hidden, self.add("Transpose", self.table(), perm=[1, 0]))
        return self.add("Add", products, self.constant("bias", self.model.bias), output=output)

    def weight(self, name):
        values = self.model.weights[name]
        return self.constant(name, values[0] if len(values) == 1 else values)

    def linear(self, x, prefix, weight, bias):
        return self.add("Add", self.add("MatMul", x, self.weight(prefix + weight)), self.weight(prefix + bias))

    def normalise(self, x, name):
        return self.add("LayerNormalization", x, self.weight(name + "_ln_scale"), self.weight(name + "_ln_bias"),
                        axis=-1, epsilon=1e-9)

    def split_heads(self, x, perm):
        shape = self.constant("heads", np.array([0, 0, HEADS, self.model.width // HEADS]))
        return self.add("Transpose", self.add("Reshape", x, shape), perm=perm)

    def attend(self, x, keys, values, prefix):
        queries = self.split_heads(self.linear(x, prefix, "Wq", "bq"), [0, 2, 1, 3])
        scores = self.add("MatMul", queries, self.split_heads(keys, [0, 2, 3, 1]))
        scaled = self.add("Div", scores, self.number(np.sqrt(self.model.width // HEADS)))
        mixed = self.add("MatMul", self.add("Softmax", scaled, axis=-1), self.split_heads(values, [0, 2, 1, 3]))
        joined = self.add("Reshape", self.add("Transpose", mixed, perm=[0, 2, 1, 3]),
                          self.constant("joined", np.array([0, 0, self.model.width])))
        return self.normalise(self.add("Add", self.linear(joined, prefix, "Wo", "bo"), x), prefix + "Wo")

    def feed_forward(self, x, prefix):
        inner = self.add("Relu", self.linear(x, prefix, "W1", "b1"))
        return self.normalise(self.add("Add", self.linear(inner, prefix, "W2", "b2"), x), prefix + "ffn")

    def made(self, name, inputs, outputs):
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self.tensors.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pair(model):
    """Inputs: use_lm_head, input_ids [tokens], pre_logits [tokens, 256]. Outputs: embed_matrix, logits."""
    rows, width = model.table.shape
    branches, tensors = [], {}
    for name, empty, shape in (("lm_head", "embed_matrix", [0, width]), ("embed", "logits", [0, rows])):
        build = Builder(model)
        nothing = numpy_helper.from_array(np.zeros(shape, np.float32))
        build.add("Constant", output=f"{name}_{empty}", value=nothing)
        results = {"embed_matrix": f"{name}_embed_matrix", "logits": f"{name}_logits"}
        if name == "lm_head":
            build.head("pre_logits", results["logits"])
        else:
            build.embed("input_ids", results["embed_matrix"])
        outputs = [value(results["embed_matrix"], FLOAT, None, width), value(results["logits"], FLOAT, None, rows)]
        for node in build.nodes:
            node.name = f"{name}_{node.name}"
        branches.append(helper.make_graph(build.nodes, name, [], outputs))
        tensors.update(build.tensors)
    build = Builder(model)
    build.tensors = tensors
    build.nodes.append(helper.make_node("If", ["use_lm_head"], ["embed_matrix", "logits"], name="choose",
                                        then_branch=branches[0], else_branch=branches[1]))
    return build.made(
        "pair", [value("use_lm_head", BOOL, 1), value("input_ids", INT64, "tokens"),
                 value("pre_logits", FLOAT, "tokens", width)],
        [value("embed_matrix", FLOAT, "tokens", width), value("logits", FLOAT, "tokens", rows)])


def encoder(model):
    """Input: input_ids [1, length]. Output: last_hidden_state [1, length, 256]."""
    build = Builder(model)
    positions = build.constant("positions", model.positions(0, 512))
    length = build.add("Shape", "input_ids", start=1, end=2)
    first = build.constant("first", np.array([0]))
    x = build.add("Add", build.embed("input_ids"), build.add("Slice", positions, first, length, first))
    for layer in range(1, ENCODER_LAYERS + 1):
        prefix = f"encoder_l{layer}_self_"
        keys, values = build.linear(x, prefix, "Wk", "bk"), build.linear(x, prefix, "Wv", "bv")
        x = build.feed_forward(build.attend(x, keys, values, prefix), f"encoder_l{layer}_ffn_")
    build.add("Identity", x, output="last_hidden_state")
    return build.made("encoder", [value("input_ids", INT64, 1, "length")],
                      [value("last_hidden_state", FLOAT, 1, "length", model.width)])


def decoder(model):
    """Inputs: input_ids [1, 1], position [1], is_first [1] (1 at the first position, whose embedding is 0),
    encoder_hidden_states [1, length, 256], and the cache: past_N [1, 1, 256] of each layer. Outputs: logits
    [1, 1, 32000] and the new cache, present_N."""
    build = Builder(model)
    used = build.add("Sub", build.number(1), "is_first")
    position = build.add("Gather", build.constant("positions", model.positions(0, 1300)), "position")
    x = build.add("Add", build.add("Mul", build.embed("input_ids"), used), position)
    inputs = [value("input_ids", INT64, 1, 1), value("position", INT64, 1), value("is_first", FLOAT, 1),
              value("encoder_hidden_states", FLOAT, 1, "length", model.width)]
    outputs = [value("logits", FLOAT, 1, 1, len(model.table))]
    for layer in range(1, DECODER_LAYERS + 1):
        inputs.append(value(f"past_{layer}", FLOAT, 1, 1, model.width))
        outputs.append(value(f"present_{layer}", FLOAT, 1, 1, model.width))
        prefix = f"decoder_l{layer}_rnn_"
        forget = build.add("Sigmoid", build.linear(x, prefix, "Wf", "bf"))
        kept = build.add("Mul", forget, f"past_{layer}")
        new = build.add("MatMul", x, build.weight(prefix + "W"))
        added = build.add("Mul", build.add("Sub", build.number(1), forget), new)
        cell = build.add("Add", kept, added, output=f"present_{layer}")
        x = build.normalise(build.add("Add", build.add("Relu", cell), x), prefix + "ffn")
        prefix = f"decoder_l{layer}_context_"
        keys, values = (build.linear("encoder_hidden_states", prefix, f"W{name}", f"b{name}") for name in "kv")
        x = build.attend(x, keys, values, prefix)
        x = build.feed_forward(x, f"decoder_l{layer}_ffn_")
    build.head(x, "logits")
    return build.made("decoder", inputs, outputs)
