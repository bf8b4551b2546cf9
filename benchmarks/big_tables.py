"""Converts tables whose files exceed 2^31 and 2^32 bytes, runs them and compares with numpy; see benchmarks/big_tables.

usage: big_tables.py BUILD WORK
"""

import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import make_nllb_onnx  # noqa: E402

ROWS, BLOCK, TOKENS, K = 256206, 4096, 3, 10


def write_rows(file, cols):
    """Writes rows that are all different and cheap to make: one random block, rotated by one more column each time."""
    block = np.random.default_rng(cols).standard_normal((BLOCK, cols), np.float32)
    for first in range(0, ROWS, BLOCK):
        np.roll(block, first // BLOCK, axis=1)[:ROWS - first].tofile(file)


def make_onnx(folder, cols):
    """Returns the model's path, and the file and offset of its table."""
    model, data = folder / "model.onnx", folder / "model.onnx.data"
    with open(data, "wb") as file:
        write_rows(file, cols)
    weight = TensorProto(name=make_nllb_onnx.WEIGHT, data_type=TensorProto.FLOAT, dims=[ROWS, cols])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=data.name)
    graph = make_nllb_onnx.make_graph("matmul_transpose", ROWS, cols, [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    return model, (data, 0)


def make_safetensors(folder, cols):
    model = folder / "model.safetensors"
    entry = {"dtype": "F32", "shape": [ROWS, cols], "data_offsets": [0, ROWS * cols * 4]}
    header = json.dumps({"model.embed_tokens.weight": entry}).encode()
    header += b" " * (-len(header) % 8)
    with open(model, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        write_rows(file, cols)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": True}))
    return model, (model, 8 + len(header))


CASES = [("ONNX with external data", make_onnx, 2048), ("safetensors", make_safetensors, 5120)]


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def measure(*command):
    """Returns seconds and peak bytes. Uses time(1), because a fork's peak includes the memory of this process."""
    start = time.monotonic()
    timed = ["/usr/bin/time", "-f", "%M", *map(str, command)]
    result = subprocess.run(timed, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return time.monotonic() - start, int(result.stderr.split()[-1]) * 1024


def top(*command):
    """Returns the ids and logits of `tied topk` for each hidden state."""
    output = subprocess.run([*map(str, command), "--json"], check=True, capture_output=True).stdout
    return [(token["ids"], token["logits"]) for token in json.loads(output)["tokens"]]


def best_rows(table, hidden):
    """Returns, for each hidden state, the best row in double precision and its lead over the next."""
    logits = np.concatenate([hidden.astype(np.float64) @ table[first:first + BLOCK].astype(np.float64).T
                             for first in range(0, ROWS, BLOCK)], axis=1)
    ordered = np.sort(logits, axis=1)
    return logits.argmax(axis=1), (ordered[:, -1] - ordered[:, -2]).min()


def check(build, folder, model, where, cols):
    """Converts and runs; returns seconds and peak bytes of the conversion, and the size of the file."""
    tied, target = build / "tools/tied/tied", folder / "model.tied"
    seconds, peak = measure(build / "tools/tied_convert/tied-convert", model, "-o", target, "-q", "--dtype", "float32", "--screen")
    table = np.memmap(where[0], np.float32, "r", where[1], (ROWS, cols))

    # Includes the rows at 2^31 and at 2^32 bytes.
    ids = [0, 1] + [end // (4 * cols) for end in (2**31, 2**32) if end < 4 * cols * ROWS] + [ROWS - 2, ROWS - 1]
    run(tied, "embed", target, "--ids", ",".join(map(str, ids)), "-o", folder / "embeddings.npy")
    assert np.array_equal(np.load(folder / "embeddings.npy").reshape(-1, cols), table[ids])

    hidden = np.random.default_rng(0).standard_normal((TOKENS, cols), np.float32)
    np.save(folder / "hidden.npy", hidden)
    expected, margin = best_rows(table, hidden)
    asked = [tied, "topk", target, "--hidden", folder / "hidden.npy", "-k", K]
    screened, full = top(*asked), top(*asked, "--no-screen")
    assert screened == full, (screened, full)
    found = [ids[0] for ids, _ in full]
    assert margin > 1e-3 and found == expected.tolist(), (found, expected, margin)
    return seconds, peak, target.stat().st_size


def main():
    build, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for name, make, cols in CASES:
        folder = work / f"{cols}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            model, where = make(folder, cols)
            seconds, peak, size = check(build, folder, model, where, cols)
        finally:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        print(f"{ROWS} x {cols}, {ROWS * cols * 4 / 1e9:.1f} GB of {name}: converted in {seconds:.0f} s and "
              f"{peak / 1e6:.0f} MB, {size / 1e9:.2f} GB with the screen; rows, best rows and the screened {K} best "
              "are right", flush=True)


if __name__ == "__main__":
    main()
