"""The stub of the extension module declares what the module has. mypy checks the modules around it against the stub."""

import ast
import pathlib

import tied
from tied import _native


def declared():
    """The parameters of each function of the stub; None for a property."""
    tree = ast.parse((pathlib.Path(tied.__file__).parent / "_native.pyi").read_text())
    for node in tree.body:
        for item in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(item, ast.FunctionDef):
                name = f"{node.name}.{item.name}" if isinstance(node, ast.ClassDef) else item.name
                is_property = any(getattr(mark, "id", "") == "property" for mark in item.decorator_list)
                yield name, None if is_property else [argument.arg for argument in item.args.args]


def defined():
    """The same of the module, from the signatures that nanobind keeps."""
    for owner, prefix in [(_native, ""), (_native.Model, "Model."), (_native.Session, "Session.")]:
        for name, value in vars(owner).items():
            if type(value).__name__ in ("nb_func", "nb_method"):
                ((text, *_),) = value.__nb_signature__
                text = "".join(character if character.isprintable() else "" for character in text)
                inner = text[text.index("(") + 1:text.rindex(" ->")]
                yield prefix + name, _names(inner)
            elif isinstance(value, property):
                yield prefix + name, None


def _names(parameters):
    """The names in "a: list[x, y], b: z)"."""
    names, depth, start = [], 0, 0
    for i, character in enumerate(parameters):
        depth += (character in "[(") - (character in "])")
        if (character == "," and depth == 0) or depth < 0:
            names.append(parameters[start:i].split(":")[0].strip())
            start = i + 1
    return [name for name in names if name]


def test_stub():
    assert dict(declared()) == dict(defined())
