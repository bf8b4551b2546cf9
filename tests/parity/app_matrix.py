"""Converts the models of app_models.py and compares embeddings and logits with ONNX Runtime's.

usage: app_matrix.py TIED_CONVERT TIED [--all]

Each cell of layout, If, quantiser and optimisation is converted right, or refused because its two tables are not the
same; then --allow-untied converts it. Without --all, one cell in seven.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

import app_models as models
import parity

STEP = 7  # prime to the number of layouts, quantisers and levels


def run_onnxruntime(path, feeds, output):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = {info.name for info in session.get_inputs()}
    return session.run([output], {name: value for name, value in feeds.items() if name in names})[0]


def convert(command):
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode == 0:
        return "right"
    assert "are not tied" in run.stderr and "--allow-untied" in run.stderr, run.stdout + run.stderr
    run = subprocess.run(command + ["--allow-untied"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return "right with --allow-untied"


def check(convert_path, tied, cell, folder):
    source, target = str(folder / "model.onnx"), str(folder / "model.tied")
    onnx.save(models.make(*cell), source)
    outcome = convert([convert_path, source, "-o", target, "--check", "--quiet"])
    random = np.random.default_rng(4)
    feeds = {
        "input_ids": random.integers(0, models.ROWS, (2, models.LENGTH)),
        "pre_logits": random.normal(0, 1, (3, 1, models.COLS)).astype(np.float32),
    }
    for selector, output in ((False, "embed_matrix"), (True, "logits")):
        if cell[1]:
            feeds["use_lm_head"] = np.array([selector])
        expected = run_onnxruntime(source, feeds, output)
        actual = parity.run_tied(tied, target, feeds, [output], folder)[0]
        assert expected.shape == actual.shape, (expected.shape, actual.shape)
        error = np.abs(expected.astype(np.float64) - actual).max()
        # If the graph rounds hidden states to 8 bits, each has an independent error of half a step.
        quantised = cell[2] is not None and output == "logits"
        step = np.abs(feeds["pre_logits"]).max() * 2 / 255
        bound = 4 * step * np.sqrt(models.COLS) * np.abs(models.weight()).std() if quantised else 1e-5
        assert error <= bound, (output, error, bound)
    return outcome


def main():
    convert_path, tied = sys.argv[1:3]
    cells = list(models.cells())
    cells = cells if "--all" in sys.argv[3:] else cells[::STEP]
    outcomes = {}
    for cell in cells:
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = check(convert_path, tied, cell, pathlib.Path(folder))
            except (AssertionError, subprocess.CalledProcessError) as error:
                sys.exit(f"{models.name(*cell)}: {error}")
        outcomes.setdefault(outcome, []).append(models.name(*cell))
    for outcome, names in outcomes.items():
        print(f"{len(names):4} {outcome}")


if __name__ == "__main__":
    main()
