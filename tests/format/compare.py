"""Compares `tied` with an independent reader, written from schema/FORMAT.md: which files they open, and what they
compute.

usage: compare.py TIED_CONVERT TIED [HOSTILE_FILES [FIRST_SEED]]"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile

import numpy
from compute import embed, logits
from flatbuffer import Refused
from generate import hostile_file
from header import Model

ROWS, COLS = 67, 80


def run(*words, memory=None):
    """memory: the most address space that the command may take."""

    def limit():
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, preexec_fn=limit)


def write_safetensors(folder, table):
    header = {"model.embed_tokens.weight": {"dtype": "F32", "shape": table.shape, "data_offsets": [0, table.nbytes]}}
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + table.tobytes())
    config = {"model_type": "gemma2", "tie_word_embeddings": True, "hidden_size": COLS, "final_logit_softcapping": 3.0}
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)


def check_values(tied, path, ids, hidden_path, hidden):
    """Embeddings have the same bits; logits are within the rounding of the definition."""
    with open(path, "rb") as file:
        model = Model(file.read())
    outputs = [os.path.join(os.path.dirname(path), name) for name in ("embeddings.npy", "logits.npy")]
    for words in (["embed", path, "--ids", ",".join(map(str, ids))], ["logits", path, "--hidden", hidden_path]):
        done = run(tied, *words, "-o", outputs[words[0] == "logits"])
        assert done.returncode == 0, done.stderr
    theirs = numpy.load(outputs[0])
    assert theirs.tobytes() == embed(model, ids).tobytes(), path
    theirs = numpy.load(outputs[1])
    mine, bound = logits(model, hidden)
    dropped = numpy.isinf(mine)
    assert theirs.shape == mine.shape and (theirs[dropped] == -numpy.inf).all(), path
    error = numpy.abs(theirs[~dropped] - mine[~dropped])
    assert (error <= bound[~dropped]).all(), f"{path}: {(error - bound[~dropped]).max()}"


def compare_conversions(convert, tied, folder):
    numbers = numpy.random.default_rng(1)
    write_safetensors(folder, numbers.standard_normal((ROWS, COLS), numpy.float32))
    hidden = numbers.standard_normal((3, COLS), numpy.float32)
    hidden_path = os.path.join(folder, "hidden.npy")
    numpy.save(hidden_path, hidden)
    kept = os.path.join(folder, "keep.txt")
    with open(kept, "w", encoding="utf-8") as file:
        file.write("3-9 20 65")
    cases = [(dtype, options) for dtype in ("float32", "float16", "bfloat16", "int8", "int8-blocks", "int4")
             for options in ([], ["--keep-ids", kept], ["--screen"])
             if "--screen" not in options or dtype not in ("int8-blocks", "int4")]
    for number, (dtype, options) in enumerate(cases):
        path = os.path.join(folder, f"{number}.tied")
        model = os.path.join(folder, "model.safetensors")
        done = run(convert, model, "-q", "--dtype", dtype, *options, "-o", path)
        assert done.returncode == 0, done.stderr
        check_values(tied, path, [3, 65, 7, 3], hidden_path, hidden)
    return len(cases)


def compare_hostile(tied, folder, count, first_seed):
    path = os.path.join(folder, "hostile.tied")
    opened = 0
    for seed in range(first_seed, first_seed + count):
        data = hostile_file(random.Random(seed))
        with open(path, "wb") as file:
            file.write(data)
        done = run(tied, "inspect", "--json", path, memory=(64 << 20) + 16 * len(data))
        try:
            Model(data)
            mine = ""
        except Refused as refused:
            mine = str(refused)
        assert done.returncode in (0, 1) and b"memory" not in done.stderr, f"seed {seed}: {done}"
        assert (done.returncode == 0) == (not mine), f"seed {seed}: tied: {done.stderr}; the reader: {mine or 'opens'}"
        opened += not mine
    return opened


def main():
    convert, tied = sys.argv[1:3]
    count, first_seed = (list(map(int, sys.argv[3:])) + [500, 0][len(sys.argv) - 3 :])[:2]
    with tempfile.TemporaryDirectory() as folder:
        conversions = compare_conversions(convert, tied, folder)
        opened = compare_hostile(tied, folder, count, first_seed)
    assert 0 < opened < count
    print(f"{conversions} conversions agree; of {count} hostile files both open the same {opened}")


main()
