"""Compares what tied computes from a model that was changed at random with what ONNX Runtime computes."""

import copy

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models import graphs

UNIT = 2.0**-24  # rounding error of float32
SELECTING = {"ArgMax", "TopK", "LogSoftmax"}
QUANTISED = {"MatMulInteger", "DequantizeLinear", "MatMulNBits", "GatherBlockQuantized"}


class Wrong(Exception):
    pass


class Probes:
    """A model with more outputs: the logits behind which something is selected, and hidden states after static
    quantisation, together with what stood before it."""

    def __init__(self, model):
        self.model = copy.deepcopy(model)
        nodes = model.graph.node
        maker = {name: node for node in nodes for name in node.output}
        self.logits = next((node.input[0] for node in nodes if node.op_type in SELECTING and node.input), None)
        if self.logits in maker and maker[self.logits].op_type in SELECTING:
            self.logits = maker[self.logits].input[0]
        self.rounded = [
            (maker[node.input[0]].input[0], node.output[0]) for node in nodes
            if node.op_type == "DequantizeLinear" and node.input and node.input[0] in maker
            and maker[node.input[0]].op_type == "QuantizeLinear"]
        there = {value.name for value in [*model.graph.output, *model.graph.input]}
        for name in {self.logits, *(name for pair in self.rounded for name in pair)} - there - {None, ""}:
            self.model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        self.ops = {node.op_type for graph in graphs(model.graph) for node in graph.node}
        narrow = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
        casts = {a.i for graph in graphs(model.graph) for node in graph.node if node.op_type == "Cast"
                 for a in node.attribute if a.name == "to"}
        types = {tensor.data_type for graph in graphs(model.graph) for tensor in graph.initializer}
        self.narrow = (casts | types) & narrow

    def rounding(self):
        """Rounding error of the narrowest floating-point type, which tied widens."""
        return 2.0**-9 if TensorProto.BFLOAT16 in self.narrow else 2.0**-11 if self.narrow else UNIT


def unit_feeds(inputs, feeds):
    """Feeds with hidden states that are 1 in one column each and 0 in all others."""
    units = dict(feeds)
    for name, type_, shape in inputs:
        if np.dtype(type_).kind != "f" or not shape or not isinstance(shape[-1], int):
            continue
        free = [i for i, size in enumerate(shape[:-1]) if not isinstance(size, int)]
        if free:
            dims = [1 if not isinstance(size, int) else size for size in shape]
            dims[free[0]] = shape[-1]
            eye = np.eye(shape[-1], dtype=type_)
            units[name] = np.broadcast_to(eye.reshape([shape[-1] if i == free[0] else 1 for i in range(len(dims) - 1)]
                                                      + [shape[-1]]), dims).copy()
    return units


def bound(probes, feeds, expected, units, logits):
    """Bound on the difference of two logits, one number for each token of the vocabulary (Higham 2002, 3.1), from the
    largest weight of each, which the unit vectors show."""
    peaks = np.abs(units[logits].astype(np.float64))
    peaks = peaks.reshape(-1, peaks.shape[-1]).max(axis=0, initial=0) if peaks.ndim else peaks
    peaks = peaks if peaks.shape == expected[logits].shape[-1:] else peaks.max(initial=0)
    hidden = [array for array in feeds.values() if array.dtype.kind == "f"]
    largest = max(np.abs(array).max(initial=0) for array in hidden)
    cols = max(array.shape[-1] for array in hidden)
    total = max(np.abs(array).sum(axis=-1, dtype=np.float64).max(initial=0) for array in hidden)
    error = 2 * (cols + 4) * UNIT * (total + 1)
    if probes.ops & QUANTISED:
        error += cols * largest / 65024
    if "DynamicQuantizeLinear" in probes.ops:
        error += cols * largest / 255
    if probes.narrow:
        error += total * 4 * probes.rounding()
    for before, after in probes.rounded:
        given = {**feeds, **expected}
        shown = np.abs(units[after]).max(initial=0)
        # Hidden states that are cut off: tied keeps them.
        error = error / shown + np.abs(given[before] - given[after]).max(initial=0) * cols if shown else np.inf
    return error * (peaks + UNIT)


def same(name, expected, actual, most):
    """Numbers that are not finite must be the same unless the bound is not finite."""
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise Wrong(f"{name}: {expected.dtype}{list(expected.shape)} became {actual.dtype}{list(actual.shape)}")
    with np.errstate(all="ignore"):
        e, a = expected.astype(np.float64), actual.astype(np.float64)
        right = (e == a) | (np.abs(e - a) <= most) | (np.isnan(e) & np.isnan(a))
        wrong = ~right & np.isfinite(np.broadcast_to(most, e.shape))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Wrong(f"{name}{list(at)}: {expected[at]} became {actual[at]}, and {wrong.sum()} of {wrong.size} differ; "
                    f"the bound is {np.broadcast_to(most, e.shape)[at]}")


def compare_ids(name, expected, actual, logits, most):
    """Other ids are right if their logits are the same within the bound."""
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise Wrong(f"{name}: {expected.dtype}{list(expected.shape)} became {actual.dtype}{list(actual.shape)}")
    if np.array_equal(expected, actual):
        return
    if logits is None or logits.ndim != expected.ndim or (actual < 0).any() or (actual >= logits.shape[-1]).any():
        raise Wrong(f"{name}: other ids")
    same(f"logits of {name}", np.take_along_axis(logits, expected, -1), np.take_along_axis(logits, actual, -1), most)


def compare(described, probes, feeds, expected, actual, units):
    """described: what `tied inspect --json` says."""
    heads = {op["output"] for entry in described["entry_points"] for op in entry["ops"] if op["kind"] == "Head"}
    for name, array in actual.items():
        if name not in expected:
            raise Wrong(f"{name} is no output of the model")
        e = expected[name]
        logits = probes.logits or name
        if array.dtype.kind == "i":
            most = 2 * np.max(bound(probes, feeds, expected, units, probes.logits), initial=0) if probes.logits else 0
            compare_ids(name, e, array, expected.get(probes.logits), most)
        elif name in heads or probes.logits:
            most = bound(probes, feeds, expected, units, logits)
            same(name, e, array, 4 * np.max(most, initial=0) if probes.logits else most)
        else:
            # Two factors may have become one.
            same(name, e, array, 4 * probes.rounding() * np.abs(e.astype(np.float64)))


def largest_constant(model):
    """The largest magnitude among the numbers of a model."""
    types = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
    arrays = [numpy_helper.to_array(tensor).astype(np.float64) for graph in graphs(model.graph)
              for tensor in graph.initializer if tensor.data_type in types]
    return max((np.nan_to_num(np.abs(array), nan=np.inf, posinf=np.inf).max(initial=0) for array in arrays), default=0)


def finite(model):
    return np.isfinite(largest_constant(model))


def compare_parts(expected, inner, logits, hidden, largest):
    """A whole decoder and what split made of it: outputs and logits."""
    for name, e in expected.items():
        a = inner[name] if name in inner else logits
        size = np.abs(e.astype(np.float64))
        most = 1e-4 * size.max(initial=0, where=np.isfinite(size))
        if name not in inner:
            cols = hidden.shape[-1]
            most += 2 * (cols + 4) * UNIT * cols * float(np.abs(hidden).max(initial=0)) * float(largest)
            a = a.astype(e.dtype)
        same(name, e, a, most)
