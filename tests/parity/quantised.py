"""Runs the models of quantised_models.py through ONNX Runtime and through tied, and compares.

usage: quantised.py TIED_CONVERT TIED
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx

import parity
import quantised_models as models

# Model, arguments for the converter, and the types of the tables in the file.
CASES = [
    (models.dynamic_uint8, [], "uint8"),
    (models.dynamic_uint8_reduced, ["--allow-untied"], "uint8"),
    (models.dynamic_int8, ["--allow-untied"], "int8 uint8"),
    (models.dynamic_int8_tied, [], "int8"),
    (models.dynamic_per_channel, ["--allow-untied"], "int8 uint8"),
    (models.qdq, [], "int8"),
    (models.blocks_4_of_32, [], "int4"),
    (models.blocks_4_of_64, [], "int4"),
    (models.blocks_8_of_128, [], "uint8"),
    (models.blocks_4_of_16, ["--dtype", "float32"], "float32"),
    (models.blocks_4_with_zero_points, [], "int4"),
    (models.blocks_4_of_64_with_zero_points, [], "int4"),
    (models.blocks_4_with_zero_points, ["--dtype", "float32"], "float32"),
    (models.blocks_8_of_16, ["--dtype", "float32"], "float32"),
    (models.blocks_8_of_32, [], "uint8"),
    (models.blocks_8_of_64, [], "uint8"),
    (models.blocks_8_with_zero_points, [], "uint8"),
    (models.qdq_int4_in_blocks, [], "int4"),
    (models.qdq_int4_symmetric, [], "int4"),
    (models.qdq_uint4_in_blocks, [], "int4"),
    (models.qdq_int8_in_blocks, [], "int8"),
    (models.float16, [], "float16"),
    (models.bfloat16, [], "bfloat16"),
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


def check(convert, tied, make, arguments, expected_type, folder):
    source, target = str(folder / "model.onnx"), str(folder / "model.tied")
    onnx.save(make(), source)
    subprocess.run([convert, source, "-o", target, "--check", *arguments], check=True, capture_output=True)
    tables = json.loads(subprocess.run([tied, "inspect", target, "--json"], check=True, capture_output=True).stdout)
    types = " ".join(sorted({table["type"] for table in tables["tables"]}))
    assert types == expected_type, types
    random = np.random.default_rng(2)
    feeds = {
        "input_ids": random.integers(0, models.ROWS, (2, 3)),
        # Within the range that the static quantisation of hidden states was made for.
        "pre_logits": np.clip(random.normal(0, 1, (2, 3, models.COLS)), -4, 4).astype(np.float32),
    }
    outputs = ["embed_matrix", "logits"]
    expected = parity.run_onnxruntime(source, feeds, outputs)
    actual = parity.run_tied(tied, target, feeds, outputs, folder)
    assert np.array_equal(expected[0], actual[0]), np.abs(expected[0] - actual[0]).max()
    error = np.abs(expected[1].astype(np.float64) - actual[1])
    assert (error <= bound(make.__name__, feeds["pre_logits"])).all(), error.max()
    check_kept(convert, tied, source, arguments, feeds["pre_logits"], actual[1], folder)
    return error.max()


def check_kept(convert, tied, source, arguments, hidden, logits, folder):
    """With only some rows, embeddings equal ONNX Runtime's and logits equal those of all rows, bit for bit."""
    target = str(folder / "kept.tied")
    kept = np.flatnonzero(np.arange(models.ROWS) % 5 % 3 == 0)[3:]
    np.savetxt(folder / "keep.txt", kept, fmt="%d")
    keep = ["--keep-ids", folder / "keep.txt"]
    subprocess.run([convert, source, "-o", target, "--check", *keep, *arguments], check=True, capture_output=True)
    feeds = {"input_ids": kept.reshape(1, -1), "pre_logits": hidden}
    expected = parity.run_onnxruntime(source, feeds, ["embed_matrix"])[0]
    actual = parity.run_tied(tied, target, feeds, ["embed_matrix", "logits"], folder)
    assert np.array_equal(expected, actual[0]), np.abs(expected - actual[0]).max()
    dropped = np.ones(models.ROWS, bool)
    dropped[kept] = False
    assert np.array_equal(np.where(dropped, -np.inf, logits), actual[1])


def check_behind_if(convert, tied, folder):
    """Two tables of uint8 behind an If, as an app has them: one is kept, and both branches run from it."""
    source, target = str(folder / "model.onnx"), str(folder / "model.tied")
    make = pathlib.Path(__file__).parents[2] / "scripts/make_nllb_onnx.py"
    shape = ["--rows", str(models.ROWS), "--cols", str(models.COLS)]
    subprocess.run([sys.executable, make, "-o", source, "--variant", "uint8", *shape], check=True)
    subprocess.run([convert, source, "-o", target, "--check"], check=True, capture_output=True)
    description = subprocess.run([tied, "inspect", target, "--json"], check=True, capture_output=True).stdout
    tables = json.loads(description)["tables"]
    assert [table["type"] for table in tables] == ["uint8"], tables
    hidden = parity.random_hidden(2, models.COLS)
    worst = 0.0
    for selector in (True, False):
        feeds = {"use_lm_head": np.array([selector]), "input_ids": np.array([[0, 5], [210, 7]]), "pre_logits": hidden}
        outputs = ["logits"] if selector else ["embed_matrix"]
        expected = parity.run_onnxruntime(source, feeds, outputs)[0]
        actual = parity.run_tied(tied, target, feeds, outputs, folder)[0]
        error = np.abs(expected.astype(np.float64) - actual)
        # Weights are at most 0.1004: half of the range of uint8 times its scale.
        step = np.abs(hidden).max(axis=-1, keepdims=True) * (1 / 255 + 1 / 65024 + 1e-6)
        assert (error <= (step * 0.1004 * models.COLS if selector else 0)).all(), error.max()
        worst = max(worst, error.max())
    return worst


def check_refused(convert, make, reason, folder):
    source, target = folder / "model.onnx", folder / "model.tied"
    onnx.save(make(), source)
    run = subprocess.run([convert, source, "-o", target], capture_output=True, text=True)
    assert run.returncode == 1 and reason in run.stderr and not target.exists(), run.stderr


def main():
    convert, tied = sys.argv[1:3]
    for make, arguments, expected_type in CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                worst = check(convert, tied, make, arguments, expected_type, pathlib.Path(folder))
            except subprocess.CalledProcessError as error:
                sys.exit(f"{make.__name__}: {error.cmd}\n{error.stdout.decode()}{error.stderr.decode()}")
        print(f"{make.__name__:28} {expected_type:10} largest difference {worst:.2e}")
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'uint8 behind an If':39} largest difference {check_behind_if(convert, tied, pathlib.Path(folder)):.2e}")
    for make, reason in REFUSED:
        with tempfile.TemporaryDirectory() as folder:
            check_refused(convert, make, reason, pathlib.Path(folder))
        print(f"{make.__name__:28} refused: {reason}")


if __name__ == "__main__":
    main()
