"""A tiny random translation model in the forms in which optimum exports M2M100 and others: an encoder and a decoder."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS, COLS, POSITIONS = 97, 32, 600  # the positions are large enough to be moved to a data file
WEIGHT = "model.decoder.embed_tokens.weight_merged_0"
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
SCALE = float(np.sqrt(COLS))


def random(name, *dims, seed=0):
    values = np.random.default_rng([seed, *map(ord, name)]).normal(0, 0.1, dims)
    return numpy_helper.from_array(values.astype(np.float32), name)


def table(seed=0):
    return numpy_helper.to_array(random("table", ROWS, COLS, seed=seed))


class Builder:
    """Builds nodes with a prefix in their names, and their initializers."""

    def __init__(self, prefix):
        self.prefix, self.nodes, self.constants = prefix, [], {}

    def add(self, op, *inputs, output=None, **attributes):
        output = output or f"{self.prefix}/{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=f"{output}_node", **attributes))
        return output

    def constant(self, tensor):
        self.constants[tensor.name] = tensor
        return tensor.name

    def ints(self, name, values):
        return self.constant(numpy_helper.from_array(np.array(values, np.int64), name))

    def floats(self, name, values):
        return self.constant(numpy_helper.from_array(np.array(values, np.float32), name))

    def linear(self, x, name):
        return self.add("MatMul", x, self.constant(random(name, COLS, COLS)))

    def attention(self, x, keys, values, name):
        scores = self.add("MatMul", self.linear(x, f"{name}.q"), self.add("Transpose", keys, perm=[0, 2, 1]))
        return self.linear(self.add("MatMul", self.add("Softmax", scores, axis=-1), values), f"{name}.out")

    def embed(self, weight, ids, scaled, past=None):
        """Scaled rows of the table plus positions, which depend on the ids as in M2M100."""
        rows = self.add("Gather", weight, self.add("Reshape", ids, self.ints("ids_shape", [0, -1])))
        if scaled:
            rows = self.add("Mul", rows, self.floats("embed_scale", SCALE))
        used = self.add("Cast", self.add("Not", self.add("Equal", ids, self.ints("pad", 1))), to=INT64)
        positions = self.add("CumSum", used, self.ints("axis_1", 1))
        if past:
            length = self.add("Gather", self.add("Shape", past), self.ints("one", 1))
            positions = self.add("Add", positions, length)
        return self.add("Add", rows, self.add("Gather", self.constant(random("positions", POSITIONS, COLS)), positions))


def value(name, type_, *dims):
    return helper.make_tensor_value_info(name, type_, dims)


def model(graph):
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def encoder(scaled=True, seed=0):
    build = Builder("/encoder")
    weight = build.constant(numpy_helper.from_array(table(seed), "model.encoder.embed_tokens.weight"))
    x = build.embed(weight, "input_ids", scaled)
    build.add("Add", x, build.attention(x, x, x, "encoder"), output="last_hidden_state")
    return model(helper.make_graph(
        build.nodes, "main_graph", [value("input_ids", INT64, "batch", "length")],
        [value("last_hidden_state", FLOAT, "batch", "length", COLS)], list(build.constants.values())))


def decoder_nodes(build, head, scaled, cached, ids="input_ids"):
    """logits and the keys and values of the decoder's attention to itself."""
    x = build.embed(WEIGHT, ids, scaled, "past_key" if cached else None)
    keys, values = build.linear(x, "self.k"), build.linear(x, "self.v")
    if cached:
        keys = build.add("Concat", "past_key", keys, axis=1)
        values = build.add("Concat", "past_value", values, axis=1)
    # A matrix mixes the columns; otherwise each token would be followed by itself, because its row matches best.
    x = build.add("Add", build.linear(x, "mix"), build.attention(x, keys, values, "self"))
    encoded = "encoder_hidden_states"
    x = build.add("Add", x, build.attention(x, build.linear(encoded, "cross.k"), build.linear(encoded, "cross.v"), "cross"))
    return head(build, x), keys, values


def head_transpose(build, x):
    return build.add("MatMul", x, build.add("Transpose", WEIGHT, perm=[1, 0]))


def head_copy(build, x):
    return build.add("MatMul", x, build.constant(numpy_helper.from_array(table().T.copy(), "onnx::MatMul_1207")))


def head_t5(build, x):
    """T5 scales hidden states, not embeddings."""
    return head_transpose(build, build.add("Mul", x, build.floats("root", 1 / SCALE)))


def head_untied(build, x):
    return build.add("MatMul", x, build.constant(numpy_helper.from_array(table(1).T.copy(), "onnx::MatMul_1207")))


def head_bias(build, x):
    return build.add("Add", head_copy(build, x), build.constant(random("final_logits_bias", 1, ROWS)))


def inputs(ids="input_ids"):
    return [value(ids, INT64, "batch", "decoder_length"), value("encoder_hidden_states", FLOAT, "batch", "length", COLS)]


PAST = [value(f"past_{name}", FLOAT, "batch", "past_length", COLS) for name in ("key", "value")]


def outputs(prefix=""):
    return [value(prefix + "logits", FLOAT, "batch", "decoder_length", ROWS)] + [
        value(f"{prefix}present_{name}", FLOAT, "batch", f"{name}_length", COLS) for name in ("key", "value")]


def weight():
    return numpy_helper.from_array(table(), WEIGHT)


def plain_decoder(head, scaled=True, ids="input_ids"):
    build = Builder("/decoder")
    made = decoder_nodes(build, head, scaled, cached=False, ids=ids)
    for name, output in zip(made, outputs()):
        build.add("Identity", name, output=output.name)
    return model(helper.make_graph(
        build.nodes, "main_graph", inputs(ids), outputs(), [weight(), *build.constants.values()]))


def merged_decoder(head, scaled=True):
    """Two branches, one of which reads a cache, with their weights in the enclosing graph."""
    constants, branches = {}, []
    for name, cached in (("with_past", True), ("no_past", False)):
        build = Builder(f"/{name}")
        made = decoder_nodes(build, head, scaled, cached)
        for made_name, output in zip(made, outputs(f"{name}_")):
            build.add("Identity", made_name, output=output.name)
        constants.update(build.constants)
        branches.append(helper.make_graph(build.nodes, name, [], outputs(f"{name}_")))
    choose = helper.make_node("If", ["use_cache_branch"], [output.name for output in outputs()], name="optimum::if",
                              then_branch=branches[0], else_branch=branches[1])
    return model(helper.make_graph(
        [choose], "main_graph", [*inputs(), *PAST, value("use_cache_branch", BOOL, 1)], outputs(),
        [weight(), *constants.values()]))
