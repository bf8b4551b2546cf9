"""Runs the models of models.py through ONNX Runtime and through tied, and compares.

usage: parity.py TIED_CONVERT TIED
"""

import itertools
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

import models


def run_onnxruntime(path, feeds):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["embed_matrix", "logits"], feeds)


def run_tied(tied, path, feeds, folder, selector):
    command = [tied, "run", path, "--input", f"use_lm_head={'true' if selector else 'false'}"]
    for name in ("input_ids", "pre_logits"):
        np.save(folder / f"{name}.npy", feeds[name])
        command += ["--input", f"{name}={folder / name}.npy"]
    for name in ("embed_matrix", "logits"):
        command += ["--output", f"{name}={folder / name}.npy"]
    subprocess.run(command, check=True, capture_output=True)
    return [np.load(folder / f"{name}.npy") for name in ("embed_matrix", "logits")]


def bound(weight, hidden):
    """Twice gamma_n * sum |w||x| (Higham 2002, 3.1): both sides round, each in its own order."""
    n = weight.shape[1] + 1
    gamma = n * 2.0**-24 / (1 - n * 2.0**-24)
    return 2 * gamma * (np.abs(hidden).astype(np.float64) @ np.abs(weight).astype(np.float64).T + 1)


def check(convert, tied, head, embed, folder):
    model, weight = models.make(head, embed)
    source, target = str(folder / "model.onnx"), str(folder / "model.tied")
    onnx.save(model, source)
    subprocess.run([convert, source, "-o", target, "--check", "--quiet"], check=True, capture_output=True)
    random = np.random.default_rng(1)
    worst = 0.0
    for batch, seq in ((1, 1), (4, 7)):
        feeds = {
            "input_ids": random.integers(0, models.ROWS, (batch, seq)),
            "pre_logits": random.normal(0, 1, (batch, 1, models.COLS)).astype(np.float32),
        }
        for selector in (True, False):
            expected = run_onnxruntime(source, {**feeds, "use_lm_head": np.array([selector])})
            actual = run_tied(tied, target, feeds, folder, selector)
            for e, a in zip(expected, actual):
                assert e.shape == a.shape and e.dtype == a.dtype, (e.shape, a.shape)
            assert np.array_equal(expected[0], actual[0])
            if selector:
                error = np.abs(expected[1].astype(np.float64) - actual[1])
                assert (error <= bound(weight, feeds["pre_logits"])).all(), error.max()
                worst = max(worst, error.max())
    return worst


def main():
    convert, tied = sys.argv[1:3]
    for head, embed in itertools.product(models.HEADS, models.EMBEDS):
        with tempfile.TemporaryDirectory() as folder:
            try:
                worst = check(convert, tied, head, embed, pathlib.Path(folder))
            except subprocess.CalledProcessError as error:
                sys.exit(f"{head.__name__} {embed.__name__}: {error.cmd}\n{error.stderr.decode()}")
        print(f"{head.__name__:24} {embed.__name__:16} largest difference of logits {worst:.2e}")


if __name__ == "__main__":
    main()
