"""Converts models of several sizes and prints time and memory; see benchmarks/conversion.

usage: conversion.py ROOT WORK [CASE…]     all cases, or those with these names
"""

import array
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

RUNS = 5
HIDDEN = "hidden.f32"  # in WORK

# Name, options to make the model, options to convert it.
CASES = [
    ("float32, 1.05 GB", [], ["--dtype", "float32"]),
    ("float32, 1.05 GB, looking for a narrower type", [], []),
    ("float32, 1.05 GB, with a screen", [], ["--dtype", "float32", "--screen"]),
    ("float32, 1.05 GB, with a calibrated screen", [], ["--dtype", "float32", "--screen", "--calibrate", HIDDEN]),
    ("float32 to float16 with a screen", [], ["--dtype", "float16", "--screen"]),
    ("float32 to bfloat16 with a screen", [], ["--dtype", "bfloat16", "--screen"]),
    ("float32 to int8", [], ["--dtype", "int8"]),
    ("float32 to int8 with a screen", [], ["--dtype", "int8", "--screen"]),
    ("float32 to int8-blocks", [], ["--dtype", "int8-blocks"]),
    ("float32 to int4", [], ["--dtype", "int4"]),
    ("two uint8 tables, 525 MB", ["--variant", "uint8"], []),
    ("float32, 256206 x 2048, 2.1 GB", ["--external", "--cols", "2048"], ["--dtype", "float32"]),
    ("float32, 256206 x 5120, 5.2 GB", ["--external", "--cols", "5120"], ["--dtype", "float32"]),
]


def copy(source, target):
    """Returns the seconds to copy the model and sync it to disk, as a conversion does."""
    start = time.monotonic()
    shutil.copyfile(source, target)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    return time.monotonic() - start


def write_hidden(path):
    """Hidden states of 1024 columns, of which 16 are large. Without NumPy: its memory would count as the converter's."""
    numbers = random.Random(1)
    hidden = (numbers.gauss(0, 30 if k % 64 == 0 else 1) for _ in range(64) for k in range(1024))
    path.write_bytes(array.array("f", hidden).tobytes())


def run(command, folder):
    """Returns seconds and peak bytes."""
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command}: failed")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def main():
    root, work, names = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    write_hidden(work / HIDDEN)
    model, target, made_with = work / "model.onnx", work / "model.tied", work / "model.options"
    print(f"{'':48} {'copy':>7} {'convert':>8} {'ratio':>6} {'peak':>8} {'file':>9}")
    for name, make, convert in CASES:
        if names and name not in names:
            continue
        if not made_with.exists() or made_with.read_text() != " ".join(make):
            made_with.unlink(missing_ok=True)
            model.with_suffix(".onnx.data").unlink(missing_ok=True)
            subprocess.run([sys.executable, root / "scripts/make_nllb_onnx.py", "-o", model, *make], check=True)
            made_with.write_text(" ".join(make))
        data = model.with_suffix(".onnx.data")
        command = [root / "build/release/tools/tied_convert/tied-convert", model, "-o", target, "-q", *convert]
        copies, conversions = [], []
        for _ in range(RUNS):
            copies.append(copy(data if data.exists() else model, work / "copy"))
            (work / "copy").unlink()
            conversions.append(run(command, work))
            size = target.stat().st_size
            if len(conversions) == RUNS:  # it opens, and one token runs
                subprocess.run([root / "build/release/tools/tied/tied", "embed", target, "--ids", "2,256047"],
                               check=True, stdout=subprocess.DEVNULL)
            target.unlink()
        # The best of several runs, because the time that the kernel takes to find pages for the files varies most.
        copied = min(copies)
        converted = min(seconds for seconds, _ in conversions)
        peak = max(peak for _, peak in conversions)
        print(f"{name:48} {copied:5.2f} s {converted:6.2f} s {converted / copied:6.2f} {peak / 1e6:5.0f} MB "
              f"{size / 1e6:6.0f} MB", flush=True)


if __name__ == "__main__":
    main()
