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


def run_onnxruntime(path, feeds, outputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(outputs, feeds)


def run_tied(tied, path, feeds, outputs, folder):
    command = [tied, "run", path]
    results = [folder / f"output_{i}.npy" for i in range(len(outputs))]  # names may hold a slash
    for i, (name, value) in enumerate(feeds.items()):
        if value.dtype == bool:
            command += ["--input", f"{name}={'true' if value[0] else 'false'}"]
            continue
        np.save(folder / f"input_{i}.npy", value)
        command += ["--input", f"{name}={folder}/input_{i}.npy"]
    for name, result in zip(outputs, results):
        command += ["--output", f"{name}={result}"]
    subprocess.run(command, check=True, capture_output=True)
    return [np.load(result) for result in results]


def run_both(convert, tied, model, all_feeds, outputs, folder):
    """Returns the results of ONNX Runtime and of tied for each feed, after comparing shapes and types."""
    source, target = str(folder / "model.onnx"), str(folder / "model.tied")
    onnx.save(model, source)
    subprocess.run([convert, source, "-o", target, "--check", "--quiet"], check=True, capture_output=True)
    for feeds in all_feeds:
        expected = run_onnxruntime(source, feeds, outputs)
        actual = run_tied(tied, target, feeds, outputs, folder)
        for e, a in zip(expected, actual):
            assert e.shape == a.shape and e.dtype == a.dtype, (e.shape, a.shape)
        yield feeds, expected, actual


def bound(weight, hidden):
    """Twice gamma_n * sum |w||x| (Higham 2002, 3.1), because both sides round, in different orders."""
    n = weight.shape[1] + 1
    gamma = n * 2.0**-24 / (1 - n * 2.0**-24)
    return 2 * gamma * (np.abs(hidden).astype(np.float64) @ np.abs(weight).astype(np.float64).T + 1)


def random_hidden(batch, cols=models.COLS):
    return np.random.default_rng(batch).normal(0, 1, (batch, 1, cols)).astype(np.float32)


def check_if(convert, tied, head, embed, folder):
    """Returns the largest difference of logits; embeddings must be equal."""
    model, weight = models.make(head, embed)
    all_feeds = [
        {
            "use_lm_head": np.array([selector]),
            "input_ids": np.random.default_rng(seq).integers(0, models.ROWS, (batch, seq)),
            "pre_logits": random_hidden(batch),
        }
        for batch, seq in ((1, 1), (4, 7))
        for selector in (True, False)
    ]
    worst = 0.0
    for feeds, expected, actual in run_both(convert, tied, model, all_feeds, ["embed_matrix", "logits"], folder):
        assert np.array_equal(expected[0], actual[0])
        if feeds["use_lm_head"][0]:
            error = np.abs(expected[1].astype(np.float64) - actual[1])
            assert (error <= bound(weight, feeds["pre_logits"])).all(), error.max()
            worst = max(worst, error.max())
    return worst


def check_selection(convert, tied, select, _, folder):
    """Returns the largest difference of values; ids must be equal."""
    model, weight = models.make_selection(select)
    outputs = [output.name for output in model.graph.output]
    all_feeds = [{"pre_logits": random_hidden(batch)} for batch in (1, 4)]
    worst = 0.0
    for feeds, expected, actual in run_both(convert, tied, model, all_feeds, outputs, folder):
        # A value is a logit; with LogSoftmax, its error is at most the largest error of a logit.
        most = 2 * bound(weight, feeds["pre_logits"]).max(axis=-1, keepdims=True)
        for name, e, a in zip(outputs, expected, actual):
            error = np.abs(e.astype(np.float64) - a)
            assert (error <= (0 if name == "ids" else most)).all(), (name, error.max())
            worst = max(worst, error.max())
    return worst


def main():
    convert, tied = sys.argv[1:3]
    cases = [(check_if, head, embed) for head, embed in itertools.product(models.HEADS, models.EMBEDS)]
    cases += [(check_selection, select, None) for select in models.SELECTIONS]
    for check, first, second in cases:
        what = f"{first.__name__:24} {second.__name__ if second else '':16}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                worst = check(convert, tied, first, second, pathlib.Path(folder))
            except subprocess.CalledProcessError as error:
                sys.exit(f"{what}: {error.cmd}\n{error.stderr.decode()}")
        print(f"{what} largest difference {worst:.2e}")


if __name__ == "__main__":
    main()
