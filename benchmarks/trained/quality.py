"""Measures what rounded formats of trained tables cost, with the hidden states of real text, and prints a table.

usage: quality.py TIED_CONVERT TIED WORK

Beside tied's formats stand the blocks of GGUF files, whose definitions are public: Q4_0 and Q8_0 have a float16 scale
for 32 weights, Q4_1 a float16 scale and minimum. Everything is compared with the float32 table: the mean
Kullback-Leibler divergence of the softmax, tokens with the same best id, and the overlap of the ten best ids.
Takes WORK/NAME/model.safetensors, NAME.hidden.npy and NAME.calibration.npy.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from screen import TITLES, row

NAMES = ["marian_enpt", "gemma3", "smollm2"]
BLOCK = 32
ROWS = 8192  # rounded at once


def read_table(work, name):
    path = work / name / "model.safetensors"
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        tensor = json.loads(file.read(length))["model.embed_tokens.weight"]
    return np.memmap(path, np.float32, "r", 8 + length + tensor["data_offsets"][0], tuple(tensor["shape"]))


def half(numbers):
    return numbers.astype(np.float16).astype(np.float32)


def inverse(scales):
    return np.divide(1, scales, out=np.zeros_like(scales), where=scales != 0)


def q4_0(blocks):
    """The weight of the largest magnitude becomes -8."""
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)
    scales = largest / -8
    return (np.clip(np.floor(blocks * inverse(scales) + 8.5), 0, 15) - 8) * half(scales)


def q4_1(blocks):
    lowest = blocks.min(-1, keepdims=True)
    scales = (blocks.max(-1, keepdims=True) - lowest) / 15
    return np.clip(np.floor((blocks - lowest) * inverse(scales) + 0.5), 0, 15) * half(scales) + half(lowest)


def q8_0(blocks):
    scales = np.abs(blocks).max(-1, keepdims=True) / 127
    return np.round(blocks * inverse(scales)) * half(scales)


PEERS = {"Q4_0": (4.5, q4_0), "Q4_1": (5.0, q4_1), "Q8_0": (8.5, q8_0)}
FORMATS = [("int4", False), ("int4", True), ("int8-blocks", False), ("int8-blocks", True), ("int8", False)]


def logits_of(table, hidden, bias, rounded=lambda blocks: blocks):
    logits = np.empty((len(hidden), len(table)), np.float32)
    for first in range(0, len(table), ROWS):
        rows = np.array(table[first : first + ROWS])
        blocks = rows.reshape(len(rows), -1, BLOCK)
        logits[:, first : first + ROWS] = hidden @ rounded(blocks).reshape(rows.shape).astype(np.float32).T
    return logits + bias


def tied_logits(programs, work, name, dtype, recorded):
    """Bits per weight in the file, and logits."""
    converter, tied = programs
    with tempfile.TemporaryDirectory(dir=work) as folder:
        model, output = pathlib.Path(folder, "model.tied"), pathlib.Path(folder, "logits.npy")
        options = ["--hidden", work / f"{name}.calibration.npy"] if recorded else []
        if (work / f"{name}.bias.npy").exists():
            options += ["--table", "model.embed_tokens.weight", "--bias", "final_logits_bias"]
        subprocess.run([converter, work / name, "-o", model, "--dtype", dtype, "--quiet", *options], check=True,
                       stdout=subprocess.DEVNULL)
        info = json.loads(subprocess.run([tied, "inspect", model, "--json"], check=True, stdout=subprocess.PIPE).stdout)
        (table,) = info["tables"]
        stored = sum(plane["length"] for plane in table["planes"].values())
        hidden = pathlib.Path(folder, "hidden.npy")
        np.save(hidden, np.load(work / f"{name}.hidden.npy").astype(np.float32))
        subprocess.run([tied, "logits", model, "--hidden", hidden, "-o", output], check=True)
        return 8 * stored / (table["rows"] * table["cols"]), np.load(output)


def compare(exact, rounded):
    """(divergence, share of tokens with the same best id, overlap of the ten best ids)"""
    divergence, same, overlap = [], [], []
    for p, q in zip(exact.astype(np.float64), rounded.astype(np.float64)):
        p, q = p - p.max(), q - q.max()
        p, q = p - np.log(np.exp(p).sum()), q - np.log(np.exp(q).sum())
        divergence.append((np.exp(p) * (p - q)).sum())
        same.append(p.argmax() == q.argmax())
        overlap.append(len(np.intersect1d(np.argpartition(p, -10)[-10:], np.argpartition(q, -10)[-10:])) / 10)
    return np.mean(divergence), np.mean(same), np.mean(overlap)


def main():
    programs, work = sys.argv[1:3], pathlib.Path(sys.argv[3])
    row("table", "format", "bits a weight", "divergence", "same best id", "top-10 overlap")
    row(*["---"] * 6)
    for name in NAMES:
        if not (work / f"{name}.calibration.npy").exists():
            continue
        table = read_table(work, name)
        hidden = np.load(work / f"{name}.hidden.npy").astype(np.float32)
        bias = np.load(work / f"{name}.bias.npy") if (work / f"{name}.bias.npy").exists() else np.float32(0)
        exact = logits_of(table, hidden, bias)

        def print_row(title, bits, logits):
            divergence, same, overlap = compare(exact, logits)
            row(TITLES[name], title, f"{bits:.2f}", f"{divergence:.2g}", f"{same:.3f}", f"{overlap:.3f}")

        for dtype, recorded in FORMATS:
            print_row(f"{dtype}{', recorded' if recorded else ''}", *tied_logits(programs, work, name, dtype, recorded))
        for peer, (bits, rounded) in PEERS.items():
            print_row(peer, bits, logits_of(table, hidden, bias, rounded))


if __name__ == "__main__":
    main()
