"""Embeddings and logits of a model, as schema/FORMAT.md says. A number format is one function, which returns the table
as float32: `DEQUANTISE`."""

import numpy
from header import BFLOAT16, BLOCK, EMBEDDING, FLOAT16, FLOAT32, HEAD, INT4, INT8, UINT8, blocks_of, scale_count

# Hidden states are rounded to multiples of this part of their largest element for products with integers.
HIDDEN_STEPS = 32512


def bfloat16(bits):
    return (bits.astype(numpy.uint32) << 16).view(numpy.float32)


def nibbles(data, rows, cols):
    pairs = data.reshape(rows, -1)
    return numpy.stack([pairs & 15, pairs >> 4], axis=-1).reshape(rows, -1)[:, :cols]


def spread(numbers, rows, cols):
    """A number for each element, of one for the table, each row, or each block of 32 columns."""
    if len(numbers) == 1:
        return numpy.broadcast_to(numbers, (rows, cols))
    if len(numbers) == rows:
        return numpy.broadcast_to(numbers[:, None], (rows, cols))
    return numpy.repeat(numbers.reshape(rows, blocks_of(cols)), BLOCK, axis=1)[:, :cols]


def integers(model, table, values, zero_type, zero):
    rows, cols = table["rows"], table["cols"]
    scale_type = "<f2" if table["scale_type"] == FLOAT16 else "<f4"
    scales = model.plane(table["scales"], scale_type)[: scale_count(table)].astype("f4")
    steps = 16 if table["type"] == INT4 else 1
    zeros = numpy.full(len(scales), zero * steps)
    if table["zero_points"]:
        zeros = model.plane(table["zero_points"], zero_type)
    if table["type"] == INT4:
        block = lambda n: numpy.repeat(n.reshape(rows, blocks_of(cols)), BLOCK, axis=1)[:, :cols]
        scales, zeros = block(scales), block(zeros)
    else:
        scales, zeros = spread(scales, rows, cols), spread(zeros, rows, cols)
    return (values.astype(numpy.float32) - zeros.astype(numpy.float32) / numpy.float32(steps)) * scales


def bytes_of(model, table, offset):
    """The integers of Int8 and Uint8, which a screen splits into two planes of nibbles."""
    rows, cols = table["rows"], table["cols"]
    if table["screen"] is None:
        return model.plane(table["values"], "i1" if offset else "u1").reshape(rows, -1)
    upper, lower = (
        nibbles(model.plane(plane, "u1"), rows, cols).astype(numpy.int32)
        for plane in (table["values"], table["screen"]["lower"])
    )
    return 16 * upper + lower - offset


DEQUANTISE = {
    FLOAT32: lambda model, table: model.plane(table["values"], "<f4").reshape(table["rows"], -1),
    FLOAT16: lambda model, table: model.plane(table["values"], "<f2").astype("f4").reshape(table["rows"], -1),
    BFLOAT16: lambda model, table: bfloat16(model.plane(table["values"], "<u2")).reshape(table["rows"], -1),
    INT8: lambda model, table: integers(model, table, bytes_of(model, table, 128), "i1", 0),
    UINT8: lambda model, table: integers(model, table, bytes_of(model, table, 0), "u1", 0),
    INT4: lambda model, table: integers(
        model, table, nibbles(model.plane(table["values"], "u1"), table["rows"], table["cols"]), "u1", 8
    ),
}


def row_ids(model, table):
    return model.plane(table["ids"], "<u4") if table["ids"] else numpy.arange(table["rows"])


def first(model, kind):
    """The first operation of a kind and its table, or None."""
    for entry_point in model.header["entry_points"]:
        for op in entry_point["ops"]:
            if op["operation"][0] == kind:
                return op["operation"][1], model.header["tables"][op["operation"][1]["table"]]
    return None


def embed(model, ids):
    """[len(ids), cols] in float32."""
    operation, table = first(model, EMBEDDING)
    rows = numpy.searchsorted(row_ids(model, table), ids)
    return DEQUANTISE[table["type"]](model, table)[rows] * numpy.float32(operation["scale"])


def logits(model, hidden):
    """[tokens, vocabulary] in float64, and a bound on the rounding of another reader. hidden: float32."""
    head, table = first(model, HEAD)
    weights = DEQUANTISE[table["type"]](model, table).astype(numpy.float64)
    scaled = (hidden * numpy.float32(head["scale"])).astype(numpy.float64)
    found = scaled @ weights.T
    magnitude = numpy.abs(scaled) @ numpy.abs(weights.T)
    if head["bias"]:
        bias = model.plane(head["bias"], "<f4").astype(numpy.float64)
        found, magnitude = found + bias, magnitude + numpy.abs(bias)
    bound = magnitude * (2 * table["cols"] + 8) * 2.0**-24
    if table["scales"]:
        step = numpy.abs(scaled).max(axis=1, keepdims=True) / HIDDEN_STEPS
        bound = bound + step * numpy.abs(weights).sum(axis=1) / 2
    cap = head["soft_cap"]
    if cap:
        found, bound = cap * numpy.tanh(found / cap), bound + cap * 2.0**-20
    result = numpy.full((len(hidden), table["vocabulary"] or table["rows"]), -numpy.inf)
    bounds = numpy.zeros_like(result)
    ids = row_ids(model, table)
    result[:, ids], bounds[:, ids] = found, bound
    return result, bounds
