"""Runs the whole exports of whole_quantised.py with ONNX Runtime, and the results of tied-convert split.

usage: split_quantised.py TIED_CONVERT TIED
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx

import split
import tiny_translator as tiny
import whole_quantised as quantised

PLAIN = {
    "transposed": lambda: tiny.plain_decoder(tiny.head_transpose),
    "copy": lambda: tiny.plain_decoder(tiny.head_copy),
    "bias": lambda: tiny.plain_decoder(tiny.head_bias, ids="decoder_input_ids"),
    "T5": lambda: tiny.plain_decoder(tiny.head_t5, scaled=False),
}
MERGED = {
    "merged, transposed": lambda: tiny.merged_decoder(tiny.head_transpose),
    "merged, copy": lambda: tiny.merged_decoder(tiny.head_copy),
    "merged, bias": lambda: tiny.merged_decoder(tiny.head_bias),
}
ALL = PLAIN | MERGED

# How exports are quantised, which of them, arguments for the converter, the types of the tables in the file, and bits
# that ONNX Runtime rounds hidden states to.
CASES = [
    ("dynamic uint8", quantised.dynamic(), ALL, [], ["uint8"], 8),
    ("dynamic int8", quantised.dynamic(quantised.INT8), ["copy", "merged, bias"], ["--allow-untied"],
     ["int8", "uint8"], 8),
    ("dynamic per channel", quantised.dynamic(quantised.INT8, per_channel=True), ["bias"], ["--allow-untied"],
     ["int8", "uint8"], 8),
    ("static", quantised.static, ["transposed", "copy", "T5"], ["--allow-untied"], None, 8),
    ("float16", quantised.half(False), ALL, [], ["float16"], 11),
    ("float16 inside", quantised.half(True), PLAIN, [], ["float16"], 11),
    ("blocks of four bits", quantised.blocks(4), ["copy", "bias"], [], ["int4"], None),
    ("rows", quantised.rows, ["transposed", "merged, transposed"], [], ["int8"], None),
]
REFUSED = [
    ("dynamic int8", quantised.dynamic(quantised.INT8), "copy", tiny.encoder, ["not tied", "MatMul_1207"]),
    ("another encoder", quantised.dynamic(), "copy", lambda: tiny.encoder(seed=1), ["encoder.onnx", "same table"]),
]


def bound(hidden, bits):
    """Bound on the difference of a logit: rounding of hidden states and of sums."""
    weight = np.abs(tiny.table()).astype(np.float64) * 1.2  # what quantisation adds to a weight at most
    span = max(hidden.max(), 0) - min(hidden.min(), 0)
    steps = np.abs(hidden).max() / 65024 + 1e-6
    if bits == 8:
        steps += span / 255 / 2 * 1.01
    if bits == 11:
        steps += np.abs(hidden).max() * 2.0**-9
    return steps * weight.sum(axis=1) + 2.0**-18 + (2.0**-9 * np.abs(hidden) @ weight.T if bits == 11 else 0)


def check(convert, tied, model, quantise, arguments, types, bits, folder):
    merged, encoder = model in MERGED, tiny.encoder(scaled=model != "T5")
    exports = split.write(folder / "whole", quantise(ALL[model]()), quantise(encoder), external=False)
    parts = folder / "split"
    subprocess.run([convert, "split", *exports, "-o", parts, "--check", "-q", *arguments], check=True,
                   capture_output=True)
    for name in ("decoder", "encoder"):
        onnx.checker.check_model(str(parts / f"{name}.onnx"), full_check=True)
        sizes = [np.prod(tensor.dims) for tensor in onnx.load(parts / f"{name}.onnx").graph.initializer]
        assert not {tiny.ROWS * tiny.COLS, tiny.ROWS * tiny.COLS // 2} & set(sizes), sizes
    inspected = json.loads(subprocess.run([tied, "inspect", parts / "model.tied", "--json"], check=True,
                                          capture_output=True).stdout)
    found = sorted(table["type"] for table in inspected["tables"])
    assert types is None or found == types, found
    tokens, expected = split.translate(split.Whole(folder / "whole"), merged)
    model = split.Split(parts, tied)
    chosen, actual = split.translate(model, merged, given=tokens)
    errors = np.abs(expected - actual)
    for hidden, error in zip(model.hidden, errors):
        assert (error <= bound(hidden, bits)).all(), (error / bound(hidden, bits)).max()
    # If ONNX Runtime rounds hidden states and tied does not, logits that differ by less than that rounding may swap.
    for step, (token, other) in enumerate(zip(tokens[1:], chosen[1:])):
        margin = bound(model.hidden[step], bits)[[token, other]].sum() if bits else 0
        assert token == other or expected[step][token] - expected[step][other] <= margin, (tokens, chosen)
    assert len(set(tokens)) > 2, tokens
    return " ".join(found), sum(map(int.__eq__, tokens[1:], chosen[1:])), errors.max()


def main():
    convert, tied = sys.argv[1:3]
    for name, quantise, models, *expectations in CASES:
        for model in models:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder) / model
                folder.mkdir()
                try:
                    found, same, worst = check(convert, tied, model, quantise, *expectations, folder)
                except subprocess.CalledProcessError as error:
                    sys.exit(f"{name}, {model}: {error.cmd}\n{error.stdout.decode()}{error.stderr.decode()}")
            what = f"{name:20} {model:20} {found:12}"
            print(f"{what} {same} of {split.STEPS} tokens the same, largest difference of logits {worst:.2e}")
    for name, quantise, model, encoder, words in REFUSED:
        with tempfile.TemporaryDirectory() as folder:
            split.check_refused(convert, lambda: quantise(ALL[model]()), lambda: quantise(encoder()), words,
                                pathlib.Path(folder))
        print(f"{name:20} {model:20} refused")


if __name__ == "__main__":
    main()
