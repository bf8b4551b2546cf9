"""Reads and verifies a flatbuffer of a schema that is given as data. Written from the description of the encoding
(https://flatbuffers.dev/internals), without flatc."""

import struct

MAX_DEPTH = 16
MAX_TABLES = 16384

SCALARS = {"bool": ("<B", 1), "u8": ("<B", 1), "u32": ("<I", 4), "u64": ("<Q", 8), "i64": ("<q", 8), "f32": ("<f", 4)}


class Refused(Exception):
    """The file is not valid."""


def require(condition, message):
    if not condition:
        raise Refused(message)


class Field:
    """kind: a scalar; "string"; "bytes"; a struct, vector, table or union as the classes below."""

    def __init__(self, name, kind, required=False, default=0):
        self.name, self.kind, self.required, self.default = name, kind, required, default


class Struct:
    def __init__(self, layout, align, names):
        self.layout, self.align, self.names = layout, align, names
        self.size = struct.calcsize(layout)


class Vector:
    def __init__(self, of):
        self.of = of  # the name of a table, or a Struct


class Union:
    """Two fields: the number of the member, then the member. members: names of tables, from number 1 on."""

    def __init__(self, members):
        self.members = members


class Reader:
    """Values are dicts for tables and structs, lists for vectors, bytes for strings. `weight` counts the bytes that
    were reached, as often as they are referenced."""

    def __init__(self, data, tables):
        self.data, self.schema = data, tables
        self.tables = self.weight = 0

    def root(self, identifier, table):
        require(len(self.data) >= 8 and self.data[4:8] == identifier, "identifier")
        return self.table(self.follow(0), table, 1)

    def scalar(self, at, layout, size):
        require(at % size == 0, "alignment")
        require(0 <= at and at + size <= len(self.data), "bounds")
        return struct.unpack_from(layout, self.data, at)[0]

    def follow(self, at):
        offset = self.scalar(at, "<I", 4)
        require(0 < offset < 2**31 and at + offset < len(self.data), "offset")
        return at + offset

    def table(self, at, name, depth):
        self.tables += 1
        self.weight += 4
        require(depth <= MAX_DEPTH and self.tables <= MAX_TABLES, "complexity")
        vtable = at - self.scalar(at, "<i", 4)
        length = self.scalar(vtable, "<H", 2)
        require(length % 2 == 0 and vtable + length <= len(self.data), "vtable")
        result, slot = {}, 0

        def place():
            nonlocal slot
            entry = 4 + 2 * slot
            slot += 1
            return self.scalar(vtable + entry, "<H", 2) if entry + 2 <= length else 0

        for field in self.schema[name]:
            number = 0
            if isinstance(field.kind, Union):
                offset = place()
                number = self.scalar(at + offset, "<B", 1) if offset else 0
            offset = place()
            require(offset or not field.required, "required " + field.name)
            value = self.field(at + offset, field.kind, number, depth) if offset else field.default
            result[field.name] = (number, value) if isinstance(field.kind, Union) else value
        return result

    def field(self, at, kind, number, depth):
        if isinstance(kind, Struct):
            return self.struct(at, kind)
        if isinstance(kind, Vector):
            return self.vector(self.follow(at), kind.of, depth)
        if isinstance(kind, Union):
            known = 1 <= number <= len(kind.members)
            return self.table(self.follow(at), kind.members[number - 1], depth + 1) if known else self.follow(at)
        if kind in SCALARS:
            return self.scalar(at, *SCALARS[kind])
        if kind in ("string", "bytes"):
            return self.bytes(self.follow(at), kind == "string")
        return self.table(self.follow(at), kind, depth + 1)

    def struct(self, at, kind):
        require(at % kind.align == 0 and at + kind.size <= len(self.data), "struct")
        return dict(zip(kind.names, struct.unpack_from(kind.layout, self.data, at)))

    def bytes(self, at, terminated):
        length = self.scalar(at, "<I", 4)
        end = at + 4 + length
        require(length < 2**31 and end <= len(self.data), "length")
        require(not terminated or (end < len(self.data) and self.data[end] == 0), "terminator")
        self.weight += length
        return self.data[at + 4 : end]

    def vector(self, at, of, depth):
        count = self.scalar(at, "<I", 4)
        size = of.size if isinstance(of, Struct) else 4
        require(at + 4 + count * size <= len(self.data), "length")
        self.weight += count * size
        if isinstance(of, Struct):
            # A vector of structs that is shared a thousand times is refused by its weight, before it is read.
            require(self.weight <= len(self.data), "weight")
            return [self.struct(at + 4 + i * size, of) for i in range(count)]
        return [self.table(self.follow(at + 4 + i * 4), of, depth + 1) for i in range(count)]
