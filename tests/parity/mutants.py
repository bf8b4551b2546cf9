"""Changes ONNX models at random: what exporters, optimisers and mistakes might make of them."""

import copy

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models import graphs

TYPES = [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.INT64,
         TensorProto.INT32, TensorProto.INT8, TensorProto.UINT8]
FACTORS = [-1, 0, 0.5, 1 + 2**-20, 3, 1e-30, 1e4, 1e30]
SPECIAL = [0.0, -0.0, -1.0, 1e-40, 1e30, np.inf, np.nan]
INTEGERS = [-2, -1, 0, 1, 2, 3, 32]
ATTRIBUTES = [("axis", -1), ("axis", 1), ("transA", 1), ("transB", 1), ("alpha", 0.5), ("beta", 2.0), ("keepdims", 0),
              ("perm", [1, 0]), ("perm", [0, 2, 1]), ("largest", 0), ("sorted", 0), ("select_last_index", 1),
              ("batch_dims", 1), ("block_size", 16), ("to", TensorProto.FLOAT16), ("allowzero", 1)]
OPS = ["Add", "Sub", "Mul", "Div", "MatMul", "Gather", "GatherElements", "Identity", "Neg", "Tanh", "Transpose",
       "Squeeze", "Flatten", "Relu", "Softmax", "LogSoftmax", "ArgMax", "ArgMin"]


class Mutator:
    def __init__(self, model, random):
        self.model, self.random = copy.deepcopy(model), random
        self.graphs = list(graphs(self.model.graph))

    def choose(self, items):
        """One of the items; None if there are none."""
        items = list(items)
        return items[self.random.integers(len(items))] if items else None

    def graph(self):
        return self.choose(graph for graph in self.graphs if graph.node)

    def node(self):
        return self.choose(node for graph in self.graphs for node in graph.node)

    def tensor(self):
        return self.choose(tensor for graph in self.graphs for tensor in graph.initializer)

    def new_name(self, name):
        return f"{name}_{self.random.integers(1 << 30)}"

    def insert(self, *makers):
        """Puts a chain of nodes between a value and one of its readers. makers: (input, output) to a node."""
        graph = self.graph()
        index = int(self.random.integers(len(graph.node)))
        reader = graph.node[index]
        place = self.choose(i for i, name in enumerate(reader.input) if name)
        if place is None:
            return
        source = reader.input[place]
        for i, make in enumerate(makers):
            target = self.new_name("inserted")
            graph.node.insert(index + i, make(source, target))
            source = target
        graph.node[index + len(makers)].input[place] = source

    def attribute(self):
        node = self.choose(node for graph in self.graphs for node in graph.node
                           if any(a.type in (a.INT, a.INTS, a.FLOAT) for a in node.attribute))
        attribute = node and self.choose(a for a in node.attribute if a.type in (a.INT, a.INTS, a.FLOAT))
        if not attribute:
            return
        if self.random.random() < 0.15:
            node.attribute.remove(attribute)
        elif attribute.type == attribute.INT:
            attribute.i = self.choose([*INTEGERS, attribute.i + 1, attribute.i - 1, attribute.i * 2])
        elif attribute.type == attribute.FLOAT:
            attribute.f = float(np.clip(attribute.f * self.choose(FACTORS), -3e38, 3e38))
        else:
            attribute.ints[:] = self.random.permutation(attribute.ints).tolist()

    def more_attributes(self):
        name, value = self.choose(ATTRIBUTES)
        node = self.node()
        if all(attribute.name != name for attribute in node.attribute):
            node.attribute.append(helper.make_attribute(name, value))

    def values(self):
        tensor = self.tensor()
        if not tensor or tensor.data_type in (TensorProto.INT4, TensorProto.UINT4):
            return
        array = numpy_helper.to_array(tensor).copy()
        if not array.size:
            return
        with np.errstate(all="ignore"):
            how = self.random.integers(5)
            if how == 0:
                array = (array.astype(np.float64) * self.choose(FACTORS)).astype(array.dtype)
            elif how == 1:
                array.reshape(-1)[self.random.integers(array.size)] = self.choose(
                    SPECIAL if array.dtype.kind == "f" else [0, 1, 2, 100])
            elif how == 2:
                array = self.random.permutation(array.reshape(-1)).reshape(array.shape)
            elif how == 3 and array.ndim:
                array = self.random.permutation(array)
            elif array.ndim:
                array[self.random.integers(array.shape[0])] = array[0]  # rows that are equal
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    def type(self):
        """Another type for a constant; in half of the cases, a Cast back."""
        tensor, wanted = self.tensor(), self.choose(TYPES)
        if not tensor or tensor.data_type in (TensorProto.INT4, TensorProto.UINT4):
            return
        before = tensor.data_type
        with np.errstate(all="ignore"):
            array = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(wanted))
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        if self.random.random() < 0.5:
            narrow, wide = self.new_name(tensor.name), tensor.name
            tensor.name = narrow
            self.model.graph.node.insert(0, helper.make_node("Cast", [narrow], [wide], to=before))

    def shape(self):
        tensor = self.tensor()
        if not tensor:
            return
        dims = list(tensor.dims)
        how = self.random.integers(4)
        if how == 0:
            tensor.dims[:] = dims[::-1]
        elif how == 1:
            tensor.dims[:] = [1, *dims]
        elif how == 2:
            tensor.dims[:] = [d for d in dims if d != 1]
        elif dims and tensor.data_type not in (TensorProto.INT4, TensorProto.UINT4):
            array = numpy_helper.to_array(tensor)
            axis = int(self.random.integers(array.ndim))
            array = np.take(array, np.arange(max(array.shape[axis] - 1, 0)), axis)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    def order(self):
        nodes = self.graph().node
        moved = nodes.pop(self.random.integers(len(nodes)))
        nodes.insert(self.random.integers(len(nodes) + 1), moved)

    def swap(self):
        node = self.choose(node for graph in self.graphs for node in graph.node if len(node.input) > 1)
        if node:
            node.input[:] = self.random.permutation(node.input).tolist()

    def rewire(self):
        """Another value of the same graph for an input."""
        graph = self.graph()
        node = self.choose(node for node in graph.node if node.input)
        if node:
            names = [name for other in graph.node for name in [*other.input, *other.output] if name]
            node.input[self.random.integers(len(node.input))] = self.choose(names)

    def identity(self):
        self.insert(lambda source, target: helper.make_node("Identity", [source], [target]))

    def cast(self):
        to = self.choose(TYPES)
        self.insert(lambda source, target: helper.make_node("Cast", [source], [target], to=to))

    def transpose(self):
        perm = self.choose([[1, 0], [0, 2, 1], [1, 0, 2], [0, 1]])
        self.insert(lambda source, target: helper.make_node("Transpose", [source], [target], perm=perm))

    def transposes(self):
        """Twice, which changes nothing."""
        perm = self.choose([[1, 0], [0, 2, 1]])
        make = lambda source, target: helper.make_node("Transpose", [source], [target], perm=perm)
        self.insert(make, make)

    def constant(self):
        """Arithmetic with a constant."""
        name = self.new_name("constant")
        value = np.full(self.choose([(), (1,), (1, 1)]), self.choose(FACTORS), np.float32)
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        op = self.choose(["Add", "Sub", "Mul", "Div"])
        self.insert(lambda source, target: helper.make_node(op, [source, name], [target]))

    def operation(self):
        self.node().op_type = self.choose(OPS)

    def opset(self):
        self.choose(self.model.opset_import).version = int(self.random.integers(9, 25))

    def rename(self):
        """Another name for a value, everywhere."""
        names = {name for graph in self.graphs for node in graph.node for name in [*node.input, *node.output] if name}
        before = self.choose(sorted(names))
        after = self.choose([self.new_name("v"), before + " ", "a/b:0", "é", sorted(names)[0]])
        for graph in self.graphs:
            for node in graph.node:
                node.input[:] = [after if name == before else name for name in node.input]
                node.output[:] = [after if name == before else name for name in node.output]
            for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
                value.name = after if value.name == before else value.name

    def copy_of_constant(self):
        """A copy for one of the readers, in half of the cases with one number changed."""
        tensor = self.tensor()
        if not tensor:
            return
        made = copy.deepcopy(tensor)
        made.name = self.new_name(tensor.name)
        if self.random.random() < 0.5 and tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(made).copy()
            if array.size:
                array.reshape(-1)[self.random.integers(array.size)] += 0.25
            made.CopyFrom(numpy_helper.from_array(array, made.name))
        readers = [node for graph in self.graphs for node in graph.node if tensor.name in node.input]
        if readers:
            reader = self.choose(readers)
            reader.input[list(reader.input).index(tensor.name)] = made.name
            self.model.graph.initializer.append(made)

    def remove(self):
        nodes = self.graph().node
        node = nodes.pop(self.random.integers(len(nodes)))
        if self.random.random() < 0.7 and node.input and node.output:
            for reader in (reader for graph in self.graphs for reader in graph.node):
                reader.input[:] = [node.input[0] if name == node.output[0] else name for name in reader.input]

    def declaration(self):
        """Another shape of an input or an output."""
        value = self.choose([*self.model.graph.input, *self.model.graph.output])
        dims = value.type.tensor_type.shape.dim
        if not dims:
            return
        dim = self.choose(dims)
        dim.Clear()
        how = self.random.integers(3)
        if how == 0:
            dim.dim_param = self.choose(["batch", "seq", "n"])
        elif how == 1:
            dim.dim_value = self.choose([0, 1, 2, 3, 36, 96, 211])

    def no_declarations(self):
        for graph in self.graphs:
            del graph.value_info[:]
        value = self.choose(self.model.graph.output)
        if value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.ClearField("shape")


MUTATIONS = [Mutator.attribute, Mutator.more_attributes, Mutator.values, Mutator.type, Mutator.shape, Mutator.order,
             Mutator.swap, Mutator.rewire, Mutator.identity, Mutator.cast, Mutator.transpose, Mutator.transposes,
             Mutator.constant, Mutator.operation, Mutator.opset, Mutator.rename, Mutator.copy_of_constant,
             Mutator.remove, Mutator.declaration, Mutator.no_declarations]


def mutant(model, random):
    """Returns a changed copy of the model, and the names of the changes."""
    mutator = Mutator(model, random)
    changes = [MUTATIONS[random.integers(len(MUTATIONS))] for _ in range(random.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))]
    for change in changes:
        if mutator.graph() is None:
            break
        change(mutator)
        mutator.graphs = list(graphs(mutator.model.graph))
    return mutator.model, [change.__name__ for change in changes]
