"""Runs the Python blocks of docs/python.md one after another, as a reader would, with the trained model."""

import contextlib
import io
import pathlib
import re
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "translate"))

import export  # noqa: E402
import onnx  # noqa: E402
import package as packages  # noqa: E402
import search  # noqa: E402

SENTENCE = "The translation model runs on a phone without a network."
OTHERS = [
    "I have been living in this city for ten years, and I still get lost.",
    "Where is the nearest hospital?",
    "The train to the coast leaves at seven, if the driver is awake.",
    "She bought three kilos of tomatoes and forgot the bread.",
    "Please turn off the lights before you leave the office.",
    "Last winter the river froze for the first time since 1963.",
    "The committee will publish its report on the use of pesticides in June.",
]


def recorded(package, source):
    """The hidden states of a translation, and its ids."""
    states = []

    class Recorder(search.NumpyPair):
        def topk(self, hidden, k, rows=None):
            states.append(hidden[0])
            return super().topk(hidden, k, rows)

    ids = search.greedy(package.model, Recorder(package.model), source)
    return np.array(states), ids


def test_tour(tmp_path, monkeypatch):
    package = packages.Package("en-pt")
    tokens = package.encode(SENTENCE)
    hidden_states, expected = recorded(package, tokens)
    others = [recorded(package, package.encode(sentence))[0] for sentence in OTHERS]
    hidden_states = np.concatenate([hidden_states, *others])
    onnx.save(export.pair(package.model), tmp_path / "model.onnx")
    for name in ("encoder", "decoder"):
        onnx.save(getattr(export, name)(package.model), tmp_path / f"{name}.onnx")
    monkeypatch.chdir(tmp_path)
    names = {"hidden_states": hidden_states, "tokens": tokens}
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "python.md").read_text(), re.DOTALL | re.MULTILINE)
    printed = []
    for block in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block, "docs/python.md", "exec"), names)
        printed.append(out.getvalue())
        sys.stdout.write(out.getvalue())
    assert printed[0] == "int8 32000 256 lossless\n"
    assert "1000000" in printed[1]  # the error names the id
    assert printed[2].count("\n") == 3
    np.testing.assert_array_equal(names["ids"][:len(expected) + 1], [*expected, 0])
    assert names["translation"] == expected
