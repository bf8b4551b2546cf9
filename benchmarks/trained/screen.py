"""Measures top-k through screens on trained tables with the hidden states of real text.

usage: screen.py TIED_CONVERT PROGRAM WORK count|time|curve|report|plot [THREADS or PLOT.png]

count: converts the tables, and counts rows and bytes of every token. time: times some of them. curve: times all of
them for a few tables. report: prints tables. plot: draws times over rows.
Takes WORK/NAME/model.safetensors, NAME.hidden.npy and NAME.calibration.npy; a table of random numbers is made here.
"""

import json
import pathlib
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import tables

RANDOM = "random"
NAMES = ["marian_enpt", "marian_pten", "gemma3", "smollm2", RANDOM]
TITLES = {RANDOM: "random numbers", "marian_enpt": "Marian en-pt", "marian_pten": "Marian pt-en",
          "gemma3": "Gemma 3 270M", "smollm2": "SmolLM2 135M"}
TOPKS = (1, 10, 40)
CURVES = ["gemma3.float32", "gemma3.float32.calibrated", "smollm2.float32", f"{RANDOM}.float32"]
FORMS = [(dtype, calibrated) for dtype in ("float32", "int8") for calibrated in (False, True)]


def make_random(work):
    """A table of NLLB-200's shape and hidden states, of random numbers."""
    if (work / RANDOM / "config.json").exists():
        return
    random = np.random.default_rng(7)
    np.save(work / f"{RANDOM}.hidden.npy", random.standard_normal((96, 1024), np.float32))
    tables.write_safetensors(work / RANDOM, random.standard_normal((256206, 1024), np.float32) * np.float32(0.02), None)


def models(work):
    """(table, number format, calibrated, file) of everything that can be measured."""
    for name in NAMES:
        if not (work / f"{name}.hidden.npy").exists():
            continue
        for dtype, calibrated in FORMS:
            if not calibrated or (work / f"{name}.calibration.npy").exists():
                yield name, dtype, calibrated, work / f"{name}.{dtype}{'.calibrated' if calibrated else ''}.tied"


def convert(program, work):
    for name, dtype, calibrated, path in models(work):
        if path.exists():
            continue
        options = ["--calibrate", work / f"{name}.calibration.npy"] if calibrated else []
        if (work / f"{name}.bias.npy").exists():
            options += ["--table", "model.embed_tokens.weight", "--bias", "final_logits_bias"]
        command = [program, work / name, "-o", path, "--dtype", dtype, "--screen", "--quiet", *options]
        subprocess.run(command, check=True)


def measure(program, work, what, threads):
    """Writes a table of numbers beside each model, a line for each call or token."""
    for name, _, _, path in models(work):
        if what == "curve" and path.stem not in CURVES:
            continue
        hidden = work / f"{name}.hidden.f32"
        np.load(work / f"{name}.hidden.npy").astype(np.float32).tofile(hidden)
        lines = subprocess.run([program, what, path, work / f"{name}.float32.tied", hidden, str(threads)], check=True,
                               stdout=subprocess.PIPE).stdout
        path.with_suffix(f".{what}{threads if what == 'time' else ''}").write_bytes(lines)


def float32_bytes(work, name):
    with open(work / name / "model.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return np.prod(header["model.embed_tokens.weight"]["shape"], dtype=np.int64) * 4


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def title(name, dtype, calibrated):
    return f"{TITLES[name]}, {dtype}{', calibrated' if calibrated else ''}"


def report_counts(work):
    """rows computed exactly: median, 95th percentile, most; bytes: mean, worst token; log_z: bytes, full passes."""
    row("table, screen", *(f"{what}, k = {k}" for what in ("rows", "bytes") for k in TOPKS), "log_z")
    row(*["---"] * 8)
    for name, dtype, calibrated, path in models(work):
        lines = np.loadtxt(path.with_suffix(".count"))
        table = float32_bytes(work, name)
        rows = [lines[lines[:, 0] == k, 1] for k in TOPKS]
        shares = [lines[lines[:, 0] == k, 2] / table for k in (*TOPKS, 0)]
        full = 1 if dtype == "float32" else 0.25
        row(title(name, dtype, calibrated),
            *(f"{np.median(r):.0f}, {np.percentile(r, 95):.0f}, {r.max():.0f}" for r in rows),
            *(f"{s.mean():.3f}, {s.max():.2f}" for s in shares[:-1]),
            f"{shares[-1].mean():.2f}, {(shares[-1] >= full).mean():.0%}")


def report_times(work, threads):
    """Ratios: median and slowest beside the full pass, median beside reading the float32 table; log_z beside its full
    pass, median and slowest; four tokens beside a full pass for four, median and slowest, and beside one token."""
    row(f"{threads} thread{'s' if threads > 1 else ''}", "read, ms", "full pass, ms", *(f"k = {k}" for k in TOPKS),
        "log_z", "4 tokens, k = 10")
    row(*["---"] * 8)
    for name, dtype, calibrated, path in models(work):
        read, full, *screened, full_log_z, log_z, full_of_four, four = np.loadtxt(path.with_suffix(f".time{threads}")).T
        row(title(name, dtype, calibrated), f"{np.median(read) * 1e3:.2f}", f"{np.median(full) * 1e3:.2f}",
            *(f"{np.median(s / full):.2f}, {(s / full).max():.2f}; {np.median(s / read):.2f}" for s in screened),
            f"{np.median(log_z / full_log_z):.2f}, {(log_z / full_log_z).max():.2f}",
            f"{np.median(four / full_of_four):.2f}, {(four / full_of_four).max():.2f}; "
            f"{np.median(four / screened[1]):.2f}")


def plot(work, path):
    """Times beside a full pass, over the rows that were computed: every token, k = 1, 10 and 40."""
    figure, axes = plt.subplots(figsize=(9, 5.5))
    for curve in CURVES:
        k, rows, seconds, full = np.loadtxt(work / f"{curve}.curve").T
        name, dtype, *calibrated = curve.split(".")
        axes.scatter(rows, seconds / np.median(full), s=5, alpha=0.5, label=title(name, dtype, calibrated))
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("rows computed exactly")
    axes.set_ylabel("time of a top-k through the screen / time of a full pass")
    axes.legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main():
    converter, program, work, what = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
    if what == "plot":
        plot(work, sys.argv[5])
        return
    threads = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    if what == "report":
        report_counts(work)
        for file in sorted({path.suffix for path in work.glob("*.time*")}):
            print()
            report_times(work, int(file.removeprefix(".time")))
        return
    make_random(work)
    convert(converter, work)
    measure(program, work, what, threads)


if __name__ == "__main__":
    main()
