"""Translations with whole exports and with split ones: the tokens must be equal."""

import numpy as np
import onnx
import pytest
import tied

import tiny_translator as tiny
from translation import SOURCE, Split, Whole, translate, write


def table_used_twice():
    """Rows without their scale are also an output."""
    model = tiny.plain_decoder(tiny.head_copy)
    gather = next(node for node in model.graph.node if node.op_type == "Gather" and node.input[0] == tiny.WEIGHT)
    model.graph.node.append(onnx.helper.make_node("Neg", [gather.output[0]], ["negative"]))
    model.graph.output.append(tiny.value("negative", tiny.FLOAT, "batch", "decoder_length", tiny.COLS))
    return model


CASES = [
    ("plain", lambda: tiny.plain_decoder(tiny.head_transpose), False),
    ("plain, no scale", lambda: tiny.plain_decoder(tiny.head_transpose, scaled=False), False),
    ("plain, transposed copy", lambda: tiny.plain_decoder(tiny.head_copy), False),
    ("plain, bias", lambda: tiny.plain_decoder(tiny.head_bias), False),
    ("plain, T5", lambda: tiny.plain_decoder(tiny.head_t5), False),
    ("plain, decoder_input_ids", lambda: tiny.plain_decoder(tiny.head_bias, ids="decoder_input_ids"), False),
    ("rows used twice", table_used_twice, False),
    ("no scale in the encoder", lambda: tiny.plain_decoder(tiny.head_copy), False),
    ("merged", lambda: tiny.merged_decoder(tiny.head_transpose), True),
    ("merged, transposed copy", lambda: tiny.merged_decoder(tiny.head_copy), True),
    ("merged, bias", lambda: tiny.merged_decoder(tiny.head_bias), True),
]


@pytest.mark.parametrize("external", (False, True), ids=("weights inside", "weights external"))
@pytest.mark.parametrize("name, make, merged", CASES, ids=[case[0] for case in CASES])
def test_same_tokens(name, make, merged, external, tmp_path):
    exports = write(tmp_path / "whole", make(), tiny.encoder(scaled="no scale" not in name), external)
    parts = tmp_path / "split"
    tied.split(exports, parts, check=True)
    for part in ("decoder", "encoder"):
        onnx.checker.check_model(parts / f"{part}.onnx")
        shapes = [list(tensor.dims) for tensor in onnx.load(parts / f"{part}.onnx").graph.initializer]
        assert [tiny.ROWS, tiny.COLS] not in shapes and [tiny.COLS, tiny.ROWS] not in shapes
        assert (parts / f"{part}.onnx").stat().st_size < tiny.POSITIONS * tiny.COLS * 4
        assert (parts / f"{part}.onnx.data").stat().st_size >= tiny.POSITIONS * tiny.COLS * 4
    expected, expected_logits = translate(Whole(tmp_path / "whole"), merged)
    actual, actual_logits = translate(Split(parts), merged)
    assert expected == actual
    assert len(set(expected)) > 2  # a model that says one thing only would show little
    np.testing.assert_allclose(actual_logits, expected_logits, rtol=1e-4, atol=1e-5)


def test_smaller_vocabulary(tmp_path):
    """Without the ids that a translation does not use, the result is the same."""
    exports = write(tmp_path / "whole", tiny.merged_decoder(tiny.head_bias), tiny.encoder(), external=False)
    expected, _ = translate(Whole(tmp_path / "whole"), merged=True)
    kept = sorted({*SOURCE[0].tolist(), *expected, 0, 96})
    tied.split(exports, tmp_path / "split", check=True, keep_ids=kept)
    actual, logits = translate(Split(tmp_path / "split"), merged=True)
    assert expected == actual
    assert np.flatnonzero(np.isfinite(logits[0])).tolist() == kept


def two_tables():
    """Another Gather by input_ids, on another matrix."""
    model = tiny.plain_decoder(tiny.head_transpose)
    model.graph.initializer.append(tiny.random("other", tiny.ROWS, tiny.COLS))
    model.graph.node.append(onnx.helper.make_node("Gather", ["other", "input_ids"], ["more"], name="second"))
    model.graph.output.append(tiny.value("more", tiny.FLOAT, "batch", "decoder_length", tiny.COLS))
    return model


def tanh_head(build, x):
    return build.add("Tanh", tiny.head_copy(build, x))


REFUSED = [
    ("two tables", two_tables, tiny.encoder, ["second", "Gather", "other"]),
    ("untied", lambda: tiny.plain_decoder(tiny.head_untied), tiny.encoder, ["not tied", "onnx::MatMul_1207"]),
    ("Tanh on logits", lambda: tiny.plain_decoder(tanh_head), tiny.encoder, ["Tanh", "computes the logits"]),
    ("another encoder", lambda: tiny.plain_decoder(tiny.head_copy), lambda: tiny.encoder(seed=1),
     ["encoder.onnx", "same table"]),
    ("encoder alone", tiny.encoder, tiny.encoder, ["no output 'logits'", "last_hidden_state", "--logits"]),
]


@pytest.mark.parametrize("name, make, make_encoder, words", REFUSED, ids=[case[0] for case in REFUSED])
def test_refused(name, make, make_encoder, words, tmp_path):
    exports = write(tmp_path / "whole", make(), make_encoder(), external=False)
    with pytest.raises(tied.ConvertError) as refusal:
        tied.split(exports, tmp_path / "split")
    assert all(word in str(refusal.value) for word in words)
    assert not list((tmp_path / "split").glob("*")), "something was written"
