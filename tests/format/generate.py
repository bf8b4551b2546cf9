"""Makes headers of .tied files that are well-formed flatbuffers with hostile content: numbers near limits, parts that
are shared or begin inside each other, and a right hash."""

import struct

import xxhash
from flatbuffer import SCALARS, Struct, Union, Vector
from header import ALIGNMENT, BOOL, CONSTANT, EMBEDDING, FLOAT16, FLOAT32, HEAD, INFER, INPUT_DIM, INT8, INT64, SCHEMA

ROWS, COLS = 5, 40
NUMBERS = (0, 1, 2, 8, 9, 255, 1024, 1025, 65536, 2**22, 2**22 + 1, 2**24, 2**31 - 1, 2**31, 2**32, 2**62, 2**63, 2**64 - 1)


def plane(number, length):
    return {"offset": number * ALIGNMENT, "length": length, "hash": 0}


def good_header(random):
    """A valid header: an embedding, a head and constants in two entry points."""
    quantised, half = random.random() < 0.5, random.random() < 0.3
    table = {
        "name": b"table",
        "type": INT8 if quantised else FLOAT32,
        "rows": ROWS,
        "cols": COLS,
        "values": plane(1, ROWS * COLS * (1 if quantised else 4)),
        "scales": plane(2, (2 if half else 4) * random.choice((1, ROWS, 2 * ROWS))) if quantised else None,
        "scale_type": FLOAT16 if half else FLOAT32,
        "ids": plane(4, 4 * ROWS),
        "vocabulary": 50,
    }
    if not quantised and random.random() < 0.5:
        table["screen"] = {
            "upper": plane(5, ROWS * 32),
            "lower": plane(6, ROWS * 32),
            "scales": plane(7, 20),
            "upper_norms": plane(8, 20),
            "norms": plane(9, 20),
        }
        if random.random() < 0.5:
            columns = [{"value": 2 * k} for k in range(16)]
            table["screen"].update(columns=columns, column_values=plane(10, ROWS * 16), column_scales=plane(11, 20))
    dims = [{"size": -1, "symbol": b"batch"}, {"size": -1, "symbol": b""}]
    any_dims = [{"rule": INPUT_DIM, "value": 0}, {"rule": INFER, "value": 0}]
    zeros = {"operation": (CONSTANT, {"data": bytes(4)}), "output_dims": [{"rule": 0, "value": 3}], "origin": b"Zeros"}
    embedding = {"operation": (EMBEDDING, {"table": 0, "scale": 2.0}), "output_dims": any_dims, "origin": b"Gather a\nMul"}
    head = {"operation": (HEAD, {"table": 0, "bias": plane(3, 4 * ROWS), "scale": 1.0, "soft_cap": 0.0}),
            "input": 1, "output": 1, "output_dims": any_dims, "origin": b"MatMul"}
    if random.random() < 0.3:
        head["operation"][1].update(result=random.choice((1, 2)), k=random.choice((1, ROWS)))
    logits_type = INT64 if head["operation"][1].get("result") == 2 else FLOAT32
    entries = [{"name": b"embed", "selectors": [{"input": 2, "value": 1}], "ops": [embedding]},
               {"name": b"head", "selectors": [{"input": 2, "value": 0}], "ops": [head, dict(zeros, output=0)]}]
    return {
        "producer": b"generate.py",
        "source": b"",
        "inputs": [{"name": b"ids", "type": INT64, "dims": dims}, {"name": b"hidden", "type": FLOAT32, "dims": dims},
                   {"name": b"use", "type": BOOL, "dims": []}],
        "outputs": [{"name": b"embeddings", "type": FLOAT32, "dims": dims},
                    {"name": b"logits", "type": logits_type, "dims": dims}],
        "tables": [table],
        "entry_points": entries,
    }


class Liar:
    """Changes a value somewhere in a header."""

    def __init__(self, random):
        self.random = random

    def number(self, now):
        if self.random.random() < 0.4:
            return int(now) + self.random.choice((-1, 1, 65536, -65536))
        return self.random.choice(NUMBERS)

    def lie(self, table, name):
        field = self.random.choice(SCHEMA[name])
        value = table.get(field.name, field.default)
        kind = field.kind
        if isinstance(kind, Union):
            number, member = value
            if self.random.random() < 0.1:
                table[field.name] = (self.random.randrange(4), member)
            elif 1 <= number <= len(kind.members):
                self.lie(member, kind.members[number - 1])
        elif isinstance(kind, Vector):
            self.lie_in_vector(table, field.name, kind.of)
        elif isinstance(kind, Struct):
            self.lie_in_struct(table, field)
        elif kind == "string" or kind == "bytes":
            table[field.name] = self.random.choice((b"", b"ids", b"a\0b", b"n" * 1024, b"n" * 1025, b"\n" * 255,
                                                    b"\n" * 256, b"x" * 65537, b"\1" * 4, bytes(8)))
        elif kind == "f32":
            table[field.name] = self.random.choice((0.0, -1.0, 30.0, float("inf"), float("nan")))
        elif kind in SCALARS:
            table[field.name] = self.number(value)
        elif value is not None:
            self.lie(value, kind)

    def lie_in_struct(self, table, field):
        if table.get(field.name) is None or self.random.random() < 0.1:
            table[field.name] = None if field.default is None and not field.required else plane(8, 4)
            return
        struct_ = table[field.name] = dict(table[field.name])
        member = self.random.choice(list(struct_))
        struct_[member] = self.number(struct_[member])

    def lie_in_vector(self, table, name, of):
        items = table[name] = list(table.get(name, []))
        what = self.random.random()
        if not items:
            return
        if what < 0.1:
            items.pop(self.random.randrange(len(items)))
        elif what < 0.25:  # the same object again: shared when it is written
            items += [self.random.choice(items)] * self.random.choice((1, 2, 9, 300, 1100))
        else:
            at = self.random.randrange(len(items))
            items[at] = dict(items[at])
            if isinstance(of, Struct):
                member = self.random.choice(list(items[at]))
                items[at][member] = self.number(items[at][member])
            else:
                self.lie(items[at], of)


class Writer:
    """Writes a flatbuffer, from its end to its root. Objects that are the same in Python are written once if `share`."""

    def __init__(self, share):
        self.share, self.done, self.size, self.parts = share, {}, 0, []

    def put(self, data, align, size=None):
        """Prepends data so that it is aligned; returns its distance from the end."""
        padding = -(self.size + len(data)) % align
        self.parts += [bytes(padding), data]
        self.size += padding + len(data)
        return self.size

    def finish(self, root):
        at = self.table(root, "Header")
        self.put(b"TIED" + bytes(-(self.size + 8) % 8), 1)
        self.put(struct.pack("<I", self.size + 4 - at), 8)
        return b"".join(reversed(self.parts))

    def once(self, value, make):
        key = value if isinstance(value, bytes) else id(value)
        if not self.share or key not in self.done:
            self.done[key] = (make(), value)  # holds the value, so that its id stays its own
        return self.done[key][0]

    def blob(self, data):
        return self.once(data, lambda: self.put(struct.pack("<I", len(data)) + data + b"\0" + bytes(-(len(data) + 1) % 4), 4))

    def structs(self, items, of):
        body = b"".join(struct.pack(of.layout, *self.values(item, of)) for item in items)
        # Elements are aligned to 8, their count lies before them.
        self.put(body, of.align)
        return self.put(struct.pack("<I", len(items)), 4)

    @staticmethod
    def values(item, of):
        limits = {"Q": (0, 2**64), "I": (0, 2**32), "q": (-(2**63), 2**63), "B": (0, 256)}
        codes = [code for code in of.layout if code in limits]
        return [wrap(item[name], *limits[code]) for name, code in zip(of.names, codes)]

    def vector(self, items, of):
        if isinstance(of, Struct):
            return self.structs(items, of)
        targets = [self.once(item, lambda item=item: self.table(item, of)) for item in items]
        padding = -self.size % 4
        self.put(bytes(padding), 1)
        for target in reversed(targets):
            self.put(struct.pack("<I", self.size + 4 - target), 4)
        return self.put(struct.pack("<I", len(items)), 4)

    def table(self, table, name):
        fields = []  # (slot, bytes or the distance of a target, alignment)
        slot = 0
        for field in SCHEMA[name]:
            value, kind = table.get(field.name), field.kind
            if isinstance(kind, Union):
                number, value = value
                fields.append((slot, bytes([number]), 1))
                slot, kind = slot + 1, kind.members[min(max(number, 1), 3) - 1]
            if value is not None:
                fields.append((slot,) + self.field(value, kind))
            slot += 1
        return self.assemble(fields, slot)

    def field(self, value, kind):
        if isinstance(kind, Struct):
            return struct.pack(kind.layout, *self.values(value, kind)), kind.align
        if isinstance(kind, Vector):
            return self.once(value, lambda: self.vector(value, kind.of)), 4
        if kind in ("string", "bytes"):
            return self.blob(value), 4
        if kind == "f32":
            return struct.pack("<f", value), 4
        if kind in SCALARS:
            layout, size = SCALARS[kind]
            low, high = (-(2**63), 2**63) if kind == "i64" else (0, 2 if kind == "bool" else 2 ** (8 * size))
            return struct.pack(layout, wrap(value, low, high)), size
        return self.once(value, lambda: self.table(value, kind)), 4

    def assemble(self, fields, slots):
        """The fields by falling alignment behind the offset of the vtable, which lies before the table."""
        places, placed, end = {}, [], 4
        for slot, data, align in sorted(fields, key=lambda field: -field[2]):
            end += -(end + align // 2) % align if align == 8 else -end % align
            places[slot] = end
            placed.append((end, data))
            end += 4 if isinstance(data, int) else len(data)
        # The table begins 4 bytes before a multiple of 8, so that fields of 8 bytes are at 4, 12, and so on.
        body = bytearray(end + -(end + 4) % 8)
        self.put(b"", 8)
        start = self.size + len(body)
        for place, data in placed:
            field = struct.pack("<I", start - place - data) if isinstance(data, int) else data
            body[place : place + len(field)] = field
        vtable = struct.pack("<HH", 4 + 2 * slots, len(body))
        vtable += b"".join(struct.pack("<H", places.get(slot, 0)) for slot in range(slots))
        struct.pack_into("<i", body, 0, len(vtable))
        self.put(bytes(body), 4)
        self.put(vtable, 2)
        return start


def wrap(value, low, high):
    return low + (int(value) - low) % (high - low)


def complete(flatbuffer, planes=11):
    """A file with this header: right lengths and hash, and planes of small numbers."""
    length = (planes + 1) * ALIGNMENT + 4096
    start = struct.pack("<8sIIQ", b"\x89TIED\r\n\x1a", 2, len(flatbuffer), length)
    start += struct.pack("<Q", xxhash.xxh3_64_intdigest(start + flatbuffer)) + flatbuffer
    file = bytearray(max(length, len(start)))
    file[: len(start)] = start
    struct.pack_into("<5I", file, 4 * ALIGNMENT, 1, 2, 30, 40, 49)  # ids
    return bytes(file)


def hostile_file(random):
    header = good_header(random)
    liar = Liar(random)
    for _ in range(random.choice((0, 1, 1, 1, 2, 5))):
        liar.lie(header, "Header")
    flatbuffer = bytearray(Writer(random.random() < 0.7).finish(header))
    for _ in range(random.choice((0, 0, 0, 1, 2))):  # parts that begin inside others, and whatever else
        flatbuffer[random.randrange(len(flatbuffer))] = random.randrange(256)
    return complete(bytes(flatbuffer))
