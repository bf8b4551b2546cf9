#!/usr/bin/env python3
"""Measures ONNX Runtime on a model of scripts/make_nllb_onnx.py, in this process, and prints JSON.

usage: onnxruntime_peer.py MODEL.onnx default|best THREADS REPEAT

default: default session options. best: the least memory that is possible with one copy of the table: no pre-packing, no
arena, no memory pattern; MODEL should then be the `gemm` variant with external weights.
Times are medians in ms of the head with 1, 4 and 16 tokens as a batch, of the embedding of 128 ids, and of getting from
one hidden state to the best id (head, then numpy.argmax, which is what a caller does).
"""

import json
import statistics
import sys
import time

import numpy as np
import onnxruntime as ort

ROWS, COLS = 256206, 1024


def memory():
    """Returns the resident, private dirty and peak bytes of this process."""
    with open("/proc/self/smaps_rollup") as file:
        fields = dict(line.split(":") for line in file if ":" in line and "-" not in line.split(":")[0])
    with open("/proc/self/status") as file:
        peak = next(line for line in file if line.startswith("VmHWM"))
    kilobytes = lambda text: int(text.split()[0]) * 1024
    return {
        "resident_bytes": kilobytes(fields["Rss"]),
        "private_dirty_bytes": kilobytes(fields["Private_Dirty"]),
        "peak_bytes": kilobytes(peak.split(":")[1]),
    }


def median_ms(call, repeat):
    samples = []
    call()
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        samples.append((time.perf_counter() - start) * 1e3)
    return statistics.median(samples)


def main():
    model, form, threads, repeat = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    before = memory()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    if form == "best":
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.disable_prepacking", "1")
    start = time.perf_counter()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    create_ms = (time.perf_counter() - start) * 1e3

    random = np.random.default_rng(1)
    hidden = random.standard_normal((16, 1, COLS), dtype=np.float32)
    no_ids = np.zeros((1, 1), np.int64)

    def head(tokens):
        feeds = {"use_lm_head": np.array([True]), "input_ids": no_ids, "pre_logits": hidden[:tokens]}
        return session.run(["logits"], feeds)[0]

    def embed():
        ids = random.integers(0, ROWS, (1, 128))
        session.run(
            ["embed_matrix"], {"use_lm_head": np.array([False]), "input_ids": ids, "pre_logits": hidden[:1]}
        )

    result = {
        "name": f"ONNX Runtime {ort.__version__}, {form}",
        "threads": threads,
        "open_ms": create_ms,
        "head_ms": {str(tokens): median_ms(lambda: head(tokens), repeat) for tokens in (1, 4, 16)},
        "top1_ms": median_ms(lambda: int(np.argmax(head(1))), repeat),
        "embed_ms": median_ms(embed, repeat),
    }
    after = memory()
    # Exclude the interpreter and its libraries.
    for key in ("resident_bytes", "private_dirty_bytes"):
        result[key] = after[key] - before[key]
    result["peak_bytes"] = after["peak_bytes"] - before["resident_bytes"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
