"""The whole exports of whole_quantised.py, and what tied.split() makes of them."""

import numpy as np
import onnx
import pytest
import tied

import tiny_translator as tiny
import whole_quantised as quantised
from translation import Split, Whole, translate, write

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

# How exports are quantised, which of them, arguments of the split, the types of the tables in the file, and bits
# that ONNX Runtime rounds hidden states to.
CASES = [
    ("dynamic uint8", quantised.dynamic(), ALL, {}, ["uint8"], 8),
    ("dynamic int8", quantised.dynamic(quantised.INT8), ["copy", "merged, bias"], {"allow_untied": True},
     ["int8", "uint8"], 8),
    ("dynamic per channel", quantised.dynamic(quantised.INT8, per_channel=True), ["bias"], {"allow_untied": True},
     ["int8", "uint8"], 8),
    ("static", quantised.static, ["transposed", "copy", "T5"], {"allow_untied": True}, None, 8),
    ("float16", quantised.half(False), ALL, {}, ["float16"], 11),
    ("float16 inside", quantised.half(True), PLAIN, {}, ["float16"], 11),
    ("blocks of four bits", quantised.blocks(4), ["copy", "bias"], {}, ["int4"], None),
    ("rows", quantised.rows, ["transposed", "merged, transposed"], {}, ["int8"], None),
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


EACH = [pytest.param(model, quantise, *rest, id=f"{name}, {model}") for name, quantise, models, *rest in CASES
        for model in models]


@pytest.mark.parametrize("model, quantise, arguments, types, bits", EACH)
def test_quantised(model, quantise, arguments, types, bits, tmp_path):
    merged, encoder = model in MERGED, tiny.encoder(scaled=model != "T5")
    exports = write(tmp_path / "whole", quantise(ALL[model]()), quantise(encoder), external=False)
    parts = tmp_path / "split"
    report = tied.split(exports, parts, check=True, **arguments)
    for name in ("decoder", "encoder"):
        onnx.checker.check_model(parts / f"{name}.onnx", full_check=True)
        sizes = [np.prod(tensor.dims) for tensor in onnx.load(parts / f"{name}.onnx").graph.initializer]
        assert not {tiny.ROWS * tiny.COLS, tiny.ROWS * tiny.COLS // 2} & set(sizes)
    assert types is None or sorted(table.dtype for table in report.tables) == types
    tokens, expected = translate(Whole(tmp_path / "whole"), merged)
    after = Split(parts)
    chosen, actual = translate(after, merged, given=tokens)
    for hidden, error in zip(after.hidden, np.abs(expected - actual)):
        assert (error <= bound(hidden, bits)).all()
    # If ONNX Runtime rounds hidden states and tied does not, logits that differ by less than that rounding may swap.
    for step, (token, other) in enumerate(zip(tokens[1:], chosen[1:])):
        margin = bound(after.hidden[step], bits)[[token, other]].sum() if bits else 0
        assert token == other or expected[step][token] - expected[step][other] <= margin
    assert len(set(tokens)) > 2


@pytest.mark.parametrize("name, quantise, model, encoder, words", REFUSED, ids=[case[0] for case in REFUSED])
def test_refused(name, quantise, model, encoder, words, tmp_path):
    exports = write(tmp_path / "whole", quantise(ALL[model]()), quantise(encoder()), external=False)
    with pytest.raises(tied.ConvertError) as refusal:
        tied.split(exports, tmp_path / "split")
    assert all(word in str(refusal.value) for word in words)
    assert not list((tmp_path / "split").glob("*"))
