"""The models of quantised_models.py."""

import pathlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
import tied

import quantised_models as models
from runners import random_hidden, run_onnxruntime, run_tied

# Model, arguments of the conversion, and the types of the tables in the file.
CASES = [
    (models.dynamic_uint8, {}, "uint8"),
    (models.dynamic_uint8_reduced, {"allow_untied": True}, "uint8"),
    (models.dynamic_int8, {"allow_untied": True}, "int8 uint8"),
    (models.dynamic_int8_tied, {}, "int8"),
    (models.dynamic_per_channel, {"allow_untied": True}, "int8 uint8"),
    (models.qdq, {}, "int8"),
    (models.blocks_4_of_32, {}, "int4"),
    (models.blocks_4_of_64, {}, "int4"),
    (models.blocks_8_of_128, {}, "uint8"),
    (models.blocks_4_of_16, {"dtype": "float32"}, "float32"),
    (models.blocks_4_with_zero_points, {}, "int4"),
    (models.blocks_4_of_64_with_zero_points, {}, "int4"),
    (models.blocks_4_with_zero_points, {"dtype": "float32"}, "float32"),
    (models.blocks_8_of_16, {"dtype": "float32"}, "float32"),
    (models.blocks_8_of_32, {}, "uint8"),
    (models.blocks_8_of_64, {}, "uint8"),
    (models.blocks_8_with_zero_points, {}, "uint8"),
    (models.qdq_int4_in_blocks, {}, "int4"),
    (models.qdq_int4_symmetric, {}, "int4"),
    (models.qdq_uint4_in_blocks, {}, "int4"),
    (models.qdq_int8_in_blocks, {}, "int8"),
    (models.float16, {}, "float16"),
    (models.bfloat16, {}, "bfloat16"),
]
REFUSED = [
    (models.dynamic_uint8_reduced, "not tied"),
    (models.dynamic_int8, "not tied"),
    (models.dynamic_per_channel, "not tied"),
    (models.blocks_4_of_16, "blocks of 16 columns"),
    (models.blocks_8_of_16, "choose a different format with --dtype"),
    (models.blocks_of_two_bits, "2 bits are not supported"),
    (models.blocks_of_another_size, "blocks of 64 columns need"),
    (models.blocks_of_another_table, "its shape needs"),
    (models.blocks_in_an_order, "(g_idx) are not supported"),
    (models.qdq_blocks_of_rows, "blocks that run along the vocabulary"),
    (models.qdq_by_columns, "do not run along the vocabulary"),
]


def bound(name, hidden):
    """Bound on the difference of two logits: rounding of hidden states and of products (Higham 2002, 3.1)."""
    weight = np.abs(models.weight()).astype(np.float64) * 1.2  # what quantisation adds to a weight at most
    x = np.abs(hidden).astype(np.float64)
    result = 2 * (models.COLS + 4) * 2.0**-24 * (x @ weight.T + 1)
    largest = x.max(axis=-1, keepdims=True)
    step = largest / 65024
    if name.startswith("dynamic"):
        step = step + 2 * largest / 255 / 2
    if name == "qdq":
        step = step + 4 / 127 / 2
    if name == "float16":
        result += 2.0**-9 * (x @ weight.T)
    return result + step * weight.sum(axis=1)


def name_of(make):
    return getattr(make, "__name__", None)


@pytest.mark.parametrize("make, arguments, expected_types", CASES, ids=name_of)
def test_quantised(make, arguments, expected_types, tmp_path):
    source, target = tmp_path / "model.onnx", tmp_path / "model.tied"
    onnx.save(make(), source)
    report = tied.convert(source, target, check=True, **arguments)
    assert " ".join(sorted({table.dtype for table in report.tables})) == expected_types
    random = np.random.default_rng(2)
    feeds = {
        "input_ids": random.integers(0, models.ROWS, (2, 3)),
        # Within the range that the static quantisation of hidden states was made for.
        "pre_logits": np.clip(random.normal(0, 1, (2, 3, models.COLS)), -4, 4).astype(np.float32),
    }
    outputs = ["embed_matrix", "logits"]
    expected, actual = run_onnxruntime(source, feeds, outputs), run_tied(target, feeds, outputs)
    assert np.array_equal(expected[0], actual[0])
    error = np.abs(expected[1].astype(np.float64) - actual[1])
    assert (error <= bound(make.__name__, feeds["pre_logits"])).all()
    check_kept(source, arguments, feeds["pre_logits"], actual[1], tmp_path)


def check_kept(source, arguments, hidden, logits, folder):
    """With only some rows, embeddings equal ONNX Runtime's and logits equal those of all rows, bit for bit."""
    kept = np.flatnonzero(np.arange(models.ROWS) % 5 % 3 == 0)[3:]
    tied.convert(source, folder / "kept.tied", check=True, keep_ids=kept, **arguments)
    feeds = {"input_ids": kept.reshape(1, -1), "pre_logits": hidden}
    expected = run_onnxruntime(source, feeds, ["embed_matrix"])[0]
    actual = run_tied(folder / "kept.tied", feeds, ["embed_matrix", "logits"])
    assert np.array_equal(expected, actual[0])
    dropped = np.ones(models.ROWS, bool)
    dropped[kept] = False
    assert np.array_equal(np.where(dropped, -np.inf, logits), actual[1])


def test_behind_if(tmp_path):
    """Two tables of uint8 behind an If, as an app has them: one is kept, and both branches run from it."""
    source, target = tmp_path / "model.onnx", tmp_path / "model.tied"
    make = pathlib.Path(__file__).parents[2] / "scripts/make_nllb_onnx.py"
    shape = ["--rows", str(models.ROWS), "--cols", str(models.COLS)]
    subprocess.run([sys.executable, make, "-o", source, "--variant", "uint8", *shape], check=True)
    report = tied.convert(source, target, check=True)
    assert [table.dtype for table in report.tables] == ["uint8"]
    hidden = random_hidden(2, models.COLS)
    for selector in (True, False):
        feeds = {"use_lm_head": np.array([selector]), "input_ids": np.array([[0, 5], [210, 7]]), "pre_logits": hidden}
        outputs = ["logits"] if selector else ["embed_matrix"]
        expected, actual = run_onnxruntime(source, feeds, outputs)[0], run_tied(target, feeds, outputs)[0]
        # Weights are at most 0.1004: half of the range of uint8 times its scale.
        step = np.abs(hidden).max(axis=-1, keepdims=True) * (1 / 255 + 1 / 65024 + 1e-6)
        most = step * 0.1004 * models.COLS if selector else 0
        assert (np.abs(expected.astype(np.float64) - actual) <= most).all()


@pytest.mark.parametrize("make, reason", REFUSED, ids=name_of)
def test_refused(make, reason, tmp_path):
    source, target = tmp_path / "model.onnx", tmp_path / "model.tied"
    onnx.save(make(), source)
    with pytest.raises(tied.ConvertError) as refusal:
        tied.convert(source, target)
    assert reason in str(refusal.value) and not target.exists()
