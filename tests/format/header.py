"""The header of a .tied file, read and checked as schema/FORMAT.md and schema/tied.fbs say."""

import math
import struct
import sys

import numpy
import xxhash
from flatbuffer import Field, Reader, Struct, Union, Vector, require

FLOAT32, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, BFLOAT16, INT4 = 1, 2, 3, 6, 7, 9, 10, 16, 22
EMBEDDING, HEAD, CONSTANT = 1, 2, 3
FIXED, INPUT_DIM, INFER = 0, 1, 2
TENSOR_SIZES = {FLOAT32: 4, INT32: 4, INT64: 8, BOOL: 1}
BLOCK = 32
ALIGNMENT = 65536

PLANE = Struct("<QQQ", 8, ("offset", "length", "hash"))
U32 = Struct("<I", 4, ("value",))
OUTPUT_DIM = Struct("<B7xq", 8, ("rule", "value"))
SCHEMA = {
    "Screen": [
        Field("upper", PLANE, default=None),
        Field("lower", PLANE, True),
        Field("scales", PLANE, default=None),
        Field("upper_norms", PLANE, True),
        Field("norms", PLANE, default=None),
        Field("columns", Vector(U32), default=None),
        Field("column_values", PLANE, default=None),
        Field("column_scales", PLANE, default=None),
    ],
    "TiedTable": [
        Field("name", "string", True),
        Field("type", "u8"),
        Field("rows", "u64"),
        Field("cols", "u64"),
        Field("values", PLANE, True),
        Field("scales", PLANE, default=None),
        Field("zero_points", PLANE, default=None),
        Field("screen", "Screen", default=None),
        Field("ids", PLANE, default=None),
        Field("vocabulary", "u64"),
        Field("scale_type", "u8", default=FLOAT32),
    ],
    "Dim": [Field("size", "i64", default=-1), Field("symbol", "string", default=b"")],
    "ValueInfo": [Field("name", "string", True), Field("type", "u8"), Field("dims", Vector("Dim"), True)],
    "Embedding": [Field("table", "u32"), Field("scale", "f32", default=1.0)],
    "Head": [
        Field("table", "u32"),
        Field("bias", PLANE, default=None),
        Field("result", "u8"),
        Field("k", "u32"),
        Field("log_softmax", "bool"),
        Field("scale", "f32", default=1.0),
        Field("soft_cap", "f32", default=0.0),
    ],
    "Constant": [Field("data", "bytes", default=b"")],
    "Op": [
        Field("operation", Union(["Embedding", "Head", "Constant"]), True),
        Field("input", "u32"),
        Field("output", "u32"),
        Field("output_dims", Vector(OUTPUT_DIM), True),
        Field("origin", "string", default=b""),
    ],
    "Selector": [Field("input", "u32"), Field("value", "bool")],
    "EntryPoint": [
        Field("name", "string", True),
        Field("selectors", Vector("Selector"), default=[]),
        Field("ops", Vector("Op"), True),
    ],
    "Header": [
        Field("producer", "string", True),
        Field("source", "string", default=b""),
        Field("graph", "string", default=b""),
        Field("inputs", Vector("ValueInfo"), True),
        Field("outputs", Vector("ValueInfo"), True),
        Field("tables", Vector("TiedTable"), True),
        Field("entry_points", Vector("EntryPoint"), True),
    ],
}


def blocks_of(cols):
    return -(-cols // BLOCK)


# Bytes of a row of `values`, for each type of table.
ROW_BYTES = {
    FLOAT32: lambda cols: 4 * cols,
    FLOAT16: lambda cols: 2 * cols,
    BFLOAT16: lambda cols: 2 * cols,
    INT8: lambda cols: cols,
    UINT8: lambda cols: cols,
    INT4: lambda cols: 16 * blocks_of(cols),
}


def scale_size(table):
    return 2 if table["scale_type"] == FLOAT16 else 4


def is_in_blocks(table):
    """Whether the scales of a quantised table are of blocks."""
    always = table["type"] == INT4 or table["scale_type"] == FLOAT16
    return always or table["scales"]["length"] // 4 not in (1, table["rows"])


def scale_count(table):
    """The scales that the table's count of scales stands for."""
    return table["rows"] * blocks_of(table["cols"]) if is_in_blocks(table) else table["scales"]["length"] // 4


def text(name):
    """Names end at their first zero byte."""
    return name.split(b"\0")[0]


class Model:
    """An open file: `header`, and the bytes of planes."""

    def __init__(self, data):
        self.data = data
        self.check_preamble()
        reader = Reader(data[32 : self.end], SCHEMA)
        self.header = reader.root(b"TIED", "Header")
        require(reader.weight <= self.end - 32, "shared parts")
        self.check_counts()
        self.check_planes()
        for table in self.header["tables"]:
            self.check_table(table)
        for value in self.header["inputs"] + self.header["outputs"]:
            require(value["type"] in TENSOR_SIZES and len(value["dims"]) <= 8, "value")
        for entry_point in self.header["entry_points"]:
            self.check_entry_point(entry_point)

    def plane(self, plane, dtype):
        return numpy.frombuffer(self.data, dtype, plane["length"] // numpy.dtype(dtype).itemsize, plane["offset"])

    def check_preamble(self):
        require(len(self.data) >= 32, "short")
        magic, version, header_length, file_length, header_hash = struct.unpack_from("<8sIIQQ", self.data)
        require(magic == b"\x89TIED\r\n\x1a" and version == 2, "magic and version")
        self.end = 32 + header_length
        require(file_length == len(self.data) and header_length <= 16 << 20 and self.end <= file_length, "lengths")
        hashed = self.data[:24] + self.data[32 : self.end]
        require(xxhash.xxh3_64_intdigest(hashed) == header_hash, "hash")

    def check_counts(self):
        header = self.header
        for items in ("inputs", "outputs", "tables", "entry_points"):
            require(len(header[items]) <= 256, items)
            names = [text(item["name"]) for item in header[items]]
            require(all(len(item["name"]) <= 1024 for item in header[items]), "name")
            require(items == "tables" or (all(names) and len(set(names)) == len(names)), "names of " + items)
        dims = [dim for value in header["inputs"] + header["outputs"] for dim in value["dims"]]
        require(all(len(dim["symbol"]) <= 1024 for dim in dims), "symbol")
        ops = [op for entry_point in header["entry_points"] for op in entry_point["ops"]]
        require(len(ops) <= 1024 and sum(len(e["selectors"]) for e in header["entry_points"]) <= 4096, "counts")
        require(all(len(op["origin"]) <= 65536 and op["origin"].count(b"\n") < 256 for op in ops), "origin")

    def check_planes(self):
        planes = []  # (plane, whether it is a bias)
        for table in self.header["tables"]:
            planes += [(table[name], False) for name in ("values", "scales", "zero_points", "ids")]
            planes += [(plane, False) for name, plane in (table["screen"] or {}).items() if name != "columns"]
        for entry_point in self.header["entry_points"]:
            ops = [op["operation"] for op in entry_point["ops"]]
            planes += [(op["bias"], True) for number, op in ops if number == HEAD]
        ranges = []
        for plane, is_bias in planes:
            if plane is None:
                continue
            begin, end = plane["offset"], plane["offset"] + plane["length"]
            require(begin % ALIGNMENT == 0 and begin >= self.end and end <= len(self.data), "place of a plane")
            ranges += [(begin, end, is_bias)] * (begin < end)
        ranges.sort()
        for a, b in zip(ranges, ranges[1:]):
            shared = a == b and a[2]
            require(a[1] <= b[0] or shared, "planes overlap")

    def check_table(self, table):
        rows, cols, kind = table["rows"], table["cols"], table["type"]
        require(kind in ROW_BYTES and 1 <= rows < 2**31 and 1 <= cols <= 2**30, "shape")
        quantised = kind in (INT8, UINT8, INT4)
        nested = quantised and table["screen"] is not None
        require(table["values"]["length"] == rows * ROW_BYTES[INT4 if nested else kind](cols), "values")
        require((table["scales"] is not None) == quantised, "scales")
        require(quantised or table["zero_points"] is None, "zero points")
        if quantised:
            count = scale_count(table)
            require(table["scale_type"] in (FLOAT32, FLOAT16), "type of scales")
            require(table["scales"]["length"] == scale_size(table) * count, "scales")
            require(table["zero_points"] is None or table["zero_points"]["length"] == count, "zero points")
        if table["screen"]:
            self.check_screen(table, quantised)
        vocabulary = table["vocabulary"]
        most = min(max(2**22, 4 * rows), 2**31 - 1)
        require(vocabulary == 0 or rows <= vocabulary <= most, "vocabulary")
        if table["ids"]:
            require(table["ids"]["length"] == 4 * rows, "ids")
            ids = self.plane(table["ids"], "<u4").astype(numpy.int64)
            require((numpy.diff(ids) > 0).all() and ids[-1] < (vocabulary or rows), "ids")

    @staticmethod
    def check_screen(table, quantised):
        rows, cols, screen = table["rows"], table["cols"], table["screen"]
        require(not (quantised and is_in_blocks(table)) and cols <= 8192, "screen")
        columns = screen["columns"]
        for name, of_floats in (("upper", True), ("scales", True), ("norms", True)):
            require((screen[name] is None) == (quantised == of_floats), "screen")
        for name in ("column_values", "column_scales"):
            require((screen[name] is None) == (columns is None), "screen")
        if columns is not None:
            numbers = [column["value"] for column in columns]
            require(len(numbers) == 16 and numbers == sorted(set(numbers)) and numbers[-1] < cols, "columns")
        sizes = {"upper": 16 * blocks_of(cols), "lower": 16 * blocks_of(cols), "column_values": 16}
        for name, plane in screen.items():
            if name != "columns" and plane is not None:
                require(plane["length"] == rows * sizes.get(name, 4), name)

    def check_entry_point(self, entry_point):
        header = self.header
        outputs, filled = set(), 0
        for op in entry_point["ops"]:
            require(op["output"] < len(header["outputs"]) and op["output"] not in outputs, "output")
            outputs.add(op["output"])
            filled += self.check_op(op)
        require(filled <= 2**24, "filled")
        for selector in entry_point["selectors"]:
            require(selector["input"] < len(header["inputs"]), "selector")
            require(header["inputs"][selector["input"]]["type"] == BOOL, "selector")

    def check_op(self, op):
        """Returns the bytes of a constant that is one element."""
        number, operation = op["operation"]
        require(number in (EMBEDDING, HEAD, CONSTANT), "operation")
        dims = op["output_dims"]
        rules = [dim["rule"] for dim in dims]
        require(len(dims) <= 8 and all(rule <= INFER for rule in rules) and rules.count(INFER) <= 1, "dims")
        reads = number != CONSTANT or INPUT_DIM in rules
        require(not reads or op["input"] < len(self.header["inputs"]), "input")
        source = self.header["inputs"][op["input"]] if reads else None
        for dim in dims:
            require(dim["rule"] == INFER or dim["value"] >= 0, "dim")
            require(dim["rule"] != INPUT_DIM or dim["value"] < len(source["dims"]), "dim")
        output_type = self.header["outputs"][op["output"]]["type"]
        if number == CONSTANT:
            return self.check_constant(operation["data"], dims, output_type)
        require(operation["table"] < len(self.header["tables"]), "table")
        require(math.isfinite(operation["scale"]), "scale")
        if number == EMBEDDING:
            require(source["type"] in (INT64, INT32) and output_type == FLOAT32, "types")
        else:
            self.check_head(operation, source["type"], output_type)
        return 0

    def check_head(self, head, input_type, output_type):
        rows = self.header["tables"][head["table"]]["rows"]
        require(input_type == FLOAT32 and output_type == (INT64 if head["result"] == 2 else FLOAT32), "types")
        require(head["bias"] is None or head["bias"]["length"] == 4 * rows, "bias")
        require(math.isfinite(head["soft_cap"]) and head["soft_cap"] >= 0 and head["result"] <= 2, "head")
        require(head["result"] == 0 or 1 <= head["k"] <= min(rows, 1024), "k")

    @staticmethod
    def check_constant(data, dims, output_type):
        size = product = TENSOR_SIZES[output_type]
        for dim in dims:
            require(dim["rule"] != INFER, "dims of a constant")
            if dim["rule"] == FIXED:
                product *= dim["value"]
                require(product < 2**64, "dims of a constant")
        require(len(data) <= 65536 and (output_type != BOOL or set(data) <= {0, 1}), "data")
        one = len(data) == size and product <= 2**24
        whole = len(data) == product and all(dim["rule"] == FIXED for dim in dims)
        require(one or whole, "data")
        return product if len(data) == size else 0


if __name__ == "__main__":
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            print(path, Model(file.read()).header)
