"""Writes the results of matrix.py as tables into docs/converting.md, between its markers."""

import re

import changes
import families

BEGIN, END = "<!-- exporters: written by scripts/test-exporters --update -->\n", "<!-- exporters: end -->\n"
COLUMNS = {
    "optimum, float32": lambda cell: re.match("optimum( not dedup.*)?( merged)?$", cell.exporter) and not cell.change,
    "optimum, float16": lambda cell: cell.exporter.startswith("optimum fp16") and not cell.change,
    "simplified": lambda cell: cell.exporter.startswith("optimum") and cell.change in changes.SIMPLIFIERS,
    "`torch.onnx`": lambda cell: cell.exporter.startswith(("torch legacy", "torch dynamo")) and not cell.change,
    "genai, float": lambda cell: cell.exporter.startswith("genai fp"),
    "genai, int4": lambda cell: cell.exporter.startswith("genai int4"),
}
QUANTISED = {
    "pair": ("torch pair", "legacy"),
    "pair, `If`": ("torch pair", "legacy If"),
    "pair, dynamo": ("torch pair", "dynamo"),
    "Llama": ("optimum", "Llama"),
    "GPT-2": ("optimum", "GPT-2"),
    "NLLB": ("optimum", "M2M100, NLLB"),
}


class Notes:
    """Numbers the reasons."""

    def __init__(self):
        self.numbers = {}

    def number(self, reason):
        reason = re.sub(r"^(?:\w+\.onnx: )?(?:node '[^']*' \((?:com\.microsoft\.)?(\w+)\): )?", r"\1 ", reason).strip()
        reason = re.sub(r"\w+\.onnx", "a file", re.sub(r"'[^']*'", "…", reason))
        reason = re.sub(r"\d[\d.e-]* %|\d[\d.e-]+|\[\d+, \d+\]", "…", reason)
        return self.numbers.setdefault(reason, len(self.numbers) + 1)

    def text(self):
        return "".join(f"{number}. {reason}\n" for reason, number in self.numbers.items())


def summary(results, notes):
    """Returns one cell of a table, for several cells of the matrix."""
    results = [result for _, result in results if result.word != "not made"]
    if not results:
        return ""
    right = [result for result in results if result.word == "right"]
    text = "right" if len(right) == len(results) else f"{len(right)} of {len(results)}"
    options = sorted({result.why for result in right if result.why})
    marks = sorted({notes.number(f"{result.word}: {result.why}".removeprefix("refused: "))
                    for result in results if result.word != "right"})
    if not right and len(results) == 1:
        text = "refused"
    return " ".join(filter(None, [text, ", ".join(f"`{option}`" for option in options),
                                  ", ".join(f"({mark})" for mark in marks)]))


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def whole_models(results, notes):
    for family in [*families.DECODERS, *families.TRANSLATORS]:
        of_family = [pair for pair in results if pair[0].family == family]
        yield [family, *(summary([pair for pair in of_family if has(pair[0])], notes) for has in COLUMNS.values())]


def quantisers(results, notes):
    for change in changes.QUANTISERS:
        row = [change]
        for exporter, family in QUANTISED.values():
            row.append(summary([(cell, result) for cell, result in results if cell.change == change and
                                cell.family == family and cell.exporter.removesuffix(" merged") == exporter], notes))
        yield row


def write(path, results):
    notes = Notes()
    text = table(["family", *COLUMNS], whole_models(results, notes))
    text += "\n" + table(["quantiser", *QUANTISED], quantisers(results, notes))
    for cell, result in results:
        if cell.exporter == "jax2onnx" or cell.family == "dynamo cond":
            text += f"\n{cell.exporter}, {cell.family}: {summary([(cell, result)], notes)}.\n"
    document = path.read_text()
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(before + BEGIN + "\n" + text + "\n" + notes.text() + "\n" + END + after)
